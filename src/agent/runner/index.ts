/** What the agent may use of its runner. */
export type {
  NamespaceChoice,
  OutputStream,
  Protection,
  RunEnd,
  RunSpec,
  RunStarted,
  StartFailure,
  StartFailureCode,
  StopReason,
} from './protocol.js';
export { OUTPUT_WINDOW_BYTES } from './protocol.js';
export type { RunnerHandle, RunnerListener, RunnerLoss, RunnerOptions } from './runner.js';
export { startRunner } from './runner.js';
