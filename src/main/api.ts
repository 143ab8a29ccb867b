export * from '../client/index.js';
export type { NotificationEvent } from '../core/rows.js';
export type { Log } from '../kit/log.js';
export type { WebhookOptions } from '../webhooks/endpoint.js';
export { Coordinator } from './coordinator.js';
export type { CoordinatorOptions, CoordinatorTls } from './coordinator-options.js';
