import type { Epoch, TaskId } from '../kit/ids.js';
import { LazyMap } from '../kit/lazy.js';
import { add, drop, toBack } from '../kit/sets.js';
import { later, type MonoMs, SECOND } from '../kit/time.js';
import type { AckParts, Acks } from './acks.js';
import type { Context } from './inputs.js';
import { compareReady, type Lane } from './lanes.js';
import type { Presence } from './presence.js';
import type { AgentRow, Needs, SessionRow, TaskRow } from './rows.js';
import { firstMatch, type Tally } from './rules.js';
import type { State } from './state.js';

/** Whether an agent may be offered tasks of a lane: its kind, queue, labels and handlers fit (I4). */
export function canServe(
  session: Pick<SessionRow, 'kind' | 'queues' | 'labels' | 'handlers'>,
  { queue, requiredLabels, handler }: Needs,
): boolean {
  if (session.kind !== 'worker' || !session.queues.includes(queue)) return false;
  if (handler !== '' && !session.handlers.includes(handler)) return false;
  for (const name in requiredLabels) if (session.labels[name] !== requiredLabels[name]) return false;
  return true;
}

/** Why an agent gets no offers now. The first row that matches; none lets it have some (I4). */
export const OFFER_BLOCKS: readonly {
  readonly name: string;
  readonly when: (state: State, presence: Presence) => boolean;
}[] = [
  { name: 'session_over', when: (state, { epoch }) => state.sessions.get(epoch)?.state !== 'live' },
  { name: 'suspect', when: (_, { streamId }) => streamId === null },
  { name: 'cordoned', when: (state, { agentId }) => isSteered(state.agents.get(agentId)) },
  { name: 'inventory_unresolved', when: (_, { unresolved }) => unresolved },
  { name: 'recovering', when: ({ recovery }) => recovery !== null },
];

function isSteered(agent: AgentRow | undefined): boolean {
  return agent === undefined || agent.cordoned || agent.draining;
}

/** Why an agent gets no offers now; null when it may have some (I4). */
export function offerBlock(state: State, presence: Presence, tally?: Tally): string | null {
  return firstMatch('offer', OFFER_BLOCKS, tally, state, presence)?.name ?? null;
}

/** An agent that has told ends within this may soon have slots for as many tasks at once. */
const ENDED_LATELY_MS = SECOND;

/**
 * Offers write nothing and promise nothing, so they are made after the commit, on what is settled. `acks` collects what
 * is said to each stream.
 */
export class Placement {
  readonly #state: State;
  readonly #ctx: Context;
  readonly #acks: Acks;
  /** When they are told: their time to be answered in begins then. */
  readonly #told: MonoMs;
  /** Slots of each session that no run takes: offers are all that changes while they are made. */
  readonly #vacant = new LazyMap<Epoch, number>();

  constructor(state: State, ctx: Context, acks: Acks, told: MonoMs) {
    this.#state = state;
    this.#ctx = ctx;
    this.#acks = acks;
    this.#told = told;
  }

  /** Drops offers that nobody answers, measures the room of agents that changed, and fills it with waiting tasks. */
  run(): void {
    const changed = [...this.#state.dirty];
    this.#state.dirty.clear();
    for (const epoch of changed) this.#measure(epoch);
    this.#fill(this.#state.roomy, false);
    this.#withdrawExtras();
    this.#fill(this.#state.hungry, true);
  }

  /** Unanswered offers within free slots end after 2 H; those beyond, when the agent ends no more as many at once. */
  lapseOffers(): void {
    for (const presence of this.#state.presences.values()) {
      if (presence.offers.size === 0) continue;
      const session = this.#state.sessions.get(presence.epoch);
      if (session !== undefined) this.#lapseExtras(presence, session);
      const limit = 2 * (session?.heartbeatMs ?? 0);
      for (const [taskId, offer] of presence.offers) {
        if (offer.extra || (this.#ctx.now as number) - (offer.at as number) < limit) continue;
        this.#withdraw(presence, taskId);
      }
    }
  }

  #lapseExtras(presence: Presence, session: SessionRow): void {
    let tooMany = presence.extras - this.#prefetch(presence, session);
    if (tooMany <= 0) return;
    for (const [taskId, { extra }] of [...presence.offers].reverse()) {
      if (!extra) continue;
      this.#withdraw(presence, taskId);
      if (--tooMany === 0) return;
    }
  }

  /**
   * Offers beyond its free slots that an agent may have: the policy's, or as many as it has ended at once a moment ago. A
   * message of it then tells the ends of one lot and asks for the next, and the answer permits that.
   */
  #prefetch({ ended }: Presence, { slots }: SessionRow): number {
    const { prefetch } = this.#ctx.policy;
    if (prefetch === 0 || ended === null || this.#ctx.now >= later(ended.at, ENDED_LATELY_MS))
      return prefetch;
    return Math.max(prefetch, Math.min(ended.count, slots));
  }

  /** Free slots that no offer is open for; negative when there are more offers than free slots. */
  #room(presence: Presence, session: SessionRow): number {
    let vacant = this.#vacant.get(presence.epoch);
    if (vacant === undefined) {
      vacant = this.#countVacant(presence, session);
      this.#vacant.set(presence.epoch, vacant);
    }
    return vacant - presence.offers.size;
  }

  #countVacant(presence: Presence, { slots }: SessionRow): number {
    if (offerBlock(this.#state, presence, this.#ctx.tally) !== null) return Number.NEGATIVE_INFINITY;
    return Math.min(slots, presence.capacity) - this.#state.occupied(presence);
  }

  #measure(epoch: Epoch): void {
    const session = this.#state.sessions.get(epoch);
    if (session === undefined) return;
    const presence = this.#state.presences.get(epoch);
    const room = presence === undefined ? Number.NEGATIVE_INFINITY : this.#room(presence, session);
    if (presence !== undefined && room === Number.NEGATIVE_INFINITY) this.#withdrawAll(presence);
    else if (presence !== undefined) this.#settleExtras(presence, room);
    if (presence !== undefined && room > 0) presence.overasked = false;
    const isHungry = presence?.overasked === false && room <= 0 && room > -this.#prefetch(presence, session);
    for (const queue of session.queues) {
      if (room > 0) add(this.#state.roomy, queue, epoch);
      else drop(this.#state.roomy, queue, epoch);
      if (isHungry) add(this.#state.hungry, queue, epoch);
      else drop(this.#state.hungry, queue, epoch);
    }
  }

  /** Whom nothing may be permitted to holds back nothing either: what it was offered waits for others (I4). */
  #withdrawAll(presence: Presence): void {
    for (const taskId of [...presence.offers.keys()]) this.#withdraw(presence, taskId);
  }

  /** Offers beyond the free slots become ordinary ones, and their time starts, when slots are free for them. */
  #settleExtras(presence: Presence, room: number): void {
    let beyond = Math.min(presence.offers.size, Math.max(0, -room));
    if (beyond === presence.extras) return;
    for (const [taskId, offer] of [...presence.offers].reverse()) {
      const extra = beyond > 0;
      if (extra) beyond--;
      const task = this.#state.offered.get(taskId)?.task;
      if (offer.extra !== extra && task) this.#state.putOffer(presence, task, { at: this.#told, extra });
    }
  }

  #fill(candidates: ReadonlyMap<string, Set<Epoch>>, extra: boolean): void {
    for (;;) {
      const found = this.#best(candidates);
      if (found === null) return;
      const { lane, presence } = found;
      const task = this.#state.lanes.take(lane);
      if (task === undefined) return;
      this.#offer(presence, task, extra);
    }
  }

  /** The task that goes first among all lanes for which an agent has room, and that agent. */
  #best(candidates: ReadonlyMap<string, Set<Epoch>>): { lane: Lane; presence: Presence } | null {
    let best: { lane: Lane; presence: Presence } | null = null;
    for (const [queue, epochs] of candidates) {
      if (!this.#state.hasQueueRoom(queue)) continue;
      for (const group of this.#state.lanes.inQueue(queue)) {
        const lane = group.open.first();
        const head = lane?.tasks[0];
        if (lane === undefined || head === undefined) continue;
        const rival = best?.lane.tasks[0];
        if (rival !== undefined && compareReady(rival, head) <= 0) continue;
        const presence = this.#firstServing(epochs, group);
        if (presence !== null) best = { lane, presence };
      }
    }
    return best;
  }

  #firstServing(epochs: ReadonlySet<Epoch>, needs: Needs): Presence | null {
    for (const epoch of epochs) {
      const session = this.#state.sessions.get(epoch);
      const presence = this.#state.presences.get(epoch);
      if (session === undefined || presence === undefined) continue;
      if (!canServe(session, needs)) continue;
      return presence;
    }
    return null;
  }

  #offer(presence: Presence, task: TaskRow, extra: boolean): void {
    // failpoint: FP1 before
    this.#state.putOffer(presence, task, { at: this.#told, extra });
    const parts = this.#say(presence);
    if (parts !== null) {
      // Withdrawals are applied after offers: one of the same message would undo this offer.
      parts.withdrawals = parts.withdrawals.filter((taskId) => taskId !== task.taskId);
      parts.offers.push({ taskId: task.taskId, queue: task.queue });
    }
    // failpoint: FP1 after
    // Agents take turns.
    const session = this.#state.sessions.get(presence.epoch);
    for (const queue of session?.queues ?? []) {
      toBack(this.#state.roomy.get(queue), presence.epoch);
      toBack(this.#state.hungry.get(queue), presence.epoch);
    }
    this.#measure(presence.epoch);
  }

  /** An offer beyond one agent's slots goes to another agent that has a free one now. */
  #withdrawExtras(): void {
    for (const [queue, taskIds] of this.#state.extras) {
      if (!this.#state.roomy.has(queue)) continue;
      for (const taskId of [...taskIds]) {
        // Looked up each time: an offer that fills the last room replaces the set.
        const roomy = this.#state.roomy.get(queue);
        if (roomy === undefined) break;
        this.#moveExtra(taskId, roomy);
      }
    }
  }

  #moveExtra(taskId: TaskId, roomy: ReadonlySet<Epoch>): void {
    const offered = this.#state.offered.get(taskId);
    const holder = offered && this.#state.presences.get(offered.epoch);
    if (!offered || !holder) return;
    const other = this.#firstServing(roomy, offered.task);
    if (other === null || other === holder) return;
    this.#withdraw(holder, taskId);
    this.#state.lanes.remove(offered.task);
    this.#offer(other, offered.task, false);
  }

  /** Takes an offer back: the task waits in its lane again. */
  #withdraw(presence: Presence, taskId: TaskId): void {
    this.#state.takeBackOffer(presence, taskId);
    this.#say(presence)?.withdrawals.push(taskId);
  }

  #say(presence: Presence): AckParts | null {
    return presence.streamId === null ? null : this.#acks.say(presence.streamId);
  }
}
