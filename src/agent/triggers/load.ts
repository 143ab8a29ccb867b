import { type TriggerFunction, triggersIn } from './define.js';

/** The triggers of a module, by kind; or why there are none, for people. */
export async function loadTriggers(
  module: string,
): Promise<{ readonly triggers: ReadonlyMap<string, TriggerFunction> } | { readonly fault: string }> {
  let loaded: { readonly default?: unknown };
  try {
    loaded = (await import(module)) as { readonly default?: unknown };
  } catch (error) {
    const { code, stack, message } = error as NodeJS.ErrnoException;
    // Node's own refusals say it all in their message; what the module throws is found by its stack.
    return { fault: `it cannot be loaded: ${(code === undefined ? stack : message) ?? String(error)}` };
  }
  // A module that was compiled to CommonJS has its default export one level deeper.
  const triggers = triggersIn(loaded.default) ?? triggersIn((loaded.default as typeof loaded)?.default);
  if (triggers === null) return { fault: 'it has no triggers: write `export default defineTriggers([ … ])`' };
  return { triggers };
}
