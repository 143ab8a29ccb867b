/**
 * What a module of the user's has to offer, or why it is of no use, for people. `find` knows it when it sees it; `missing`
 * says how it is written.
 */
export async function loadFrom<T>(
  module: string,
  find: (exported: unknown) => T | null,
  missing: string,
): Promise<{ readonly found: T } | { readonly fault: string }> {
  let loaded: { readonly default?: unknown };
  try {
    loaded = (await import(module)) as { readonly default?: unknown };
  } catch (error) {
    const { code, stack, message } = error as NodeJS.ErrnoException;
    // Node's own refusals say it all in their message; what the module throws is found by its stack.
    return { fault: `it cannot be loaded: ${(code === undefined ? stack : message) ?? String(error)}` };
  }
  // A module that was compiled to CommonJS has its default export one level deeper.
  const found = find(loaded.default) ?? find((loaded.default as typeof loaded | undefined)?.default);
  return found === null ? { fault: missing } : { found };
}
