import type { StopReason } from '../runner/protocol.js';
import type { DeferOptions, Resumed } from './defer.js';

/** What a handler is given beside its input. */
export interface HandlerContext {
  /**
   * Aborted when the run has to end: cancelled, timed out, superseded, drained, or under `single_run` at the end of the
   * agent's gate; `signal.reason` is a HandlerStopped. A handler that has not ended when the kill grace is over (10 s
   * unless the task says otherwise) is killed with its process.
   */
  readonly signal: AbortSignal;
  /**
   * The fencing token: greater than that of every earlier try. Hand it to whatever the handler writes to, so that a
   * late write of an older try can be refused.
   */
  readonly token: bigint;
  /** From 1. */
  readonly tryNumber: number;
  /** The task that this run is a try of. */
  readonly taskId: string;
  /** The agent that runs it. */
  readonly agentId: string;
  /** The queue that the task waited in. */
  readonly queue: string;
  /** When the execution timeout ends this run, by this machine's wall clock; null without one. */
  readonly deadline: Date | null;
  /** W3C Trace Context of the submitter; empty when there is none. */
  readonly traceparent: string;
  /** Writes to the task's output. So does `console`, as plain text. */
  readonly log: HandlerLog;
  /**
   * Shown by `task describe` and `task watch`: a fraction from 0 to 1, words, or both. At most one a second is sent; the
   * newest wins. Never stored, and never a reason to wait.
   */
  progress(this: void, fraction: number, message?: string): void;
  progress(this: void, message: string): void;
  /**
   * What the task has waited for, when this call goes on after a `defer`; null at the start of a try, a retry included:
   * used events are not replayed.
   */
  readonly resumed: Resumed | null;
  /**
   * Ends this call, gives its slot away, and waits for an event; then the handler is called again, on any worker, with
   * `resumed`. It throws, so nothing after it is done: let what it throws pass. A `state` that is no JSON, or more than
   * 64 KiB of it or of the input, fails the try.
   */
  defer<Kind extends string>(this: void, to: DeferOptions<Kind>): never;
  /** Ends this call well, and says that there was nothing to do: a task of a DAG run is skipped. It throws, as `defer`. */
  skip(this: void, reason: string): never;
}

/** One line of JSON in the task's output for each call: `at`, `level`, `message`, and the fields. */
export interface HandlerLog {
  /** What only somebody who looks for a fault wants to know. */
  debug(message: string, fields?: object): void;
  /** What happened in the ordinary course. */
  info(message: string, fields?: object): void;
  /** What may need a look. */
  warn(message: string, fields?: object): void;
  /** What needs a look. */
  error(message: string, fields?: object): void;
}

/** Why a handler's signal was aborted; `ended` once the handler itself is over. */
export class HandlerStopped extends Error {
  /** Always `HandlerStopped`. */
  override readonly name = 'HandlerStopped';
  /** What asked for the end; `ended` once the handler itself is over. */
  readonly reason: StopReason | 'ended';

  /** For the worker: the reason of an aborted signal. */
  constructor(reason: StopReason | 'ended') {
    super(reason === 'ended' ? 'the handler has ended' : `the run was stopped: ${reason}`);
    this.reason = reason;
  }
}

/** Thrown by a handler for whom another try makes no sense: the task fails, whatever retries it has left. */
export class FinalError extends Error {
  /** Always `FinalError`. */
  override readonly name = 'FinalError';
}
