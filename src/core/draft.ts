import type { AgentId, Epoch, StreamId, TaskId, Token } from '../kit/ids.js';
import { NO_EPOCH, NO_TOKEN } from '../kit/ids.js';
import { invariant } from '../kit/invariant.js';
import { LazyMap, LazySet } from '../kit/lazy.js';
import type { MonoMs } from '../kit/time.js';
import { type AckParts, Acks } from './acks.js';
import { Admission } from './admission.js';
import { DagDraft } from './dag/draft.js';
import type { LoadedDags } from './dag/inputs.js';
import type { Acknowledgement, CloseReason, Note, RefusalReason, Refused, Verdict } from './frames.js';
import type { EventName } from './history.js';
import type { Context, Hello, Reply } from './inputs.js';
import { leaseTerms } from './lease.js';
import { done, leapt, owes } from './recovery.js';
import type { FinishedStretch, FinishedTask } from './retention.js';
import type {
  AgentRow,
  Counters,
  HistoryRow,
  OpenPermit,
  QueueRow,
  RecoveryStep,
  SessionRow,
  TaskRow,
  TaskSpecRow,
} from './rows.js';
import type { State, WorkerFailure } from './state.js';
import { holdsPlace, isReleased, Places } from './usage.js';

/** Rows that the engine read from the store because an input of the batch names them. */
export interface LoadedRows {
  readonly tasks: ReadonlyMap<TaskId, TaskRow>;
  readonly histories: ReadonlyMap<TaskId, readonly HistoryRow[]>;
  readonly byKey: ReadonlyMap<string, TaskRow>;
  /** Tasks whose deadline has passed, earliest first. */
  readonly due: readonly TaskRow[];
  /** For a step of retention; null when the batch has none. */
  readonly finished: FinishedStretch | null;
  readonly dags: LoadedDags;
}

/** A stream that becomes the stream of a session once this draft is committed. */
export interface Attachment {
  readonly streamId: StreamId;
  readonly at: MonoMs;
  readonly session: SessionRow;
  readonly hello: Hello;
  readonly verdicts: readonly Verdict[];
  readonly acknowledgements: readonly Acknowledgement[];
}

export interface Happening {
  readonly event: EventName;
  readonly agentId?: AgentId | '';
  readonly tryNumber?: number;
  readonly token?: Token;
  readonly epoch?: Epoch;
  readonly reason?: string;
  readonly message?: string;
  readonly offeredAt?: HistoryRow['offeredAt'];
}

/**
 * What one batch of inputs changes: decisions are made on it, the engine commits it, and only then is it settled into
 * the state and its frames let out. Thrown away as a whole when the commit fails.
 */
export class Draft {
  readonly state: State;
  readonly ctx: Context;
  readonly loaded: LoadedRows;
  readonly tasks = new Map<TaskId, TaskRow>();
  readonly specs: TaskSpecRow[] = [];
  readonly history: HistoryRow[] = [];
  readonly agents = new LazyMap<AgentId, AgentRow>();
  readonly sessions = new LazyMap<Epoch, SessionRow>();
  readonly queues = new LazyMap<string, QueueRow>();
  /** Places that running tasks hold, this draft's changes included. */
  readonly held: Places;
  /** Lanes and keys that this draft makes tasks wait in. */
  readonly admission: Admission;
  readonly attachments: Attachment[] = [];
  readonly refusals: { readonly streamId: StreamId; readonly refused: Refused }[] = [];
  readonly farewells: StreamId[] = [];
  /** Streams that this batch attaches and that were lost within it. */
  readonly gone: StreamId[] = [];
  readonly closings: { readonly streamId: StreamId; readonly reason: CloseReason }[] = [];
  readonly replies: { readonly callId: number; readonly reply: Reply }[] = [];
  readonly notes: Note[] = [];
  /** Workers failed by this draft, for the storm brake (P8). */
  readonly failures: WorkerFailure[] = [];
  readonly acks = new Acks();
  /** Offers that were asked for and refused. */
  readonly spent: { readonly epoch: Epoch; readonly taskId: TaskId; readonly reason: RefusalReason }[] = [];
  /** Tasks that retention removes, with the version that it decided on. */
  readonly removals = new LazyMap<TaskId, number>();
  /** Agents that are forgotten, with the version that it was decided on. */
  readonly agentRemovals = new LazyMap<AgentId, number>();
  /** Whether all agents were looked at for that. */
  agentsSeen = false;
  /** When all presences are looked at again, if this draft has done so; null if it has not. */
  nextLook: MonoMs | null = null;
  /** How far a step of retention has come; null when there is nothing more to remove. */
  prunedTo: FinishedTask | null = null;
  counters: Counters;
  readonly #bases = new LazyMap<TaskId, TaskRow>();
  readonly #openByToken = new LazyMap<Token, TaskId | null>();
  readonly #byKey = new LazyMap<string, TaskRow>();
  readonly #released = new LazySet<TaskId>();
  readonly #permitDelta = new LazyMap<Epoch, number>();
  #dags: DagDraft | null = null;

  constructor(state: State, ctx: Context, loaded: LoadedRows) {
    this.state = state;
    this.ctx = ctx;
    this.loaded = loaded;
    this.counters = state.counters;
    this.held = new Places(state.held);
    this.admission = new Admission(state.lanes, ctx.policy.limits);
  }

  /** What it changes of DAGs; made for the first who asks, because most batches have nothing of theirs. */
  get dags(): DagDraft {
    this.#dags ??= new DagDraft(this.state.dags, this.loaded.dags);
    return this.#dags;
  }

  /** The same, or null when it changes nothing of DAGs, since nobody has asked. */
  get touchedDags(): DagDraft | null {
    return this.#dags;
  }

  /** L of sessions granted now, in milliseconds. */
  get leaseMs(): number {
    return leaseTerms(this.ctx.policy.heartbeatIntervalMs).leaseMs;
  }

  task(taskId: TaskId): TaskRow | undefined {
    if (this.removals.has(taskId)) return undefined;
    return this.tasks.get(taskId) ?? this.state.knownTask(taskId) ?? this.loaded.tasks.get(taskId);
  }

  /** The task as committed, before this draft; undefined for one that this draft creates. */
  base(taskId: TaskId): TaskRow | undefined {
    return this.#bases.get(taskId);
  }

  taskByKey(key: string): TaskRow | undefined {
    const known = this.#byKey.get(key) ?? this.loaded.byKey.get(key);
    return known !== undefined && this.removals.has(known.taskId) ? undefined : known;
  }

  /** Takes a finished task out, with its history and its idempotency key. */
  remove(task: TaskRow): void {
    invariant(!this.tasks.has(task.taskId), 'a task is written or removed by one draft, never both');
    this.removals.set(task.taskId, task.version);
    this.dags.noteRemoval(task.taskId);
  }

  /** The task whose open token this is. */
  openTask(token: Token): TaskRow | undefined {
    const taskId = this.#openByToken.get(token);
    if (taskId === null) return undefined;
    return taskId === undefined ? this.#current(this.state.open.get(token)) : this.tasks.get(taskId);
  }

  /** Every task that has an open token permitted to this agent, over all its sessions. */
  openTasksOf(agentId: AgentId): TaskRow[] {
    const found: TaskRow[] = [];
    for (const token of this.state.openByAgent.get(agentId) ?? []) {
      const task = this.openTask(token);
      if (task?.open?.agentId === agentId) found.push(task);
    }
    for (const task of this.tasks.values()) {
      if (task.open?.agentId === agentId && !this.state.open.has(task.open.token)) found.push(task);
    }
    return found;
  }

  /** Open tokens of a session whose agent is not lost, this draft's changes included. */
  permits(epoch: Epoch): number {
    return (this.state.permits.get(epoch)?.size ?? 0) + (this.#permitDelta.get(epoch) ?? 0);
  }

  historyOf(taskId: TaskId): HistoryRow[] {
    const loaded = this.loaded.histories.get(taskId) ?? [];
    return [...loaded, ...this.history.filter((row) => row.taskId === taskId)];
  }

  session(epoch: Epoch): SessionRow | undefined {
    return this.sessions.get(epoch) ?? this.state.sessions.get(epoch);
  }

  newestSession(agentId: AgentId): SessionRow | undefined {
    let newest = this.state.newestSession(agentId);
    for (const session of this.sessions.values()) {
      if (session.agentId === agentId && (newest === undefined || session.epoch >= newest.epoch))
        newest = session;
    }
    return newest;
  }

  agent(agentId: AgentId): AgentRow | undefined {
    return this.agents.get(agentId) ?? this.state.agents.get(agentId);
  }

  /** Puts a task, and writes what happened to it into its history. One version up from the committed row. */
  put(task: TaskRow, ...happenings: Happening[]): TaskRow {
    const earlier = this.tasks.get(task.taskId);
    const base = earlier === undefined ? this.#committed(task) : this.#bases.get(task.taskId);
    if (earlier === undefined && base !== undefined) this.#bases.set(task.taskId, base);
    const before = earlier ?? base;
    let n = task.historyCount;
    for (const happening of happenings) this.#write(task, n++, happening);
    const row: TaskRow = {
      ...task,
      version: (base?.version ?? 0) + 1,
      historyCount: n,
    };
    if (before !== undefined && holdsPlace(before)) this.held.add(before, -1);
    if (holdsPlace(row)) this.held.add(row, 1);
    if (isReleased(row) && row.concurrencyKey !== '') this.#released.add(row.taskId);
    if (before?.open) this.#countOpen(before.open, null, -1);
    if (row.open) this.#countOpen(row.open, row.taskId, 1);
    if (base === undefined && row.idempotencyKey !== '') this.#byKey.set(row.idempotencyKey, row);
    this.tasks.set(row.taskId, row);
    if (this.#dags !== null || this.#isOfDags(row)) this.dags.noteTask(row);
    return row;
  }

  /** Whether a task is an instance of a run, or waits for a trigger. */
  #isOfDags({ instance, taskId }: TaskRow): boolean {
    return instance !== null || this.state.dags.triggers.ofTask(taskId) !== undefined;
  }

  /** The row that a first change of this draft is made of; version 0 was never written. */
  #committed({ taskId, version }: TaskRow): TaskRow | undefined {
    return version === 0 ? undefined : this.task(taskId);
  }

  /** Tasks of a key that are queued again with their lost token still open (P10). */
  releasedOf(concurrencyKey: string): TaskRow[] {
    const taskIds = new Set([...(this.state.released.get(concurrencyKey) ?? []), ...this.#released]);
    const tasks = [...taskIds].map((taskId) => this.task(taskId)).filter((task) => task !== undefined);
    return tasks.filter((task) => isReleased(task) && task.concurrencyKey === concurrencyKey);
  }

  #countOpen(open: OpenPermit, taskId: TaskId | null, by: 1 | -1): void {
    this.#openByToken.set(open.token, taskId);
    if (open.lost === null) this.#permitDelta.set(open.epoch, (this.#permitDelta.get(open.epoch) ?? 0) + by);
  }

  #write(task: TaskRow, n: number, happening: Happening): void {
    this.history.push({
      taskId: task.taskId,
      n,
      at: this.ctx.wall,
      event: happening.event,
      agentId: happening.agentId ?? '',
      tryNumber: happening.tryNumber ?? task.tryNumber,
      token: happening.token ?? NO_TOKEN,
      epoch: happening.epoch ?? NO_EPOCH,
      reason: happening.reason ?? '',
      message: happening.message ?? '',
      offeredAt: happening.offeredAt ?? null,
    });
  }

  putSession(session: SessionRow): SessionRow {
    const row = { ...session, version: (this.state.sessions.get(session.epoch)?.version ?? 0) + 1 };
    this.sessions.set(row.epoch, row);
    return row;
  }

  putAgent(agent: AgentRow): AgentRow {
    const row = { ...agent, version: (this.state.agents.get(agent.agentId)?.version ?? 0) + 1 };
    this.agents.set(row.agentId, row);
    return row;
  }

  queue(queue: string): QueueRow | undefined {
    return this.queues.get(queue) ?? this.state.queues.get(queue);
  }

  putQueue(queue: QueueRow): QueueRow {
    const row = { ...queue, version: (this.state.queues.get(queue.queue)?.version ?? 0) + 1 };
    this.queues.set(row.queue, row);
    return row;
  }

  /** I1: strictly increasing, over restarts too, because the counter is written with what it is used for. */
  drawToken(): Token {
    const token = (this.#drawn('leap_token', this.counters.token) + 1n) as Token;
    this.counters = { ...done(this.counters, 'leap_token'), token };
    return token;
  }

  /**
   * What has been drawn. After a restore that is more than can be known, so the counter leaps: whoever comes back later, or compares
   * tokens in a store of its own, never meets one twice (I1).
   */
  #drawn(leap: RecoveryStep, counter: bigint): bigint {
    return owes(this.counters, leap) ? leapt(counter, this.ctx.wall) : counter;
  }

  drawEpoch(): Epoch {
    const epoch = (this.#drawn('leap_epoch', this.counters.epoch) + 1n) as Epoch;
    this.counters = { ...done(this.counters, 'leap_epoch'), epoch };
    return epoch;
  }

  /** Whether a newer stream of this session is attached by this draft. */
  attaches(epoch: Epoch): boolean {
    for (const { session } of this.attachments) if (session.epoch === epoch) return true;
    return false;
  }

  /** Whether a Hello of this batch showed that the store has lost commits (P18). */
  get losesCommits(): boolean {
    return this.notes.some((note) => note.kind === 'commits_lost');
  }

  /** What will be said on a stream when this draft is settled. */
  say(streamId: StreamId): AckParts {
    return this.acks.say(streamId);
  }

  /** Says something to the agent of a live session, if it has a stream; else it hears of it in its next Welcome. */
  sayTo(epoch: Epoch): AckParts | null {
    const streamId = this.state.presences.get(epoch)?.streamId;
    return streamId === null || streamId === undefined ? null : this.say(streamId);
  }

  reply(callId: number, reply: Reply): void {
    this.replies.push({ callId, reply });
  }

  /** Whether there is anything to make durable. */
  get writes(): boolean {
    return (
      this.tasks.size > 0 ||
      this.removals.size > 0 ||
      this.agentRemovals.size > 0 ||
      this.sessions.size > 0 ||
      this.agents.size > 0 ||
      this.queues.size > 0 ||
      this.#dags?.writes === true ||
      this.counters !== this.state.counters
    );
  }

  #current(task: TaskRow | undefined): TaskRow | undefined {
    if (task === undefined) return undefined;
    const current = this.tasks.get(task.taskId) ?? task;
    invariant(current.taskId === task.taskId, 'a task keeps its id');
    return current;
  }
}
