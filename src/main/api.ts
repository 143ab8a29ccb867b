export type { AgentEnd, RunningAgent, WorkerOptions } from '../agent/options.js';
export * from '../client/index.js';
export { checkPolicy, DEFAULT_POLICY, type Policy } from '../core/policy.js';
export type { Coordinator, CoordinatorOptions } from '../server/options.js';
export type { Store } from '../store/store.js';
export { openStore, startCoordinator, startWorker } from './parts.js';
