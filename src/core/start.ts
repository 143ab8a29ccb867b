import type { Draft } from './draft.js';
import type { Permit, RefusalReason } from './frames.js';
import type { StartRequest } from './inputs.js';
import { leaseExpired } from './lease.js';
import { canServe } from './placement.js';
import type { Presence } from './presence.js';
import { about, lostOutcome } from './requests.js';
import type { AgentRow, OpenPermit, SessionRow, TaskRow } from './rows.js';
import { firstMatch } from './rules.js';
import { hasExpired, leaveQueue, move } from './task.js';

/** What a start request is decided on. */
export interface StartCase {
  readonly draft: Draft;
  readonly request: StartRequest;
  readonly session: SessionRow;
  readonly presence: Presence;
  readonly agent: AgentRow | undefined;
  readonly task: TaskRow | undefined;
  /** Runs that take a slot already, permits of this batch included. */
  readonly occupied: number;
}

/**
 * The compare-and-set behind every permit, row by row: the first that matches refuses. That the message came on the
 * session's newest stream was checked when it was taken in; the store checks once more that no row has changed.
 */
export const REFUSALS: readonly { readonly name: RefusalReason; readonly when: (c: StartCase) => boolean }[] =
  [
    { name: 'suspect', when: ({ session }) => session.state !== 'live' },
    { name: 'suspect', when: ({ session, draft }) => session.holder !== draft.ctx.coordinatorId },
    { name: 'suspect', when: ({ presence, draft }) => leaseExpired(presence.leaseEnds, draft.ctx.now) },
    { name: 'cordoned', when: ({ agent }) => agent === undefined || agent.cordoned || agent.draining },
    { name: 'inventory_unresolved', when: ({ presence }) => presence.unresolved },
    { name: 'recovering', when: ({ draft }) => draft.state.recovery !== null || draft.losesCommits },
    { name: 'task_unknown', when: ({ task }) => task === undefined },
    { name: 'already_permitted', when: ({ task }) => task?.state === 'running' },
    { name: 'not_queued', when: ({ task }) => task?.state !== 'queued' || task.notBefore !== null },
    // P11: released is what queued again means; a held loss never gets here, and must not if it ever did.
    { name: 'not_queued', when: ({ task }) => (task?.open?.lost?.heldUntil ?? null) !== null },
    // Too late: the next tick fails it.
    { name: 'not_queued', when: ({ task, draft }) => task !== undefined && hasExpired(task, draft.ctx.wall) },
    {
      name: 'offered_elsewhere',
      when: (c) => offeredTo(c) !== undefined && offeredTo(c) !== c.session.epoch,
    },
    { name: 'not_offered', when: (c) => offeredTo(c) === undefined },
    // Offers count the same places; what they cannot foresee is a limit lowered, or a run that came back.
    {
      name: 'concurrency_limit',
      when: ({ task, draft }) =>
        task !== undefined &&
        task.concurrencyKey !== '' &&
        !draft.held.keys.allows(task.concurrencyKey, task.concurrencyLimit),
    },
    {
      name: 'concurrency_limit',
      when: ({ task, draft }) =>
        draft.held.queues.count(task?.queue ?? '') >=
        (draft.queue(task?.queue ?? '')?.limit ?? Number.POSITIVE_INFINITY),
    },
    // It was moved to another queue by this very batch.
    { name: 'not_offered', when: ({ task, session }) => task !== undefined && !canServe(session, task) },
    { name: 'no_free_slot', when: ({ occupied, session }) => occupied >= session.slots },
  ];

function offeredTo({ draft, request }: StartCase) {
  return draft.state.offered.get(request.taskId)?.epoch;
}

/** Decides a start request. The same nonce of the same session gets the same permit again. */
export function decideStart(c: StartCase): Permit | RefusalReason {
  const { draft, request, session, task } = c;
  const { open } = task ?? {};
  if (task && open && open.nonce === request.nonce && open.instanceId === session.instanceId) {
    if (open.epoch === session.epoch && session.state === 'live') return permitFrame(task, open);
    return 'closed';
  }
  const refusal = firstMatch('start', REFUSALS, draft.ctx.tally, c);
  if (refusal !== undefined || task === undefined) return refusal?.name ?? 'task_unknown';
  return permitFrame(...confirmStart(draft, task, session, request));
}

/** Queued → running: draws the token, and closes the released token of a lost try by the same transaction (P10). */
function confirmStart(
  draft: Draft,
  task: TaskRow,
  session: SessionRow,
  request: StartRequest,
): [TaskRow, OpenPermit] {
  const offer = draft.state.presences.get(session.epoch)?.offers.get(task.taskId);
  makePlace(draft, task);
  const open: OpenPermit = {
    token: draft.drawToken(),
    // P16: a segment after a deferral belongs to the same try.
    tryNumber: task.resume === null ? task.tryNumber + 1 : task.tryNumber,
    agentId: session.agentId,
    instanceId: session.instanceId,
    epoch: session.epoch,
    nonce: request.nonce,
    permittedAt: draft.ctx.wall,
    permittedAtService: draft.ctx.service,
    lost: null,
  };
  const permitted = move(task, 'confirmStart', {
    ...leaveQueue(task, draft.ctx.service),
    open,
    tryNumber: open.tryNumber,
    lastToken: open.token,
    lastAgentId: open.agentId,
  });
  const offeredAt = offer === undefined ? null : offeredWall(draft, offer.at);
  return [
    draft.put(permitted, ...lostOutcome(task), { event: 'permitted', ...about(open), offeredAt }),
    open,
  ];
}

/**
 * A released token stays open only in case its agent returns (P10). When a permit of its concurrency key needs the place,
 * that is over: never more tokens of a key are open than its limit, and a run that returns later is stopped as superseded.
 */
function makePlace(draft: Draft, task: TaskRow): void {
  const { concurrencyKey: key, concurrencyLimit } = task;
  if (key === '') return;
  const others = draft.releasedOf(key).filter(({ taskId }) => taskId !== task.taskId);
  const { keys } = draft.held;
  const excess = keys.count(key) + 1 + others.length - Math.min(concurrencyLimit, keys.limit(key));
  const oldestFirst = others.sort((a, b) => (a.lastToken < b.lastToken ? -1 : 1));
  for (const other of oldestFirst.slice(0, Math.max(0, excess)))
    draft.put({ ...other, open: null }, ...lostOutcome(other));
}

/** When the offer was made, by the wall clock: only its age is known exactly. */
function offeredWall(draft: Draft, at: Presence['lastHeard']): TaskRow['submittedAt'] {
  return ((draft.ctx.wall as number) -
    ((draft.ctx.now as number) - (at as number))) as TaskRow['submittedAt'];
}

/** The permit as it is told, the first time and every time again. */
export function permitFrame(task: TaskRow, open: OpenPermit): Permit {
  return {
    nonce: open.nonce,
    token: open.token,
    epoch: open.epoch,
    taskId: task.taskId,
    tryNumber: open.tryNumber,
    queue: task.queue,
    partitionPolicy: task.partitionPolicy,
    executionTimeoutMs: task.executionTimeoutMs,
    killGraceMs: task.killGraceMs,
    resumption: task.resume,
    instance: task.instance,
  };
}
