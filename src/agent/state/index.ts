/** What the agent may use of its state directory. */
export { Journal } from './journal.js';
export type { Json, StartedRun } from './records.js';
export type { TakeOver } from './takeover.js';
export { RUNNER_LOCK_FILE, takeOver } from './takeover.js';
