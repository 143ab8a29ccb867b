import { loadFrom } from '../load.js';
import { triggersIn } from './define.js';

/** The triggers of a module, by kind; or why there are none, for people. */
export const loadTriggers = (module: string) =>
  loadFrom(module, triggersIn, 'it has no triggers: write `export default defineTriggers([ … ])`');
