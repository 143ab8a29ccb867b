/** The agent SDK. */

export type { TlsOptions } from '../wire/tls/dial.js';
export { type EmbeddedWorkerOptions, Worker } from './embedded.js';
export {
  FinalError,
  type HandlerContext,
  type HandlerLog,
  HandlerStopped,
} from './handlers/context.js';
export type { DeferOptions, Resumed, TriggerInputs } from './handlers/defer.js';
export {
  defineHandlers,
  type Handler,
  type HandlerMap,
  type Handlers,
  handler,
  type InputOf,
  type Json,
  type OutputOf,
  type PlainHandler,
  type Returned,
} from './handlers/define.js';
export type { HandlerChoices } from './handlers/pool-options.js';
export type { AgentEnd, RunningAgent, TriggererOptions, WorkerOptions } from './options.js';
export { startTriggerer, startWorker } from './start.js';
export {
  defineTriggers,
  type Trigger,
  type TriggerContext,
  type TriggerFunction,
  type Triggers,
  trigger,
} from './triggers/define.js';
