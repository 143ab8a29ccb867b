import type { AgentNote } from '../../agent/core/events.js';
import type { Permit } from '../../agent/core/messages.js';
import type { Ack, Note } from '../../core/frames.js';
import { DEFAULT_POLICY } from '../../core/policy.js';
import type { AgentRow, HistoryRow, SessionRow, TaskRow } from '../../core/rows.js';
import { isFinal } from '../../core/rows.js';
import type { Engine } from '../../engine/engine.js';
import type { AgentId, Epoch, StreamId, TaskId, Token } from '../../kit/ids.js';
import type { MonoMs } from '../../kit/time.js';
import type { Puts } from '../../store/store.js';
import type { EventQueue } from './events.js';
import type { Host } from './host.js';

/** A promise that was broken, with what was seen. */
export interface Violation {
  readonly rule: string;
  readonly what: string;
  readonly atMs: number;
}

/** A run as the world sees it: between its start and its end a process of the task is alive. */
interface LiveRun {
  readonly agentId: AgentId;
  readonly permit: Permit;
  readonly host: Host;
  readonly suspends: number;
}

/** Outcomes of a try; at most one of them each (I2). */
const OUTCOMES: ReadonlySet<string> = new Set([
  'success',
  'failed',
  'try_failed',
  'try_lost',
  'lost_reported',
]);

/** Events that close a token; `try_lost` is among the outcomes. */
const ENDS: ReadonlySet<string> = new Set([...OUTCOMES, 'never_started', 'cancelled', 'poison']);

/** I5: how much later than its lease an agent may be failed, in milliseconds. */
const FAILED_WITHIN_MS = 1_000;

/** When an agent was last heard, and how long our own stalls had been in all by then (P7). */
interface Heard {
  readonly at: MonoMs;
  readonly stallMs: number;
}

/**
 * Watches from outside: every commit as the disk sees it, every start and end of a run as its machine sees it, every
 * acknowledgement as it leaves. It shares no state with what it judges.
 */
export class Auditor {
  readonly violations: Violation[] = [];
  readonly counts = new Map<string, number>();
  readonly tasks = new Map<TaskId, TaskRow>();
  /** The story, newest last; kept when a trace is wanted. */
  readonly trace: string[] | null;
  #hash = 2_166_136_261;
  readonly #events: EventQueue;
  readonly #sessions = new Map<Epoch, SessionRow>();
  readonly #agents = new Map<AgentId, AgentRow>();
  /** By heartbeat, or by the start of a coordinator (P7): no lease ends earlier than L after it. */
  readonly #heard = new Map<Epoch, Heard>();
  /** Heard since the batch under way was decided; null while none is. */
  #unknown: { readonly streamId: StreamId; readonly at: MonoMs }[] | null = null;
  /** By heartbeat or Hello: no lease ends later than that either. */
  readonly #attached = new Map<Epoch, Heard>();
  readonly #outcomes = new Map<string, string>();
  readonly #recorded = new Map<Token, string>();
  readonly #closed = new Set<Token>();
  readonly #live = new Map<TaskId, Map<Token, LiveRun>>();
  readonly #started = new Set<Token>();
  /** Tasks whose lost try an operator has reassigned: two copies are then his choice (P11). */
  readonly #reassigned = new Set<TaskId>();
  readonly #perAgent = new Map<AgentId, number>();
  readonly #slots: ReadonlyMap<AgentId, number>;
  #steered: ReadonlySet<AgentId> = new Set();
  #highest: Token = 0n as Token;
  #engine: Engine | null = null;
  #host: Host | null = null;

  constructor(events: EventQueue, slots: ReadonlyMap<AgentId, number>, trace: boolean) {
    this.#events = events;
    this.#slots = slots;
    this.trace = trace ? [] : null;
  }

  /** Identifies the whole history: the same for the same seed. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  tell(what: string): void {
    const line = `${(this.#events.now / 1000).toFixed(3).padStart(10)} ${what}`;
    for (let i = 0; i < line.length; i++) this.#hash = Math.imul(this.#hash ^ line.charCodeAt(i), 16_777_619);
    this.trace?.push(line);
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  #violated(rule: string, what: string): void {
    this.tell(`VIOLATION ${rule}: ${what}`);
    this.violations.push({ rule, what, atMs: this.#events.now });
  }

  #check(holds: boolean, rule: string, what: () => string): void {
    if (!holds) this.#violated(rule, what());
  }

  // — the disk —

  committed(puts: Puts): void {
    for (const row of puts.history) this.#history(row);
    // A cordon that ends in this very commit may have ended before the permit was decided.
    this.#steered = new Set(puts.agents.map(({ agentId }) => agentId));
    // One commit may draw several tokens; its rows come in no order.
    const rows = puts.tasks
      .map(({ row }) => row)
      .sort((a, b) => Number((a.open?.token ?? 0n) - (b.open?.token ?? 0n)));
    for (const row of rows) this.#task(row);
    for (const row of puts.sessions) this.#session(row);
    for (const row of puts.agents) this.#agents.set(row.agentId, row);
  }

  /** The store cannot be written to, or not now: whoever should be failed is failed later. */
  storeLags(): void {
    this.#attached.clear();
  }

  /** A batch is decided: what is heard before its commit has returned was not known to it (P1). */
  decided(): void {
    this.#unknown = [];
  }

  commitOver(): void {
    const heard = this.#unknown ?? [];
    this.#unknown = null;
    for (const { streamId, at } of heard) this.heard(streamId, at);
  }

  #history(row: HistoryRow): void {
    this.tell(
      `${row.taskId} ${row.event} try ${row.tryNumber} token ${row.token} ${row.agentId} ${row.reason}`,
    );
    this.count(`event.${row.event}`);
    if (row.reason !== '') this.count(`reason.${row.event}.${row.reason}`);
    if (row.event === 'resolved' && row.reason === 'reassign') this.#reassigned.add(row.taskId);
    if (ENDS.has(row.event)) this.#closed.add(row.token);
    const isDenied = row.event === 'never_started' && this.#started.has(row.token);
    this.#check(!isDenied, 'I2', () => `token ${row.token} was started and is recorded as never started`);
    // What bears no token is the end of the task, not of a try: its try was closed as lost before.
    if (!OUTCOMES.has(row.event) || row.token === 0n) return;
    const key = `${row.taskId}/${row.tryNumber}`;
    const before = this.#outcomes.get(key);
    this.#check(before === undefined, 'I2', () => `try ${key} has the outcomes ${before} and ${row.event}`);
    this.#outcomes.set(key, row.event);
    this.#recorded.set(row.token, row.event);
  }

  #task(row: TaskRow): void {
    const before = this.tasks.get(row.taskId);
    this.tasks.set(row.taskId, row);
    if (before?.state !== row.state) this.count(`edge.${before?.state ?? 'none'}→${row.state}`);
    if (before !== undefined && isFinal(before.state)) {
      this.#check(
        row.state === before.state,
        'I10',
        () => `${row.taskId} went from ${before.state} to ${row.state}`,
      );
    }
    const token = row.open?.token;
    const charged = row.open?.lost === null && row.losses.some((loss) => loss.token === token);
    this.#check(!charged, 'P10', () => `${row.taskId} is charged for token ${token}, which is not lost`);
    if (token === before?.open?.token) return;
    const old = before?.open?.token;
    const told = old === undefined || this.#closed.has(old);
    this.#check(told, 'I2', () => `token ${old} of ${row.taskId} was closed without an outcome`);
    if (token !== undefined) this.#permitted(row, token, before);
  }

  #permitted(row: TaskRow, token: Token, before: TaskRow | undefined): void {
    this.#check(token > this.#highest, 'I1', () => `token ${token} is not above ${this.#highest}`);
    this.#highest = token;
    const loss = before?.open?.lost;
    const released = !before?.open || (loss !== null && loss !== undefined && loss.heldUntil === null);
    this.#check(
      released,
      'I1',
      () => `${row.taskId} got token ${token} while ${before?.open?.token} was not released`,
    );
    const { tryNumber } = row;
    const complete = tryNumber === 1 || this.#outcomes.has(`${row.taskId}/${tryNumber - 1}`);
    this.#check(complete, 'I2', () => `try ${row.taskId}/${tryNumber - 1} has no outcome and another begins`);
    // A timeout that waited for the release comes before poison, and may leave the user's retries.
    const spared = row.losses.length < DEFAULT_POLICY.poisonLimit || row.executionTimeoutMs !== null;
    this.#check(spared, 'P14', () => `${row.taskId} is tried again after ${row.losses.length} losses`);
    this.#checkSlots(row);
    this.#checkAgent(row);
  }

  /** I4: only to an agent with a live session that serves the queue, and not to a cordoned one. */
  #checkAgent(row: TaskRow): void {
    const { open } = row;
    if (open === null) return;
    const session = this.#sessions.get(open.epoch);
    const serves =
      session?.state === 'live' &&
      session.queues.includes(row.queue) &&
      (row.handler === '' || session.handlers.includes(row.handler)) &&
      Object.entries(row.requiredLabels).every(([name, value]) => session.labels[name] === value);
    this.#check(
      serves,
      'I4',
      () => `${row.taskId} was permitted to ${open.agentId}, which does not serve it`,
    );
    const agent = this.#agents.get(open.agentId);
    const cordoned = agent?.cordoned === true && !this.#steered.has(open.agentId);
    this.#check(!cordoned, 'I4', () => `${row.taskId} was permitted to ${open.agentId}, which is cordoned`);
  }

  #checkSlots(row: TaskRow): void {
    const epoch = row.open?.epoch;
    const slots = row.open === null ? 0 : (this.#slots.get(row.open.agentId) ?? 0);
    let held = 0;
    for (const other of this.tasks.values())
      if (other.open?.epoch === epoch && other.open?.lost === null) held++;
    this.#check(held <= slots, 'I4', () => `${row.open?.agentId} holds ${held} permits with ${slots} slots`);
  }

  #session(row: SessionRow): void {
    const before = this.#sessions.get(row.epoch);
    if (before === undefined) {
      for (const epoch of this.#sessions.keys()) {
        this.#check(row.epoch > epoch, 'I1', () => `epoch ${row.epoch} is not above ${epoch}`);
      }
    }
    const revived = before !== undefined && before.state !== 'live' && row.state === 'live';
    this.#check(!revived, 'I1', () => `session ${row.epoch} is over and lives again`);
    this.#sessions.set(row.epoch, row);
    if (row.state === 'live') this.#hear(this.#attached, row.epoch, this.#host?.mono() ?? null);
    if (before?.state === row.state) return;
    this.tell(`${row.agentId} session ${row.epoch} ${row.state} ${row.endReason}`);
    this.count(`session.${row.state}`);
    if (row.state === 'failed') this.#failed(row);
  }

  /** I5 and P7: within [L, L + 1 s] of the last heartbeat, and later by every stall of our own. */
  #failed({ epoch, agentId, leaseMs }: SessionRow): void {
    const silent = (heard: Heard | undefined) => {
      if (heard === undefined || this.#host === null) return null;
      const stalled = (this.#engine?.counters.stallMs ?? 0) - heard.stallMs;
      return (this.#host.mono() as number) - (heard.at as number) - stalled;
    };
    const early = silent(this.#heard.get(epoch)) ?? leaseMs;
    this.#check(early >= leaseMs - 0.001, 'I5', () => `${agentId} failed ${early} ms after a heartbeat`);
    const late = silent(this.#attached.get(epoch)) ?? leaseMs;
    const isIn = late <= leaseMs + FAILED_WITHIN_MS;
    this.#check(isIn, 'I5', () => `${agentId} failed only ${late} ms after a heartbeat`);
  }

  #hear(heard: Map<Epoch, Heard>, epoch: Epoch, at: MonoMs | null): void {
    if (at !== null) heard.set(epoch, { at, stallMs: this.#engine?.counters.stallMs ?? 0 });
  }

  // — the coordinator —

  coordinatorStarted(engine: Engine, host: Host, at: MonoMs): void {
    this.#engine = engine;
    this.#host = host;
    this.#heard.clear();
    this.#attached.clear();
    for (const { epoch, state } of this.#sessions.values())
      if (state === 'live') this.#hear(this.#heard, epoch, at);
    this.tell('coordinator up');
  }

  coordinatorDied(): void {
    this.#engine = null;
    this.#unknown = null;
    this.tell('coordinator dead');
  }

  broke(error: Error): void {
    this.#violated('invariant', `the coordinator stopped itself: ${error.message}\n${error.stack ?? ''}`);
  }

  heard(streamId: StreamId, at: MonoMs): void {
    if (this.#unknown !== null) return void this.#unknown.push({ streamId, at });
    const epoch = this.#engine?.state.streams.get(streamId);
    if (epoch === undefined) return;
    this.#hear(this.#heard, epoch, at);
    this.#hear(this.#attached, epoch, at);
  }

  acked(streamId: StreamId, ack: Ack): void {
    for (const { token, disposition } of ack.acknowledgements) {
      this.count(`disposition.${disposition}`);
      if (disposition !== 'recorded') continue;
      const known = this.#recorded.has(token) || this.#wasVoid(token);
      this.#check(known, 'I2', () => `report of token ${token} was acknowledged and is not on the disk`);
    }
    for (const { reason } of ack.refusals) this.count(`refusal.${reason}`);
    for (const { token } of ack.permits) {
      const committed = token <= this.#highest;
      this.#check(
        committed,
        'I3',
        () => `permit ${token} was sent on stream ${streamId} before it was committed`,
      );
    }
  }

  /** Never started, or ended by a cancel: recorded without being an outcome of a try. */
  #wasVoid(token: Token): boolean {
    for (const task of this.tasks.values()) if (task.open?.token === token) return false;
    return true;
  }

  coordinatorNoted(note: Note): void {
    this.count(`note.${note.kind}`);
  }

  noted(agentId: AgentId, note: AgentNote): void {
    this.tell(`${agentId} ${note.kind} ${'why' in note ? note.why : 'reason' in note ? note.reason : ''}`);
    this.count(`agent.${note.kind}`);
  }

  // — the machines —

  started(agentId: AgentId, permit: Permit, host: Host): void {
    const { token, taskId, epoch } = permit;
    this.tell(`${agentId} START ${taskId} token ${token}`);
    this.count('starts');
    this.#check(!this.#started.has(token), 'K2', () => `token ${token} was started twice`);
    this.#started.add(token);
    const open = this.tasks.get(taskId)?.open;
    const stands = open?.token === token && open.epoch === epoch && open.lost === null;
    this.#check(stands, 'I3', () => `${taskId} was started with token ${token} that no longer stands`);
    const runs = this.#live.get(taskId) ?? new Map<Token, LiveRun>();
    for (const other of runs.values()) this.#overlap(permit, other);
    runs.set(token, { agentId, permit, host, suspends: host.suspends });
    this.#live.set(taskId, runs);
    const held = (this.#perAgent.get(agentId) ?? 0) + 1;
    this.#perAgent.set(agentId, held);
    const slots = this.#slots.get(agentId) ?? 0;
    this.#check(held <= slots, 'I4', () => `${agentId} runs ${held} tasks with ${slots} slots`);
  }

  /** I7: under single_run and hold two copies never run at once, on machines that were not suspended meanwhile. */
  #overlap(permit: Permit, other: LiveRun): void {
    this.count(`overlap.${permit.partitionPolicy}`);
    if (permit.partitionPolicy === 'reassign') return;
    if (other.host.suspended || other.host.suspends !== other.suspends)
      return this.count('overlap.suspended');
    const held = this.tasks.get(permit.taskId)?.partitionPolicy === 'hold';
    if (held && this.#reassigned.has(permit.taskId)) return this.count('overlap.operator');
    const what = `${permit.taskId} runs with token ${permit.token} while ${other.permit.token} is alive on ${other.agentId}`;
    this.#violated(held ? 'I7 hold' : 'I7', what);
  }

  ended(agentId: AgentId, permit: Permit): void {
    this.tell(`${agentId} END ${permit.taskId} token ${permit.token}`);
    this.#live.get(permit.taskId)?.delete(permit.token);
    this.#perAgent.set(agentId, (this.#perAgent.get(agentId) ?? 0) - 1);
  }

  // — the end —

  /** I6: everything that was accepted has come to its end. */
  mustBeOver(accepted: ReadonlySet<TaskId>): void {
    for (const taskId of accepted) {
      const task = this.tasks.get(taskId);
      this.#check(task !== undefined, 'I6', () => `${taskId} was accepted and is gone`);
      if (task === undefined) continue;
      this.#check(
        isFinal(task.state),
        'I6',
        () => `${taskId} is still ${task.state} ${JSON.stringify(task, bigints)}`,
      );
    }
  }
}

function bigints(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
