import { earliest, later, type MonoMs } from '../kit/time.js';
import { requestStop } from './ask.js';
import { advanceBackfills } from './dag/backfill.js';
import { endTimedOutRuns } from './dag/runs.js';
import { createDueRuns } from './dag/schedule.js';
import { failDeferred } from './dag/triggers.js';
import type { Draft } from './draft.js';
import { failFromQueue, failTooLate, releaseLostTry, stormBrake, withinLease } from './failure.js';
import { forgetAgents } from './forget.js';
import { repeatStops, voidUnshown } from './heartbeat.js';
import { leaseExpired, leaseTerms, silenceLimitMs } from './lease.js';
import { canServe } from './placement.js';
import { rankOf } from './rank.js';
import { stillHeld } from './requests.js';
import type { SessionRow, TaskRow } from './rows.js';
import { firstMatch } from './rules.js';
import { failAgent } from './session.js';
import { executionDeadline, hasExpired, leaveQueue, move, queuedDeadline } from './task.js';

/** What time alone brings about: leases that end, streams that fall silent, deadlines of tasks. */
export function decideTick(draft: Draft): void {
  forgetAgents(draft);
  if (draft.ctx.now >= draft.state.lookAtPresences) lookAtPresences(draft);
  repeatStops(draft);
  endTimedOutRuns(draft);
  createDueRuns(draft);
  advanceBackfills(draft);
  for (const { taskId } of draft.loaded.due) {
    // What this batch has changed already has deadlines of its own; they come with the next tick.
    const task = draft.tasks.has(taskId) ? undefined : draft.task(taskId);
    if (task !== undefined) firstMatch('due', DUE_RULES, draft.ctx.tally, draft, task)?.then(draft, task);
  }
}

/** Looks at all presences for what is not due at a certain instant, as often as this in each interval of heartbeats. */
const LOOKS_PER_HEARTBEAT = 5;

/** Of thousands of agents hardly one is due with a tick, so all of them are looked at only when the first one can be. */
function lookAtPresences(draft: Draft): void {
  failExpired(draft);
  const silentAt = closeSilent(draft);
  voidUnshown(draft);
  const { ctx, state } = draft;
  let next = later(ctx.now, ctx.policy.heartbeatIntervalMs / LOOKS_PER_HEARTBEAT);
  if (silentAt !== null && silentAt < next) next = silentAt;
  for (const { leaseEnds } of state.presences.values()) if (leaseEnds < next) next = leaseEnds;
  draft.nextLook = next;
}

/** P1: every lease that is over; P8: the brake is judged over all of them together. */
function failExpired(draft: Draft): void {
  const { now, policy } = draft.ctx;
  const failing: SessionRow[] = [];
  for (const presence of draft.state.presences.values()) {
    // A Hello is a heartbeat (P5): its lease counts once it is settled, by this batch or by one that follows.
    if (!leaseExpired(presence.leaseEnds, now) || draft.attaches(presence.epoch)) continue;
    if (presence.greetings.size > 0) continue;
    const session = draft.session(presence.epoch);
    if (session?.state === 'live') failing.push(session);
  }
  if (failing.length === 0) return;
  const workers = failing.filter((session) => session.kind === 'worker');
  const brake = policy.stormBrake && workers.length > 0 && braked(draft, workers.length);
  for (const { epoch } of workers) {
    const aliveSince = draft.state.aliveSince.get(epoch) ?? now;
    draft.failures.push({ at: now, aliveSince, braked: brake });
  }
  for (const session of failing) failAgent(draft, session, brake);
}

/** P8: more than half of the workers alive one L ago, at least three, have failed within one L. */
function braked(draft: Draft, failing: number): boolean {
  const { now, policy } = draft.ctx;
  const { leaseMs } = leaseTerms(policy.heartbeatIntervalMs);
  const then = later(now, -leaseMs);
  const recent = withinLease(draft.state.recentFailures, now, leaseMs);
  const failed = recent.length + failing;
  let alive = recent.filter((failure) => failure.aliveSince <= then).length;
  for (const [epoch, since] of draft.state.aliveSince) {
    if (since <= then && draft.session(epoch)?.kind === 'worker') alive++;
  }
  if (!stormBrake(failed, alive)) return false;
  // The agents of one storm fail over many ticks: only a storm without a braked failure in the last L is news.
  if (!recent.some((failure) => failure.braked)) draft.notes.push({ kind: 'storm_brake', failed, alive });
  return true;
}

/**
 * P4: after 1.5 H without a heartbeat the stream is lost, whatever TCP says; the lease goes on to its own end. Tells when the
 * first of the others is, if nothing is heard on it.
 */
function closeSilent(draft: Draft): MonoMs | null {
  let next: MonoMs | null = null;
  for (const { streamId, agentId, epoch, lastHeard } of draft.state.presences.values()) {
    if (streamId === null) continue;
    const session = draft.session(epoch);
    if (session?.state !== 'live') continue;
    const silentAt = later(lastHeard, silenceLimitMs(session.heartbeatMs));
    if (draft.ctx.now < silentAt || draft.attaches(epoch)) {
      next = earliest(next, silentAt);
      continue;
    }
    draft.closings.push({ streamId, reason: 'silent' });
    draft.notes.push({ kind: 'agent_suspect', agentId, epoch });
  }
  return next;
}

/** What the deadline of a task brings about. The first row that matches. */
export const DUE_RULES: readonly {
  readonly name: string;
  readonly when: (draft: Draft, task: TaskRow) => boolean;
  readonly then: (draft: Draft, task: TaskRow) => void;
}[] = [
  // First: what comes too late must not enter the queue, however long nobody looked.
  { name: 'expired', when: (draft, task) => hasExpired(task, draft.ctx.wall), then: failTooLate },
  {
    name: 'start_after',
    when: ({ ctx }, { state, startAfter }) =>
      state === 'scheduled' && startAfter !== null && ctx.wall >= startAfter,
    then: (draft, task) => {
      const { service, policy } = draft.ctx;
      const rank = rankOf(task.priority, service, policy);
      // One that an operator has had tried again may wait for its instant and have a run alive nonetheless (P11).
      const notBefore = stillHeld(task, service);
      draft.put(move(task, 'queueTask', { queuedSince: service, queuedMs: 0, rank, notBefore }), {
        event: 'queued',
      });
    },
  },
  {
    name: 'queued_timeout_waits',
    when: (draft, task) =>
      overdue(draft, task) && draft.ctx.policy.queuedTimeoutWaitsForAgent && !served(draft, task),
    then: (draft, task) => {
      // Nobody could have run it: the count starts again, so that a returning agent has all of the time.
      draft.put({ ...task, queuedSince: draft.ctx.service, queuedMs: 0 });
    },
  },
  { name: 'queued_timeout', when: overdue, then: failFromQueue },
  {
    name: 'release',
    when: (draft, task) => passed(draft, task.state === 'running' ? task.open?.lost?.heldUntil : null),
    then: (draft, task) => releaseLostTry(draft, task),
  },
  {
    name: 'queue_retry',
    when: (draft, task) => task.state === 'up_for_retry' && passed(draft, task.notBefore),
    then: (draft, task) => {
      const { service, policy } = draft.ctx;
      const rank = rankOf(task.priority, service, policy);
      const left = leaveQueue(task, service);
      // An instance has left its place in its pool, and waits for one like any other.
      if (task.instance !== null)
        draft.put(move(task, 'scheduleRetry', { ...left, rank }), { event: 'retry_scheduled' });
      else
        draft.put(move(task, 'queueRetry', { ...left, queuedSince: service, queuedMs: 0, rank }), {
          event: 'retry_queued',
        });
    },
  },
  {
    name: 'deferral_timeout',
    when: (draft, task) => task.state === 'deferred' && passed(draft, task.notBefore),
    then: (draft, task) =>
      failDeferred(draft, task, {
        reason: 'deferral_timeout',
        message: 'its event did not come in time',
      }),
  },
  {
    name: 'ready_again',
    when: (draft, task) => task.state === 'queued' && passed(draft, task.notBefore),
    then: (draft, task) => {
      draft.put({ ...task, notBefore: null });
    },
  },
  {
    name: 'execution_timeout',
    when: (draft, task) => passed(draft, executionDeadline(task, draft.leaseMs)),
    then: (draft, task) =>
      requestStop(draft, task.taskId, 'timeout', 'ran longer than its execution timeout'),
  },
];

function overdue(draft: Draft, task: TaskRow): boolean {
  return passed(draft, queuedDeadline(task));
}

function passed(draft: Draft, deadline: TaskRow['queuedSince'] | undefined): boolean {
  return deadline !== null && deadline !== undefined && draft.ctx.service >= deadline;
}

/** Whether a live agent serves the task's queue and labels. */
function served(draft: Draft, task: TaskRow): boolean {
  for (const epoch of draft.state.presences.keys()) {
    const session = draft.session(epoch);
    if (session?.state === 'live' && canServe(session, task)) return true;
  }
  return false;
}
