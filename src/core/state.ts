import type { AgentId, Epoch, StreamId, TaskId, Token } from '../kit/ids.js';
import { add, drop } from '../kit/sets.js';
import { later, type MonoMs } from '../kit/time.js';
import { type DagStart, DagState } from './dag/state.js';
import type { Note } from './frames.js';
import { compareReady, type Lane, type LaneParts, Lanes } from './lanes.js';
import { leaseTerms, recoveryTermMs } from './lease.js';
import type { Policy } from './policy.js';
import { newPresence, type OpenOffer, type Presence } from './presence.js';
import { owes, waitEnds } from './recovery.js';
import {
  type AgentRow,
  type Counters,
  isReady,
  type QueueRow,
  type SessionRow,
  type TaskRow,
} from './rows.js';
import { holdsPlace, isReleased, Places } from './usage.js';

/** The rows that a coordinator starts from (see Store.load). */
export interface Start {
  readonly counters: Counters;
  readonly agents: readonly AgentRow[];
  readonly sessions: readonly SessionRow[];
  readonly openTasks: readonly TaskRow[];
  readonly lanes: readonly ({ readonly key: string; readonly waiting: number } & LaneParts)[];
  readonly queues: readonly QueueRow[];
  readonly dags: DagStart;
}

export interface Offered {
  readonly epoch: Epoch;
  task: TaskRow;
}

/** P8: when a worker was failed, since when it had been alive, and whether it was failed under the brake. */
export interface WorkerFailure {
  readonly at: MonoMs;
  readonly aliveSince: MonoMs;
  readonly braked: boolean;
}

/** P18: the store lost commits; permits wait until L has passed. */
export interface Recovery {
  readonly until: MonoMs;
}

/**
 * What the coordinator keeps in memory: committed rows that decisions need again and again, the volatile presences, and
 * indexes over both. Rows change only in `settle`, after their commit; presences change as the agents speak.
 */
export class State {
  counters: Counters;
  readonly agents = new Map<AgentId, AgentRow>();
  /** Live sessions, and the newest session of each agent. */
  readonly sessions = new Map<Epoch, SessionRow>();
  readonly newest = new Map<AgentId, Epoch>();
  readonly presences = new Map<Epoch, Presence>();
  /** Presences that have a stream, by it. */
  readonly streams = new Map<StreamId, Presence>();
  /** Every task with an open token, by the token. */
  readonly open = new Map<Token, TaskRow>();
  readonly openByAgent = new Map<AgentId, Set<Token>>();
  /** Open tokens whose agent is not lost, by session. */
  readonly permits = new Map<Epoch, Set<Token>>();
  /** Open tokens with a cancel or timeout that waits for its agent (P15). */
  readonly stopRequests = new Set<Token>();
  readonly offered = new Map<TaskId, Offered>();
  /** Offered tasks beyond their agent's free slots, by queue: the first to go to another agent (prefetch). */
  readonly extras = new Map<string, Set<TaskId>>();
  readonly lanes: Lanes;
  /** Ready tasks by queue, those that are offered and those that only the store has included. */
  readonly waiting = new Map<string, number>();
  /** Queues that an operator has spoken of. */
  readonly queues = new Map<string, QueueRow>();
  /** The places that running tasks hold, and those that running and offered ones do. */
  readonly held = new Places();
  readonly claimed = new Places();
  /** Tasks that are queued again with their lost token open, by concurrency key. */
  readonly released = new Map<string, Set<TaskId>>();
  /** Sessions whose room must be looked at again. */
  readonly dirty = new Set<Epoch>();
  /** Sessions with a free slot, by queue. */
  readonly roomy = new Map<string, Set<Epoch>>();
  /** Full sessions that may take an offer more (prefetch), by queue. */
  readonly hungry = new Map<string, Set<Epoch>>();
  /** Failures of workers within the last L, for the storm brake (P8). */
  recentFailures: WorkerFailure[] = [];
  recovery: Recovery | null = null;
  /** When all agents are looked at again, for those that have been away for long. */
  lookAtAgents: MonoMs;
  /** Before this instant no lease ends and no stream is silent for too long: heartbeats only postpone both. */
  lookAtPresences: MonoMs;
  /** Facts that people should hear of; they leave with the next batch. */
  readonly notes: Note[] = [];
  /** When each live session was granted or recovered, on our clock (P8 asks who was alive one L ago). */
  readonly aliveSince = new Map<Epoch, MonoMs>();

  /** Live sessions of triggerers. */
  readonly triggerers = new Set<Epoch>();

  readonly dags: DagState;

  constructor(policy: Policy, start: Start, now: MonoMs) {
    this.dags = new DagState(start.dags);
    this.counters = start.counters;
    this.lookAtAgents = now;
    this.lookAtPresences = now;
    this.lanes = new Lanes(policy.limits.laneWindow, this.claimed.keys);
    for (const queue of start.queues) this.queues.set(queue.queue, queue);
    for (const agent of start.agents) this.agents.set(agent.agentId, agent);
    const live = start.sessions.filter((session) => session.state === 'live');
    if (owes(start.counters, 'wait')) this.recovery = { until: waitEnds(policy, start.sessions, now) };
    for (const session of start.sessions) this.putSession(session);
    for (const epoch of [...this.dags.triggers.sessions])
      if (!this.triggerers.has(epoch)) this.dags.triggers.release(epoch);
    for (const session of live) {
      const term = recoveryTermMs(
        leaseTerms(policy.heartbeatIntervalMs).leaseMs,
        session.leaseMs,
        live.length,
        policy.recoveryPerSecond,
      );
      this.presences.set(session.epoch, newPresence(session.epoch, session.agentId, later(now, term), now));
      this.aliveSince.set(session.epoch, now);
    }
    for (const task of start.openTasks) this.#putTask(undefined, task);
    for (const lane of start.lanes) {
      this.lanes.known(lane.key, lane, false);
      this.#countWaiting(lane.queue, lane.waiting);
    }
  }

  /** Somebody has come whose silence may be too long sooner than that of all others. */
  lookNoLaterThan(at: MonoMs): void {
    if (at < this.lookAtPresences) this.lookAtPresences = at;
  }

  presenceOfStream(streamId: StreamId): Presence | undefined {
    return this.streams.get(streamId);
  }

  liveSession(agentId: AgentId): SessionRow | undefined {
    const session = this.newestSession(agentId);
    return session?.state === 'live' ? session : undefined;
  }

  newestSession(agentId: AgentId): SessionRow | undefined {
    const epoch = this.newest.get(agentId);
    return epoch === undefined ? undefined : this.sessions.get(epoch);
  }

  /** A task that memory knows by an open token or an offer. */
  knownTask(taskId: TaskId): TaskRow | undefined {
    return this.offered.get(taskId)?.task ?? this.#openByTask.get(taskId);
  }

  readonly #openByTask = new Map<TaskId, TaskRow>();

  putSession(session: SessionRow): void {
    this.#leaveQueues(session.epoch);
    if (session.kind === 'triggerer' && session.state === 'live') this.triggerers.add(session.epoch);
    else this.triggerers.delete(session.epoch);
    const newest = this.newest.get(session.agentId);
    if (newest !== undefined && newest > session.epoch) {
      if (session.state !== 'live') this.sessions.delete(session.epoch);
      return;
    }
    if (newest !== undefined && newest !== session.epoch) {
      this.#leaveQueues(newest);
      this.sessions.delete(newest);
    }
    this.newest.set(session.agentId, session.epoch);
    this.sessions.set(session.epoch, session);
  }

  /** An agent was removed from the store, with its sessions; none of them is live. */
  forgetAgent(agentId: AgentId): void {
    const newest = this.newest.get(agentId);
    if (newest !== undefined) {
      this.#leaveQueues(newest);
      this.sessions.delete(newest);
    }
    this.newest.delete(agentId);
    this.agents.delete(agentId);
  }

  /** Whoever measures its room next lists it again, under the queues that it serves then. */
  #leaveQueues(epoch: Epoch): void {
    for (const queue of this.sessions.get(epoch)?.queues ?? []) {
      drop(this.roomy, queue, epoch);
      drop(this.hungry, queue, epoch);
    }
  }

  /** A task was committed: everything that is kept of its old row is of its new one now. */
  settleTask(old: TaskRow | undefined, task: TaskRow): void {
    if (old !== undefined && isReady(old)) this.#countWaiting(old.queue, -1);
    if (isReady(task)) this.#countWaiting(task.queue, 1);
    this.#putTask(old, task);
  }

  #countWaiting(queue: string, by: number): void {
    const count = (this.waiting.get(queue) ?? 0) + by;
    if (count === 0) this.waiting.delete(queue);
    else this.waiting.set(queue, count);
  }

  /** Moves a task from its old row to its new one in every index. */
  #putTask(old: TaskRow | undefined, task: TaskRow): void {
    this.#unindexOpen(old);
    this.#indexOpen(task);
    this.#countPlaces(old, task);
    const offered = this.offered.get(task.taskId);
    const waits = isReady(task);
    if (offered !== undefined) {
      if (waits) offered.task = task;
      return;
    }
    if (old !== undefined && isReady(old)) this.lanes.remove(old);
    if (waits && old !== undefined) this.lanes.insert(task);
    else if (waits && task.open === null) this.lanes.insert(task);
  }

  #countPlaces(old: TaskRow | undefined, task: TaskRow): void {
    for (const [row, by] of [[old, -1] as const, [task, 1] as const]) {
      if (row === undefined || !holdsPlace(row)) continue;
      this.held.add(row, by);
      this.#claim(row, by);
    }
    const { concurrencyKey: key, taskId } = task;
    if (key === '') return;
    if (isReleased(task)) add(this.released, key, taskId);
    else drop(this.released, key, taskId);
  }

  #claim(task: TaskRow, by: 1 | -1): void {
    this.claimed.add(task, by);
    if (task.concurrencyKey !== '') this.lanes.recheck(task.concurrencyKey);
  }

  /** Whether another task of the queue may start now; offers that are open count as started. */
  hasQueueRoom(queue: string): boolean {
    return this.claimed.queues.count(queue) < (this.queues.get(queue)?.limit ?? Number.POSITIVE_INFINITY);
  }

  #unindexOpen(old: TaskRow | undefined): void {
    const open = old?.open;
    if (!old || !open) return;
    this.open.delete(open.token);
    this.stopRequests.delete(open.token);
    this.#openByTask.delete(old.taskId);
    drop(this.openByAgent, open.agentId, open.token);
    if (open.lost === null) {
      drop(this.permits, open.epoch, open.token);
      this.dirty.add(open.epoch);
    }
  }

  #indexOpen(task: TaskRow): void {
    const { open } = task;
    if (!open) return;
    this.open.set(open.token, task);
    if (task.stopRequest !== null) this.stopRequests.add(open.token);
    this.#openByTask.set(task.taskId, task);
    add(this.openByAgent, open.agentId, open.token);
    if (open.lost === null) {
      add(this.permits, open.epoch, open.token);
      this.dirty.add(open.epoch);
    }
  }

  /** Notes an offer, or that an offer has become (or is no longer) one beyond the free slots. */
  putOffer(presence: Presence, task: TaskRow, offer: OpenOffer): void {
    if (presence.offers.get(task.taskId)?.extra) presence.extras--;
    if (offer.extra) presence.extras++;
    presence.offers.set(task.taskId, offer);
    if (!this.offered.has(task.taskId)) this.#claim(task, 1);
    this.offered.set(task.taskId, { epoch: presence.epoch, task });
    if (offer.extra) add(this.extras, task.queue, task.taskId);
    else drop(this.extras, task.queue, task.taskId);
    this.dirty.add(presence.epoch);
  }

  /** Forgets an offer; the task as it was offered, or undefined when there was no such offer to this agent. */
  dropOffer(presence: Presence, taskId: TaskId): TaskRow | undefined {
    if (presence.offers.get(taskId)?.extra) presence.extras--;
    if (!presence.offers.delete(taskId)) return undefined;
    this.dirty.add(presence.epoch);
    const offered = this.offered.get(taskId);
    if (offered?.epoch !== presence.epoch) return undefined;
    this.offered.delete(taskId);
    this.#claim(offered.task, -1);
    drop(this.extras, offered.task.queue, taskId);
    return offered.task;
  }

  /** Takes an offer back: the task waits in its lane again. Nobody is told. */
  takeBackOffer(presence: Presence, taskId: TaskId): void {
    const task = this.dropOffer(presence, taskId);
    if (task !== undefined) this.lanes.insert(task);
  }

  /** Runs that take a slot of this session: open permits, and runs that still stop after their token closed (I4). */
  occupied(presence: Presence): number {
    const permits = this.permits.get(presence.epoch);
    let count = permits?.size ?? 0;
    for (const entry of presence.inventory.runs()) {
      if ((entry.phase === 'running' || entry.phase === 'stopping') && !permits?.has(entry.token)) count++;
    }
    return count;
  }

  /** Lanes that run low while the store has more and somebody could take their tasks. */
  lanesToRefill(): Lane[] {
    return this.lanes.toRefill((queue) => this.roomy.has(queue) || this.hungry.has(queue));
  }

  /** How many tasks of a lane that the store has behind its window may be offered: the rest of them waits. */
  offeredBehind({ concurrencyKey, tasks }: Lane): number {
    if (concurrencyKey !== '') return Math.min(this.offered.size, this.claimed.keys.count(concurrencyKey));
    const last = tasks.at(-1);
    if (last === undefined) return this.offered.size;
    let behind = 0;
    for (const { task } of this.offered.values()) if (compareReady(task, last) > 0) behind++;
    return behind;
  }
}
