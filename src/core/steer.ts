import type { ServiceMs, WallMs } from '../kit/time.js';
import type { Admission, Crowding } from './admission.js';
import { cancelTask } from './ask.js';
import { clearOne, retryFault } from './dag/clear.js';
import { dagIdOf, type RunKey } from './dag/rows.js';
import type { Draft } from './draft.js';
import type { CallInput } from './inputs.js';
import { rankOf } from './rank.js';
import { stillHeld } from './requests.js';
import { isFinal, type TaskRow, type TaskState } from './rows.js';
import { move } from './task.js';

/** What an operator may do to many tasks. */
export type Steering =
  | { readonly action: 'cancel' }
  | { readonly action: 'retry' }
  | { readonly action: 'move'; readonly queue: string };

/** Which tasks are meant; what is absent means any. */
export interface Selection {
  readonly states?: readonly TaskState[];
  readonly queue?: string;
  /** Required labels that the task must have, with these values. */
  readonly labels: Readonly<Record<string, string>>;
  readonly concurrencyKey?: string;
  /** From this instant of the coordinator's wall clock on, and before that one. */
  readonly submittedAfter?: WallMs;
  readonly submittedBefore?: WallMs;
  /** Of this run, or of any run of this DAG. */
  readonly run?: RunKey;
  readonly dagId?: string;
}

/** Whether a task is meant. Asked once more when it is decided, because it may have changed since it was found. */
export function isSelected(task: TaskRow, chosen: Selection): boolean {
  const { states, queue, labels, concurrencyKey, submittedAfter, submittedBefore } = chosen;
  if (states !== undefined && !states.includes(task.state)) return false;
  if (queue !== undefined && task.queue !== queue) return false;
  if (concurrencyKey !== undefined && task.concurrencyKey !== concurrencyKey) return false;
  if (submittedAfter !== undefined && task.submittedAt < submittedAfter) return false;
  if (submittedBefore !== undefined && task.submittedAt >= submittedBefore) return false;
  if (chosen.run !== undefined && task.instance?.run !== chosen.run) return false;
  if (chosen.dagId !== undefined && (task.instance === null || dagIdOf(task.instance.run) !== chosen.dagId))
    return false;
  return Object.entries(labels).every(([name, value]) => task.requiredLabels[name] === value);
}

export type SteerSkip =
  | ('ended' | 'asked_already' | 'not_ended' | 'running' | 'there_already' | 'run_pruned')
  | Crowding;

/** Why a task is left as it is, whatever else waits. The first row that matches: doing it again changes nothing. */
const STEER_SKIPS: readonly {
  readonly name: SteerSkip;
  readonly when: (task: TaskRow, steering: Steering) => boolean;
}[] = [
  { name: 'not_ended', when: ({ state }, { action }) => action === 'retry' && !isFinal(state) },
  { name: 'ended', when: ({ state }, { action }) => action !== 'retry' && isFinal(state) },
  {
    name: 'asked_already',
    when: ({ stopRequest }, { action }) => action === 'cancel' && stopRequest?.kind === 'cancel',
  },
  { name: 'there_already', when: ({ queue }, s) => s.action === 'move' && s.queue === queue },
  // Its agent serves the queue that it came from, and holds it.
  { name: 'running', when: ({ state }, { action }) => action === 'move' && state === 'running' },
];

export function steerSkip(task: TaskRow, steering: Steering): SteerSkip | null {
  return STEER_SKIPS.find(({ when }) => when(task, steering))?.name ?? null;
}

/** Whether it is of a run that retention has begun to remove. */
function isOfPruned(draft: Draft, task: TaskRow, { action }: Steering): boolean {
  return action === 'retry' && retryFault(draft, task) !== null;
}

/** What waits again, or elsewhere, keeps to the limits of a submission; it may be asked for again when fewer wait. */
function crowds(admission: Admission, task: TaskRow, steering: Steering): Crowding | null {
  switch (steering.action) {
    case 'cancel':
      return null;
    case 'retry':
      // An instance is decided anew, and queued when it has room.
      return task.instance === null ? admission.admit([task]) : null;
    case 'move':
      return admission.admit([{ ...task, queue: steering.queue }]);
  }
}

/** One bounded step of what is done to many tasks: those of its list that are still meant, each by the rules of one. */
export function steerMany(draft: Draft, call: Extract<CallInput, { kind: 'steer' }>): void {
  const done: TaskRow['taskId'][] = [];
  const skipped = new Map<SteerSkip, number>();
  // A dry run takes no place from what is decided with it.
  const admission = call.dryRun ? draft.admission.copy() : draft.admission;
  for (const taskId of call.taskIds) {
    const task = draft.task(taskId);
    if (task === undefined || !isSelected(task, call.chosen)) continue;
    const skip =
      steerSkip(task, call.steering) ??
      (isOfPruned(draft, task, call.steering) ? 'run_pruned' : crowds(admission, task, call.steering));
    if (skip !== null) skipped.set(skip, (skipped.get(skip) ?? 0) + 1);
    else done.push(taskId);
    if (skip === null && !call.dryRun) steer(draft, task, call.steering, call.reason);
  }
  draft.reply(call.callId, { kind: 'steered', done, skipped });
}

/** Does it to one task for which there is no reason not to. */
export function steer(draft: Draft, task: TaskRow, steering: Steering, reason: string): void {
  switch (steering.action) {
    case 'cancel':
      return cancelTask(draft, task, reason);
    case 'retry':
      if (task.instance !== null) return clearOne(draft, task, reason);
      return retryTask(draft, task, reason);
    case 'move':
      draft.put(
        { ...task, queue: steering.queue },
        { event: 'moved', reason, message: `from ${task.queue} to ${steering.queue}` },
      );
      return;
  }
}

/**
 * A task that has ended is to be tried again, with all of its retries: what it ended with is forgotten but for its history.
 * The start_after of one that was cancelled before it still holds; start_before has had its answer.
 */
function retryTask(draft: Draft, task: TaskRow, reason: string): void {
  const { service, wall, policy } = draft.ctx;
  const waits = task.state === 'cancelled' && task.startAfter !== null && task.startAfter > wall;
  const again = move(task, waits ? 'rescheduleFinal' : 'requeueFinal', {
    rank: rankOf(task.priority, service, policy),
    retried: task.retried + 1,
    retriesUsed: 0,
    neverStarted: 0,
    losses: [],
    queuedSince: waits ? null : service,
    queuedMs: 0,
    notBefore: waits ? null : stillHeld(task, service),
    exitCode: null,
    result: null,
    resultType: '',
    endedAt: null,
  });
  draft.put(again, {
    event: 'retried',
    reason,
    message: `was ${task.state}${task.reason && ` (${task.reason})`}`,
  });
}

/** The instant before which a task whose lost try an operator ends must not be tried again; null when there is none. */
export function releaseOf(task: TaskRow): ServiceMs | null {
  const heldUntil = task.open?.lost?.heldUntil ?? null;
  return task.partitionPolicy === 'single_run' && heldUntil !== null ? heldUntil : null;
}
