import type { Draft } from './draft.js';
import type { EventName } from './history.js';
import { about, fulfil, type OperatorRequest, stopReasonOf } from './requests.js';
import type { StopRequest, TaskRow } from './rows.js';

const REQUESTED = {
  cancel: 'cancel_requested',
  timeout: 'timeout_requested',
  clear: 'clear_requested',
  mark_success: 'mark_requested',
  mark_failed: 'mark_requested',
} as const satisfies Record<StopRequest['kind'], EventName>;

/** P15: asks the agent to end a run whose token stays open until it reports. */
export function requestStop(
  draft: Draft,
  taskId: Parameters<Draft['task']>[0],
  kind: StopRequest['kind'],
  reason: string,
): void {
  const task = draft.task(taskId);
  if (!task?.open || task.stopRequest?.kind === kind) return;
  // An operator's last word counts, and outranks a timeout: what times out may be tried again.
  if (kind === 'timeout' && task.stopRequest !== null) return;
  const { open } = task;
  const stopRequest = { kind, reason, at: draft.ctx.wall };
  draft.put({ ...task, stopRequest }, { event: REQUESTED[kind], ...about(open), message: reason });
  if (open.lost !== null) return;
  draft.sayTo(open.epoch)?.cancellations.push({ token: open.token, reason: stopReasonOf(stopRequest) });
}

/** P15: at once without an open token, or with one whose try is lost and released; else a request to its agent. */
export function ask(draft: Draft, task: TaskRow, kind: OperatorRequest['kind'], reason: string): void {
  const { open, taskId } = task;
  const waits = open !== null && (open.lost === null || open.lost.heldUntil !== null);
  // A permit of this very batch was told to nobody: the request is in time, and its start request is refused.
  const told = draft.base(taskId) === undefined || draft.base(taskId)?.open?.token === open?.token;
  if (waits && told) requestStop(draft, taskId, kind, reason);
  else fulfil(draft, task, { kind, reason });
}

export function cancelTask(draft: Draft, task: TaskRow, reason: string): void {
  ask(draft, task, 'cancel', reason);
}
