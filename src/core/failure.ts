import { equalJitter, fullJitter } from '../kit/backoff.js';
import type { AgentId, Epoch, TaskId } from '../kit/ids.js';
import { invariant } from '../kit/invariant.js';
import { later, type MonoMs, type ServiceMs } from '../kit/time.js';
import type { Draft, Happening } from './draft.js';
import type { Report } from './inputs.js';
import { singleRunReleaseMs } from './lease.js';
import { about, askedOf, fulfil, lostOutcome } from './requests.js';
import type { ChargedLoss, Loss, OpenPermit, SessionRow, TaskRow } from './rows.js';
import { firstMatch } from './rules.js';
import { leaveQueue, move } from './task.js';

/** What P11 decides on. */
export interface LossCase {
  readonly task: TaskRow;
  readonly session: SessionRow;
  /** The storm brake is on (P8). */
  readonly brake: boolean;
  readonly service: ServiceMs;
  /** Milliseconds since the agent's last heartbeat; null when this coordinator has heard none. */
  readonly silentMs: number | null;
  readonly serviceStart: ServiceMs;
}

/** P11: who may run next. The first row that matches decides until when the next permit is held; null means not at all. */
export const HOLD_RULES: readonly {
  readonly name: string;
  readonly when: (c: LossCase) => boolean;
  readonly heldUntil: (c: LossCase) => ServiceMs | null;
}[] = [
  {
    name: 'hold',
    when: ({ task }) => task.partitionPolicy === 'hold',
    heldUntil: ({ task, service }) => later(service, task.holdTimeoutMs),
  },
  {
    name: 'single_run',
    when: ({ task }) => task.partitionPolicy === 'single_run',
    heldUntil: (c) => later(lastHeard(c), singleRunReleaseMs(c.session.leaseMs, c.task.killGraceMs)),
  },
  {
    name: 'storm_brake',
    when: ({ brake, session }) => brake && session.kind === 'worker',
    heldUntil: ({ service, session }) => later(service, session.leaseMs),
  },
  { name: 'reassign', when: () => true, heldUntil: () => null },
];

/** The last heartbeat on the service clock; an unknown one counts as this coordinator's start (P11). */
function lastHeard(c: LossCase): ServiceMs {
  return c.silentMs === null ? c.serviceStart : later(c.service, -c.silentMs);
}

/** The agent of a task's open permit is lost: the try is held, or the task queued again at once (P10, P11). */
export function loseTry(draft: Draft, c: LossCase, shown: boolean): void {
  const { task } = c;
  const { open } = task;
  invariant(open !== null && open.lost === null, 'only an open permit with a live agent can be lost');
  const rule = firstMatch('hold', HOLD_RULES, draft.ctx.tally, c);
  invariant(rule !== undefined, 'the last row of P11 matches always');
  const lost: Loss = {
    at: draft.ctx.wall,
    heldUntil: rule.heldUntil(c),
    rule: rule.name,
    // P8: charged to no budget, whichever row holds the try back.
    charged: shown && !(c.brake && c.session.kind === 'worker'),
  };
  const losses = lost.charged ? [...task.losses, chargeOf(open)] : task.losses;
  const held = draft.put(
    move(task, 'holdLostTry', { open: { ...open, lost }, losses, reason: 'agent_lost' }),
    {
      event: 'lost',
      ...about(open),
      reason: 'agent_lost',
      message: lost.heldUntil === null ? '' : `next permit held back by ${rule.name}`,
    },
  );
  if (lost.heldUntil === null || lost.heldUntil <= draft.ctx.service) releaseLostTry(draft, held);
}

/**
 * P11 is satisfied: what was asked of the task meanwhile becomes final (P15), poison is judged (P14), else the task is
 * queued again. The token stays open until something closes it (P10).
 */
export function releaseLostTry(draft: Draft, task: TaskRow): void {
  const { open } = task;
  invariant(open?.lost, 'only a lost try is released');
  const { poisonLimit } = draft.ctx.policy;
  const asked = askedOf(task);
  if (asked !== null) return void fulfil(draft, task, asked);
  if (task.losses.length >= poisonLimit) return failAsPoison(draft, task, lostOutcome(task));
  if (task.stopRequest?.kind === 'timeout') return failTry(draft, task, TIMED_OUT);
  const released: OpenPermit = { ...open, lost: { ...open.lost, heldUntil: null } };
  draft.put(
    move(task, 'releaseLostTry', {
      open: released,
      neverStarted: 0,
      // P16: the next try starts from the beginning; used events are not replayed.
      resume: null,
      queuedSince: draft.ctx.service,
      queuedMs: 0,
      reason: 'agent_lost',
    }),
    { event: 'requeued', ...about(open), reason: 'agent_lost' },
  );
}

/** The run is over and its end unknown, or it was killed without anybody asking: the try is lost for good. */
export function closeAsLost(draft: Draft, task: TaskRow, charge: boolean, reason: string): void {
  const { open } = task;
  invariant(open, 'a lost try has a token');
  const asked = askedOf(task);
  if (asked !== null) return void fulfil(draft, task, asked);
  const charged = charge && !task.losses.some((loss) => loss.token === open.token);
  const losses = charged ? [...task.losses, chargeOf(open)] : task.losses;
  const happening: Happening = { event: 'lost_reported', ...about(open), reason };
  if (losses.length >= draft.ctx.policy.poisonLimit) {
    return failAsPoison(draft, { ...task, losses }, [happening]);
  }
  if (task.stopRequest?.kind === 'timeout') return failTry(draft, { ...task, losses }, TIMED_OUT);
  if (task.state === 'queued') {
    draft.put({ ...task, open: null, losses }, happening);
    return;
  }
  const queued = { queuedSince: draft.ctx.service, queuedMs: 0, resume: null };
  draft.put(move(task, 'releaseLostTry', { ...queued, open: null, losses, reason }), happening, {
    event: 'requeued',
    ...about(open),
    reason,
  });
}

/** P14: the third lost try that was seen running; the agents it took down are named. */
function failAsPoison(draft: Draft, task: TaskRow, outcome: Happening[]): void {
  const agentIds = [...new Set(task.losses.map((loss) => loss.agentId))];
  const message = `lost with its agent ${task.losses.length} times: ${agentIds.join(', ')}`;
  const happening: Happening = {
    event: 'poison',
    ...(task.open ? about(task.open) : {}),
    reason: 'poison',
    message,
  };
  const failed = move(task, 'failTask', { reason: 'poison', message, endedAt: draft.ctx.wall });
  draft.put(failed, ...outcome, happening);
  draft.notes.push({ kind: 'poison', taskId: task.taskId, agentIds });
}

/** A permit that was never started: queued again with a back-off, nothing counted, its queued time going on (P12-P14). */
export function voidPermit(draft: Draft, task: TaskRow, reason: string): void {
  const { open } = task;
  invariant(open, 'only an open permit can be void');
  const asked = askedOf(task);
  if (asked !== null) return void fulfil(draft, task, asked);
  const losses = task.losses.filter((loss) => loss.token !== open.token);
  const happening: Happening = { event: 'never_started', ...about(open), reason };
  // A segment that was not started leaves its try where it was, and its event unused (P16).
  const tryNumber = task.resume === null ? open.tryNumber - 1 : open.tryNumber;
  if (task.state === 'queued') {
    draft.put({ ...task, open: null, losses, tryNumber }, happening);
    return;
  }
  const wait = fullJitter(draft.ctx.policy.neverStartedBackoff, task.neverStarted, draft.ctx.random);
  draft.put(
    move(task, 'voidPermit', {
      open: null,
      losses,
      stopRequest: null,
      tryNumber,
      neverStarted: task.neverStarted + 1,
      queuedSince: draft.ctx.service,
      notBefore: wait > 0 ? later(draft.ctx.service, wait) : null,
      reason: 'never_started',
    }),
    happening,
  );
}

/** How a try ended badly. `final`: another one would end the same way. */
type TryEnd = Pick<Report, 'reason' | 'message' | 'exitCode' | 'final'>;

const TIMED_OUT: TryEnd = { reason: 'execution_timeout', message: '', exitCode: null, final: false };

/** A try ended badly by itself: another one if the user's retries allow it, else the task has failed. */
export function failTry(draft: Draft, task: TaskRow, { reason, message, exitCode, final }: TryEnd): void {
  // P10: of a lost try that something else closes the outcome is agent_lost; what follows is the task's.
  const about_ = task.open && !task.open.lost ? about(task.open) : {};
  const asked = askedOf(task);
  // Who clears a task wants it run again, and a failure is no answer to that; a success is (P15).
  if (asked?.kind === 'clear') return void fulfil(draft, { ...task, exitCode }, asked);
  if (final || task.retriesUsed >= task.retries) {
    const failed = move(task, 'failTask', { reason, message, exitCode, endedAt: draft.ctx.wall });
    draft.put(failed, ...lostOutcome(task), { event: 'failed', ...about_, reason, message });
    return;
  }
  // P15: the end was reported, so what waited for it is final: no other try of this kind.
  if (asked !== null) return void fulfil(draft, { ...task, exitCode }, asked);
  const wait = Math.max(1, equalJitter(task.retryBackoff, task.retriesUsed, draft.ctx.random));
  draft.put(
    move(task, 'retryTask', {
      ...leaveQueue(task, draft.ctx.service),
      open: null,
      stopRequest: null,
      retriesUsed: task.retriesUsed + 1,
      neverStarted: 0,
      resume: null,
      queuedMs: 0,
      notBefore: later(draft.ctx.service, wait),
      reason,
      message,
      exitCode,
    }),
    ...lostOutcome(task),
    { event: 'try_failed', ...about_, reason, message },
  );
}

/** P12: waited for strictly more than its queued timeout; final, whatever the user's retries. */
export function failFromQueue(draft: Draft, task: TaskRow): void {
  const message = `queued for more than ${task.queuedTimeoutMs / 1_000} s`;
  const failed = move(task, 'failTask', { reason: 'queued_timeout', message, endedAt: draft.ctx.wall });
  draft.put(failed, ...lostOutcome(task), { event: 'queued_timeout', reason: 'queued_timeout', message });
}

/** No try was permitted before the instant that its submitter named: too late to be of use, whatever its retries. */
export function failTooLate(draft: Draft, task: TaskRow): void {
  const message = `not started before ${new Date(task.startBefore ?? 0).toISOString()}`;
  const failed = move(task, 'failTask', { reason: 'expired', message, endedAt: draft.ctx.wall });
  draft.put(failed, ...lostOutcome(task), { event: 'expired', reason: 'expired', message });
}

function chargeOf(open: OpenPermit): ChargedLoss {
  return { token: open.token, tryNumber: open.tryNumber, agentId: open.agentId };
}

/**
 * P8: whether the brake is to be pulled. `failed` are the workers failed within the last L, those being failed now
 * included; `alive` is how many were alive one L ago.
 */
export function stormBrake(failed: number, alive: number): boolean {
  return failed >= 3 && failed * 2 > alive;
}

/** P8: how long ago a failure may be to count, on the monotonic clock. */
export function withinLease<T extends { readonly at: MonoMs }>(
  failures: readonly T[],
  now: MonoMs,
  leaseMs: number,
): T[] {
  return failures.filter((failure) => (now as number) - (failure.at as number) < leaseMs);
}

/** Tasks with a permit of this session whose agent is not lost. */
export function tasksOfSession(draft: Draft, agentId: AgentId, epoch: Epoch): TaskRow[] {
  return draft.openTasksOf(agentId).filter((task) => task.open?.epoch === epoch && task.open.lost === null);
}

/** P13: a permit that ended without a trace: never started if it was never shown, else lost at once. */
export function closeVanished(draft: Draft, taskId: TaskId, shown: boolean): void {
  const task = draft.task(taskId);
  if (!task?.open) return;
  if (shown) closeAsLost(draft, task, task.open.lost?.charged ?? true, 'vanished');
  else voidPermit(draft, task, 'never_held');
}
