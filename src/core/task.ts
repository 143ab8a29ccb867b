import { NO_TOKEN } from '../kit/ids.js';
import { invariant } from '../kit/invariant.js';
import { earliest, later, type ServiceMs, type WallMs } from '../kit/time.js';
import { isFinal, type TaskRow, type TaskState } from './rows.js';

const ANY = [
  ...(['scheduled', 'queued', 'running', 'success', 'failed'] as const),
  ...(['up_for_retry', 'deferred', 'upstream_failed', 'skipped', 'cancelled'] as const),
] as const;

/**
 * The edges along which a task changes its state. Nothing else does: an edge that is not here is a bug, and stops the
 * process rather than be taken. A lost try may leave its task queued with its token still open (P10), so what a late
 * report does is an edge from queued, too.
 */
export const EDGES = {
  /** The instant that a delayed task waited for has come. */
  queueTask: { from: ['scheduled'], to: 'queued' },
  /** The coordinator confirms a start. */
  confirmStart: { from: ['queued'], to: 'running' },
  /** A permit was never started (P13); the queued time goes on counting (P12). */
  voidPermit: { from: ['running', 'queued'], to: 'queued' },
  /** The agent is lost; the next permit is held back (P11). */
  holdLostTry: { from: ['running'], to: 'running' },
  /** A lost try is released (P11): the task is queued again. */
  releaseLostTry: { from: ['running'], to: 'queued' },
  /** The agent came back with its run (P10). */
  adoptRun: { from: ['running', 'queued'], to: 'running' },
  /** The agent shows a run whose permit was among lost commits (P18). */
  regainRun: { from: ['scheduled', 'queued', 'running', 'up_for_retry', 'deferred'], to: 'running' },
  /** From scheduled: an instance without any work. */
  succeedTask: { from: ['scheduled', 'running', 'queued'], to: 'success' },
  failTask: { from: ['scheduled', 'running', 'queued', 'up_for_retry', 'deferred'], to: 'failed' },
  /** A try failed by itself and the user's retries allow another. */
  retryTask: { from: ['running', 'queued', 'deferred'], to: 'up_for_retry' },
  /** It waits for an event, without a slot (P16); from scheduled: before its first try. */
  deferTask: { from: ['running', 'queued', 'scheduled'], to: 'deferred' },
  /** The event has come; an instance waits for room in its pool first. */
  resumeTask: { from: ['deferred'], to: 'queued' },
  resumeInstance: { from: ['deferred'], to: 'scheduled' },
  /** The back-off of a retry is over. */
  queueRetry: { from: ['up_for_retry'], to: 'queued' },
  /** The back-off of an instance's retry is over: it waits for room in its pool again. */
  scheduleRetry: { from: ['up_for_retry'], to: 'scheduled' },
  /** An instance that is decided without a try, or whose run says that there was nothing to do. */
  skipTask: { from: ['scheduled', 'running', 'queued'], to: 'skipped' },
  failUpstream: { from: ['scheduled'], to: 'upstream_failed' },
  /** An operator wants a task tried again that has ended. */
  requeueFinal: { from: ['success', 'failed', 'upstream_failed', 'skipped', 'cancelled'], to: 'queued' },
  rescheduleFinal: { from: ['cancelled'], to: 'scheduled' },
  /** An operator wants an instance decided anew, or says how it ended. */
  clearTask: { from: ANY, to: 'scheduled' },
  markSuccess: { from: ANY, to: 'success' },
  markFailed: { from: ANY, to: 'failed' },
  cancelTask: { from: ['scheduled', 'queued', 'running', 'up_for_retry', 'deferred'], to: 'cancelled' },
} as const satisfies Record<string, { readonly from: readonly TaskState[]; readonly to: TaskState }>;

/** What a task has of tries, waits and ends before it had any. */
export const UNTRIED = {
  ...{ reason: '', message: '', tryNumber: 0, retriesUsed: 0, retried: 0, releaseAt: null, queuedMs: 0 },
  ...{ notBefore: null, neverStarted: 0, open: null, losses: [], stopRequest: null, resume: null },
  ...{ lastToken: NO_TOKEN, lastAgentId: '', exitCode: null, result: null, resultType: '', endedAt: null },
  historyCount: 0,
} as const satisfies Partial<TaskRow>;

export type Edge = keyof typeof EDGES;

/** What a change along an edge may set besides the state; identity and submission never change. */
export type TaskChange = Partial<Omit<TaskRow, 'taskId' | 'version' | 'state' | 'historyCount'>>;

/**
 * The task after `edge`. A final state closes the token (P10), and whatever waited for an agent or a time waits no
 * more. Throws InvariantError on an illegal edge.
 */
export function move(task: TaskRow, edge: Edge, change: TaskChange): TaskRow {
  const { from, to } = EDGES[edge];
  invariant(
    (from as readonly TaskState[]).includes(task.state),
    `${edge} from ${task.state} (task ${task.taskId})`,
  );
  const moved: TaskRow = { ...task, reason: '', message: '', ...change, state: to };
  if (isFinal(to)) end(moved);
  return moved;
}

/** Nothing that has ended waits for anything. Written into the row that was just made: nobody else has it yet. */
function end(moved: { -readonly [Field in keyof TaskRow]: TaskRow[Field] }): void {
  moved.open = null;
  moved.stopRequest = null;
  moved.queuedSince = null;
  moved.notBefore = null;
  moved.resume = null;
  // What has ended is decided, also when it was cancelled, or timed out, before its wait was over.
  if (moved.instance !== null) moved.instance = { ...moved.instance, ready: true };
}

/** Leaves the queue with the time spent in it kept, in case it does not count as having left (P12). */
export function leaveQueue(
  task: TaskRow,
  now: ServiceMs,
): { queuedSince: null; queuedMs: number; notBefore: null } {
  const waited = task.queuedSince === null ? 0 : (now as number) - (task.queuedSince as number);
  return { queuedSince: null, queuedMs: task.queuedMs + waited, notBefore: null };
}

/** P12: the instant from which the task has been queued for strictly more than its timeout; null when not queued. */
export function queuedDeadline(task: TaskRow): ServiceMs | null {
  if (task.state !== 'queued' || task.queuedSince === null) return null;
  return later(task.queuedSince, task.queuedTimeoutMs - task.queuedMs + 1);
}

/** When the coordinator itself asks for the end of a run that outlives its execution timeout; null when it has none. */
export function executionDeadline(task: TaskRow, leaseMs: number): ServiceMs | null {
  if (task.state !== 'running' || task.open === null || task.open.lost !== null) return null;
  if (task.executionTimeoutMs === null || task.stopRequest !== null) return null;
  return later(task.open.permittedAtService, task.executionTimeoutMs + task.killGraceMs + leaseMs);
}

/** Whether no try of the task was ever started, as far as is known: only then may it expire. */
export function isUnstarted(task: TaskRow): boolean {
  return (
    task.tryNumber === 0 && task.retried === 0 && (task.state === 'scheduled' || task.state === 'queued')
  );
}

/** Whether it is too late for the first try. */
export function hasExpired(task: TaskRow, wall: WallMs): boolean {
  return isUnstarted(task) && task.startBefore !== null && wall >= task.startBefore;
}

/**
 * The next instant of the wall clock at which something must happen to the task without any input; else null. Apart
 * from the deadlines of the service clock, because an outage does not move what the submitter named as an instant.
 */
export function wallDueAt(task: TaskRow): WallMs | null {
  const start = task.state === 'scheduled' ? task.startAfter : null;
  return earliest(start, isUnstarted(task) ? task.startBefore : null);
}

/** The next instant of the service clock at which something must happen to the task without any input; else null. */
export function dueAt(task: TaskRow, leaseMs: number): ServiceMs | null {
  const held = task.state === 'running' ? (task.open?.lost?.heldUntil ?? null) : null;
  const first = earliest(queuedDeadline(task), earliest(task.notBefore, held));
  return earliest(first, executionDeadline(task, leaseMs));
}
