import type { ServiceMs } from '../kit/time.js';
import type { Draft, Happening } from './draft.js';
import type { StopReason } from './frames.js';
import type { OpenPermit, StopRequest, TaskRow } from './rows.js';
import { move } from './task.js';

/** What an operator asks of a task. Of one that an agent holds it is a request, final with the agent's answer (P15). */
export interface OperatorRequest extends StopRequest {
  readonly kind: Exclude<StopRequest['kind'], 'timeout'>;
}

/** The operator's request that waits for an agent's answer; null when there is none. */
export function askedOf({ stopRequest }: Pick<TaskRow, 'stopRequest'>): OperatorRequest | null {
  return stopRequest === null || stopRequest.kind === 'timeout' ? null : (stopRequest as OperatorRequest);
}

/** What an agent is told: why it is asked for the end of a run. */
export function stopReasonOf({ kind }: Pick<StopRequest, 'kind'>): StopReason {
  return kind === 'timeout' ? 'timeout' : 'cancelled';
}

/** A request is final: nothing runs, or what ran has ended (P15). */
export function fulfil(draft: Draft, task: TaskRow, { kind, reason }: Omit<OperatorRequest, 'at'>): TaskRow {
  switch (kind) {
    case 'cancel':
      return cancelNow(draft, task, reason);
    case 'clear':
      return clearNow(draft, task, reason);
    case 'mark_success':
    case 'mark_failed':
      return markNow(draft, task, kind, reason);
  }
}

function cancelNow(draft: Draft, task: TaskRow, reason: string): TaskRow {
  const cancelled = move(task, 'cancelTask', {
    reason: 'cancelled',
    message: reason,
    endedAt: draft.ctx.wall,
  });
  return draft.put(cancelled, ...lostOutcome(task), {
    event: 'cancelled',
    ...(task.open ? about(task.open) : {}),
    reason: 'cancelled',
    message: reason,
  });
}

/**
 * An instance is to be decided anew, with all of its retries: what it ended with is forgotten but for its history, and
 * its needs are asked again.
 */
function clearNow(draft: Draft, task: TaskRow, reason: string): TaskRow {
  const { open, instance } = task;
  const cleared = move(task, 'clearTask', {
    instance: instance && { ...instance, ready: false },
    retried: task.retried + 1,
    retriesUsed: 0,
    neverStarted: 0,
    losses: [],
    open: null,
    stopRequest: null,
    queuedSince: null,
    queuedMs: 0,
    notBefore: null,
    exitCode: null,
    result: null,
    resultType: '',
    resume: null,
    endedAt: null,
  });
  return draft.put(cleared, ...lostOutcome(task), {
    event: 'cleared',
    ...(open ? about(open) : {}),
    reason,
    message: `was ${task.state}${task.reason && ` (${task.reason})`}`,
  });
}

/** An instance ends as an operator says, whatever it did. No asset is updated by that: nobody has made any data. */
function markNow(draft: Draft, task: TaskRow, kind: 'mark_success' | 'mark_failed', reason: string): TaskRow {
  const { open, instance } = task;
  const marked = move(task, kind === 'mark_success' ? 'markSuccess' : 'markFailed', {
    instance: instance && { ...instance, ready: true },
    reason: MARKED,
    message: reason,
    endedAt: draft.ctx.wall,
  });
  return draft.put(marked, ...lostOutcome(task), {
    event: 'marked',
    ...(open ? about(open) : {}),
    reason: kind,
    message: reason,
  });
}

/** Reason of an instance that ended because an operator said so. */
export const MARKED = 'marked';

/** P10: when something else closes the token of a lost try, agent_lost becomes the try's outcome. */
export function lostOutcome(task: TaskRow): Happening[] {
  return task.open?.lost ? [{ event: 'try_lost', ...about(task.open), reason: 'agent_lost' }] : [];
}

export function about(open: OpenPermit): Pick<Happening, 'agentId' | 'tryNumber' | 'token' | 'epoch'> {
  return { agentId: open.agentId, tryNumber: open.tryNumber, token: open.token, epoch: open.epoch };
}

/** P11: a run that an operator has ended under `single_run` may still be alive: no way leads to a permit before its release. */
export function stillHeld({ releaseAt }: TaskRow, service: ServiceMs): ServiceMs | null {
  return releaseAt !== null && releaseAt > service ? releaseAt : null;
}
