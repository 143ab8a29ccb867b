/** What the agent may use of its runner. */
export type {
  HandlerCall,
  HandlerOutcome,
  HandlerPoolOptions,
  HandlerProgress,
  NamespaceChoice,
  RunEnd,
  RunSpec,
  RunStarted,
  RunTerms,
  StartFailure,
} from './protocol.js';
export { OUTPUT_WINDOW_BYTES } from './protocol.js';
export type { RunnerHandle, RunnerListener, RunnerLoss } from './runner.js';
export { startRunner } from './runner.js';
