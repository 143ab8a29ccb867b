export type { AgentFilter, Agents } from './agents.js';
export type { CallChoices } from './channel.js';
export type { ClientClock } from './clock.js';
export { type Client, type ConnectOptions, connect } from './connect.js';
export { type ErrorCode, HoldfastError, type HoldfastErrorFields, isTransient } from './errors.js';
export type { Queues } from './queues.js';
export type { StreamChoices } from './streams.js';
export { type ListChoices, type LogChoices, SUBMIT_BATCH, type Tasks } from './tasks.js';
export * from './types.js';
