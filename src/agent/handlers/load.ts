import { type Handler, handlersIn } from './define.js';

/** The handlers of a module, by name; or why there are none, for people. */
export async function loadHandlers(
  module: string,
): Promise<{ readonly handlers: ReadonlyMap<string, Handler> } | { readonly fault: string }> {
  let loaded: { readonly default?: unknown };
  try {
    loaded = (await import(module)) as { readonly default?: unknown };
  } catch (error) {
    const { code, stack, message } = error as NodeJS.ErrnoException;
    // Node's own refusals say it all in their message; what the module throws is found by its stack.
    return { fault: `it cannot be loaded: ${(code === undefined ? stack : message) ?? String(error)}` };
  }
  // A module that was compiled to CommonJS has its default export one level deeper.
  const handlers = handlersIn(loaded.default) ?? handlersIn((loaded.default as typeof loaded)?.default);
  if (handlers === null) return { fault: 'it has no handlers: write `export default defineHandlers({ … })`' };
  return { handlers };
}
