import { loadFrom } from '../load.js';
import { handlersIn } from './define.js';

/** The handlers of a module, by name; or why there are none, for people. */
export const loadHandlers = (module: string) =>
  loadFrom(module, handlersIn, 'it has no handlers: write `export default defineHandlers({ … })`');
