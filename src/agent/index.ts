/** The agent SDK. */
export type { AgentEnd, RunningAgent, WorkerOptions } from './options.js';
export { startWorker } from './worker.js';
