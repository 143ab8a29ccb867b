export * from '../client/index.js';
export type { Log } from '../kit/log.js';
export { Coordinator } from './coordinator.js';
export type { CoordinatorOptions } from './coordinator-options.js';
