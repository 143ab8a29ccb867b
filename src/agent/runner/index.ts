/** What the agent may use of its runner. */
export type {
  HandlerCall,
  HandlerOutcome,
  HandlerPoolOptions,
  HandlerProgress,
  NamespaceChoice,
  OutputStream,
  Protection,
  RunEnd,
  RunSpec,
  RunStarted,
  RunTerms,
  StartFailure,
  StartFailureCode,
  StopReason,
} from './protocol.js';
export { OUTPUT_WINDOW_BYTES } from './protocol.js';
export type { RunnerHandle, RunnerListener, RunnerLoss, RunnerOptions } from './runner.js';
export { startRunner } from './runner.js';
