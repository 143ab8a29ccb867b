/** What a module of the user's exports by default; awaited, so that it may be computed. Throws what the module throws. */
export async function loadDefault(url: string): Promise<unknown> {
  const loaded = (await import(url)) as { readonly default?: unknown };
  const exported = await loaded.default;
  // A module that was compiled to CommonJS has its default export one level deeper.
  const isWrapped = typeof exported === 'object' && exported !== null && '__esModule' in exported;
  return isWrapped ? await (exported as { readonly default?: unknown }).default : exported;
}
