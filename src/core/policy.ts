import type { Backoff } from '../kit/backoff.js';
import { HOUR, MINUTE, SECOND } from '../kit/time.js';
import type { NotificationEvent } from './rows.js';

const DAY = 24 * HOUR;
const MIB = 1024 * 1024;
/** So many tries at their limit fit into the limit of all. */
const FULL_TRIES_AT_LEAST = 16;

/**
 * Everything about the coordinator that a deployment may choose. Relations between the values are checked once, at
 * start, by `checkPolicy`. Limits say what happens when they are reached.
 */
export interface Policy {
  /** H, dictated to new sessions. Default 5 s; 100 ms to 5 min. L = 3 H and La = 5/6 L follow from it. */
  readonly heartbeatIntervalMs: number;
  /** P12: a task queued for strictly more than this fails. Default 600 s. */
  readonly queuedTimeoutMs: number;
  /** P12's option: the queued timeout waits while no live agent serves the task's queue and labels. Default false. */
  readonly queuedTimeoutWaitsForAgent: boolean;
  /**
   * Offers beyond the free slots of an agent when no other agent has a free one. Default 1, 0 to 16. As many as it has just
   * ended at once, if those are more; with 0 never any.
   */
  readonly prefetch: number;
  /**
   * A task that waits this much longer than another makes up for one step of priority, so that nothing starves.
   * Default 1 min; 1 s to 1 day, or 0: priorities are strict, and low ones may wait for ever.
   */
  readonly priorityAgeingMs: number;
  /** P8: hold reassignment for one L when most workers fail at once. Default true. */
  readonly stormBrake: boolean;
  /** P14: the lost try, seen running, that fails the task as poison. Default 3. */
  readonly poisonLimit: number;
  /** P7: how fast sessions may come back after a start or take-over, per second. Default 100. */
  readonly recoveryPerSecond: number;
  /** P14: wait before a task whose permit was never started is offered again. Default 1 s doubling to 1 min. */
  readonly neverStartedBackoff: Backoff;
  readonly retention: Retention;
  readonly logs: LogPolicy;
  /** Events that some endpoint has asked for: others are not written. Default none. */
  readonly notify: readonly NotificationEvent[];
  /** Defaults of tasks that do not say. */
  readonly task: TaskDefaults;
  readonly limits: CoreLimits;
}

/**
 * How long tasks are kept after they have ended, with their tries, history and idempotency keys. Whatever limit is
 * reached first counts; what has not ended, or is still held by an agent, is never removed.
 */
export interface Retention {
  /** On the service clock, which no jump of the wall clock moves. Default 7 days; 1 min to 10 years. */
  readonly ageMs: number;
  /** Finished tasks kept; beyond, those that ended first are removed. Default 1,000,000. */
  readonly count: number;
  /**
   * An agent without a live session is forgotten, with its last session, so long after that ended, by the wall clock; not
   * one that is cordoned, or that a token is open for. Default 7 days; 1 min to 10 years.
   */
  readonly agentAgeMs: number;
}

/** How much task output is kept. With its task it goes in any case. */
export interface LogPolicy {
  /** Of one try, in bytes: its beginning and its newest output; 1 MiB to 1 TiB. Default 64 MiB. Of one task eight times that. */
  readonly perTryBytes: number;
  /**
   * Of all tasks, in bytes: beyond, the output of those that ended first goes; when only tasks that have not ended are
   * left, further output waits with the agents. 16 times that of a try at least, 1 PiB at most. Default 16 GiB.
   */
  readonly totalBytes: number;
  /** Kept after its task has ended, on the service clock; 1 min to 10 years. Default 7 days. */
  readonly ageMs: number;
}

export interface TaskDefaults {
  /** Default 1 s doubling to 5 min, half of it jitter. */
  readonly retryBackoff: Backoff;
  /** Between SIGTERM and SIGKILL. Default 10 s. */
  readonly killGraceMs: number;
  /** Policy hold gives up waiting after this. Default 24 h. */
  readonly holdTimeoutMs: number;
}

export interface CoreLimits {
  /** Live sessions; a further Hello is refused with FULL. */
  readonly sessions: number;
  /** Slots of one agent; more are refused at Hello. */
  readonly slots: number;
  /** Inventory entries of one agent; more are refused at Hello, later ones close the stream. */
  readonly inventory: number;
  /** Distinct combinations of queue, required labels and handler with waiting tasks; submissions, retries and moves beyond are refused. */
  readonly lanes: number;
  /** Distinct concurrency keys with waiting tasks; submissions, retries and moves beyond are refused. */
  readonly keys: number;
  /** Queues that an operator has ever limited; a further one is refused. */
  readonly queues: number;
  /** Tasks in one submission. */
  readonly submitBatch: number;
  /** Waiting tasks of one lane kept in memory; more are paged from the store. */
  readonly laneWindow: number;
  /** Late reports noted in one task's history; further ones are refused without a note. */
  readonly lateReportNotes: number;
  /** Finished tasks looked at, and at most removed, by one commit, and agents forgotten; more follow in the next. */
  readonly pruneStep: number;
}

export const DEFAULT_POLICY: Policy = {
  heartbeatIntervalMs: 5 * SECOND,
  queuedTimeoutMs: 600 * SECOND,
  queuedTimeoutWaitsForAgent: false,
  prefetch: 1,
  priorityAgeingMs: MINUTE,
  stormBrake: true,
  poisonLimit: 3,
  recoveryPerSecond: 100,
  neverStartedBackoff: { initialMs: SECOND, maxMs: MINUTE },
  retention: { ageMs: 7 * DAY, count: 1_000_000, agentAgeMs: 7 * DAY },
  logs: { perTryBytes: 64 * MIB, totalBytes: 16 * 1024 * MIB, ageMs: 7 * DAY },
  notify: [],
  task: {
    retryBackoff: { initialMs: SECOND, maxMs: 5 * MINUTE },
    killGraceMs: 10 * SECOND,
    holdTimeoutMs: 24 * HOUR,
  },
  limits: {
    sessions: 20_000,
    slots: 10_000,
    inventory: 20_000,
    lanes: 10_000,
    keys: 100_000,
    queues: 10_000,
    submitBatch: 500,
    laneWindow: 2_000,
    lateReportNotes: 20,
    pruneStep: 200,
  },
};

/** What is wrong with a policy, one sentence each with its reason; empty when it may be used. */
export function checkPolicy(policy: Policy): string[] {
  const faults: string[] = [];
  const range = (name: string, value: number, low: number, high: number) => {
    if (!Number.isFinite(value) || value < low || value > high) {
      faults.push(`${name} is ${value}, because it must lie between ${low} and ${high}`);
    }
  };
  range('heartbeatIntervalMs', policy.heartbeatIntervalMs, 100, 5 * MINUTE);
  range('queuedTimeoutMs', policy.queuedTimeoutMs, 1, 365 * 24 * HOUR);
  range('prefetch', policy.prefetch, 0, 16);
  if (policy.priorityAgeingMs !== 0) range('priorityAgeingMs', policy.priorityAgeingMs, SECOND, DAY);
  range('poisonLimit', policy.poisonLimit, 1, 1_000);
  range('recoveryPerSecond', policy.recoveryPerSecond, 1, 100_000);
  range('retention.ageMs', policy.retention.ageMs, MINUTE, 3_650 * DAY);
  range('retention.count', policy.retention.count, 0, 1_000_000_000);
  range('retention.agentAgeMs', policy.retention.agentAgeMs, MINUTE, 3_650 * DAY);
  range('logs.perTryBytes', policy.logs.perTryBytes, MIB, 1024 ** 2 * MIB);
  range('logs.totalBytes', policy.logs.totalBytes, FULL_TRIES_AT_LEAST * MIB, 1024 ** 3 * MIB);
  range('logs.ageMs', policy.logs.ageMs, MINUTE, 3_650 * DAY);
  if (policy.logs.totalBytes < FULL_TRIES_AT_LEAST * policy.logs.perTryBytes) {
    faults.push(
      `logs.totalBytes is less than ${FULL_TRIES_AT_LEAST} times logs.perTryBytes, because a few chatty tasks would then ` +
        'stop the output of all others',
    );
  }
  range('task.killGraceMs', policy.task.killGraceMs, 0, HOUR);
  range('task.holdTimeoutMs', policy.task.holdTimeoutMs, SECOND, 365 * 24 * HOUR);
  if (policy.task.holdTimeoutMs <= 3 * policy.heartbeatIntervalMs) {
    faults.push(
      'task.holdTimeoutMs is not longer than the lease, because it would end before a loss is noticed',
    );
  }
  return faults;
}
