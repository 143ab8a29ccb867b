/** A type that is its base at run time and distinct from every other brand for the compiler. */
export type Brand<Base, Name extends string> = Base & { readonly __brand: Name };
