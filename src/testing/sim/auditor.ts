import type { AgentNote } from '../../agent/core/events.js';
import type { Permit, Report } from '../../agent/core/messages.js';
import type { Ack, Note, Welcome } from '../../core/frames.js';
import type { EventName } from '../../core/history.js';
import type { HistoryRow, SessionRow, TaskRow } from '../../core/rows.js';
import type { Engine } from '../../engine/engine.js';
import type { AgentId, StreamId, TaskId, Token } from '../../kit/ids.js';
import { InvariantError } from '../../kit/invariant.js';
import type { MonoMs } from '../../kit/time.js';
import { type Puts, StoreError } from '../../store/store.js';
import { CLOCK_BOUND, type HistoryEvent, type Violation } from '../checker/index.js';
import type { AgentNode } from './agent-node.js';
import { Coverage } from './coverage.js';
import type { DagRows } from './dags/rows.js';
import { TriggerAudit } from './dags/trigger-audit.js';
import type { EventQueue } from './events.js';
import type { Host } from './host.js';
import type { Idlers } from './idlers.js';
import { type Judged, Judges, type Watched } from './judges.js';
import { lastWord } from './last-word.js';
import { Past, runKey, type SeenRun, type Standstill } from './past.js';
import { Rollbacks } from './rollbacks.js';
import type { Gate } from './runner.js';
import { lineOf, storyOf, type Told } from './story.js';

/** Whom a line of the story concerns. */
type About = Omit<Told, 'atMs' | 'text'>;

/**
 * Watches from outside: every commit as the disk sees it, every start and end of a run as its machine sees it, every
 * acknowledgement as it leaves. All of it goes to the checker as a history; the rows themselves are audited beside it.
 */
export class Auditor {
  readonly violations: Violation[] = [];
  readonly counts = new Map<string, number>();
  readonly coverage = new Coverage();
  readonly triggers = new TriggerAudit(this);
  /** The story, newest last; kept when a trace is wanted. */
  readonly told: Told[] | null;
  /** Told of each event that was committed. */
  watcher: ((row: HistoryRow) => void) | null = null;
  #hash = 2_166_136_261;
  readonly #events: EventQueue;
  readonly #past: Past | null;
  readonly #rollbacks: Rollbacks | null;
  readonly #judged: Judged;
  #judges: Judges;
  /** Between its start and its end a process of the task is alive. */
  readonly #live = new Map<string, SeenRun>();
  readonly #ending = new Set<Token>();
  #engine: Engine | null = null;
  #host: Host | null = null;
  #stallMs = 0;
  /** When the batch under way was decided: what its commit took is no part of the decision. */
  #decidedAt = 0;
  /** The coordinator's service clock then: what a commit says was taken earlier, if rows were waited for in between. */
  #decidedService = 0;
  #decidedClock: number | null = null;
  /** Heard since the batch under way was decided; null while none is. */
  #unknown: { readonly streamId: StreamId; readonly clockMs: number }[] | null = null;

  constructor(watched: Watched) {
    const { events, policy, clockError, trace, losesCommits } = watched;
    this.#events = events;
    this.told = trace ? [] : null;
    this.#past = losesCommits ? new Past() : null;
    const leaseMs = 3 * policy.heartbeatIntervalMs;
    const areBounded = clockError <= CLOCK_BOUND;
    this.#rollbacks = this.#past && new Rollbacks(this.#past, leaseMs, areBounded, this.broken);
    this.#judged = { ...watched, now: () => events.now, ending: this.#ending, broken: this.broken };
    this.#judges = new Judges(this.#judged);
  }

  readonly broken = (found: Omit<Violation, 'at'>): void =>
    this.#violated({ ...found, at: this.#events.now });

  /** Every task as the disk has it. */
  get tasks(): ReadonlyMap<TaskId, TaskRow> {
    return this.#judges.rows.tasks;
  }

  /** The rows of DAGs as the disk has them. */
  get dags(): DagRows {
    return this.#judges.dags;
  }

  /** Identifies the whole history: the same for the same seed. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  get trace(): string[] {
    return this.told?.map(lineOf) ?? [];
  }

  /** What led to the first violation; empty without one, or without a trace. */
  get story(): string[] {
    const [first] = this.violations;
    return first === undefined || this.told === null ? [] : storyOf(this.told, first);
  }

  tell(text: string, about: About = {}): void {
    const told = { atMs: this.#events.now, text, ...about };
    const line = lineOf(told);
    for (let i = 0; i < line.length; i++) this.#hash = Math.imul(this.#hash ^ line.charCodeAt(i), 16_777_619);
    this.told?.push(told);
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  #violated(violation: Violation): void {
    this.tell(`VIOLATION ${violation.rule}: ${violation.what}`, { isVerdict: true });
    this.violations.push(violation);
  }

  #happened(event: HistoryEvent, run: SeenRun | null = null): void {
    this.#past?.note(event, run);
    for (const violation of this.#judges.checker.take(event)) this.#violated(violation);
  }

  // — the disk —

  /** How often the history has lost some of its commits. */
  rollbacks = 0;

  get commits(): number {
    return this.#past?.commits ?? 0;
  }

  /** All but the first `kept` commits are lost (P18): they never happened, whatever was told of them. */
  rolledBack(kept: number, isRestore: boolean): void {
    const past = this.#past;
    if (past === null) throw new Error('a world that keeps no past cannot lose commits');
    this.tell(`the store has lost its newest ${past.commits - kept} commits${isRestore ? ' (restore)' : ''}`);
    this.count('lost.commits', past.commits - kept);
    this.rollbacks++;
    this.#rollbacks?.happened(isRestore);
    this.#judges = Judges.after(past.rewind(kept), this.#judged);
    this.coverage.rewound(this.#judges.rows.tasks);
    for (const [key, run] of this.#live) if (run.isLost) this.#live.delete(key);
  }

  /** A run that began with a permit of lost commits is part of the history from here on, as its machine has seen it. */
  #found(run: SeenRun, { tryNumber, epoch }: HistoryRow): void {
    const { permit, agentId, code } = run;
    const { token, taskId, partitionPolicy: policy } = permit;
    const at = this.#events.now;
    this.count('lost.regained');
    // Whatever of its task is alive beside it was permitted by a store that did not know of it.
    for (const other of this.#live.values()) if (other.permit.taskId === taskId) this.#slept(other);
    const started = { at, execAt: at, taskId, tryNumber, token, agentId, epoch, policy, beside: [] };
    this.#happened({ kind: 'started', ...started }, run);
    if (code === undefined) this.#live.set(runKey(token, agentId), run);
    else this.#happened({ kind: 'ended', at, token, agentId, code }, run);
  }

  #slept(run: SeenRun): void {
    const seen = { at: this.#events.now, token: run.permit.token, agentId: run.agentId };
    this.#happened({ kind: 'slept', ...seen }, run);
  }

  committed(puts: Puts): void {
    this.#noteStall();
    this.#past?.begin(puts);
    this.#decidedAt -= Math.max(0, this.#decidedService - (puts.counters?.serviceMs ?? this.#decidedService));
    this.count('removed', puts.removals.length);
    this.coverage.committing(puts.tasks.map(({ row }) => row));
    for (const { taskId } of puts.removals) this.tell(`${taskId} removed`, { taskId });
    for (const row of puts.history) this.#history(row);
    // What was heard and decided is told of sessions that the rows do not have yet.
    for (const row of puts.sessions) this.#session(row);
    this.#past?.end();
    this.#judges.committed(puts, this.#decidedAt);
    for (const row of puts.history) this.watcher?.(row);
  }

  /** The store cannot be written to, or not now: whoever should be failed is failed later. */
  storeLags(): void {
    this.#happened({ kind: 'disturbed', at: this.#events.now, until: this.#events.now, by: 'outage' });
  }

  /** A batch is decided: what is heard before its commit has returned was not known to it (P1). */
  decided(): void {
    this.#decidedAt = this.#events.now;
    this.#decidedService = this.#engine?.serviceNow ?? 0;
    this.#decidedClock = this.#leaseClock();
    this.#unknown = [];
  }

  commitOver(): void {
    const heard = this.#unknown ?? [];
    this.#unknown = null;
    this.#judges.answers.known();
    for (const { streamId, clockMs } of heard) this.#hear(streamId, clockMs);
  }

  #noteStall(): void {
    const stallMs = this.#engine?.counters.stallMs ?? 0;
    const at = this.#events.now;
    if (stallMs > this.#stallMs) this.#happened({ kind: 'disturbed', at, until: at, by: 'stall' });
    this.#stallMs = stallMs;
  }

  #history(row: HistoryRow): void {
    const { taskId, agentId, tryNumber, token, reason, epoch } = row;
    const event = row.event as EventName;
    const who = agentId === '' ? '' : ` ${agentId}`;
    const which = token === 0n ? '' : ` try ${tryNumber} token ${token}`;
    const why = reason === '' ? '' : ` (${reason})`;
    this.tell(`${taskId} ${event}${which}${who}${why}`, agentId === '' ? { taskId } : { taskId, agentId });
    this.coverage.recorded(row);
    if (reason !== '') this.count(`reason.${event}.${reason}`);
    const told = { taskId, event, agentId, tryNumber, token, epoch, reason, decidedAt: this.#decidedAt };
    this.#happened({ kind: 'recorded', at: this.#events.now, ...told });
    this.#judges.rows.history(row);
    this.#judges.answers.committed(row);
    if (event === 'permitted') this.#rollbacks?.permitted(row);
    const found = event === 'regained' ? this.#past?.regained(row) : null;
    if (found) this.#found(found, row);
  }

  #session({ agentId, epoch, state, endReason, leaseMs }: SessionRow): void {
    const before = this.#judges.rows.sessions.get(epoch)?.state;
    const [at, clockMs] = [this.#events.now, this.#leaseClock()];
    if (before === undefined) this.#happened({ kind: 'granted', at, agentId, epoch });
    if (state === 'live' && clockMs !== null)
      this.#happened({ kind: 'heard', at, epoch, by: 'hello', clockMs });
    if (before === state) return;
    this.tell(`${agentId} session ${epoch} ${state}${endReason === '' ? '' : ` (${endReason})`}`, {
      agentId,
    });
    this.count(`session.${state}`);
    if (state !== 'failed' || this.#decidedClock === null) return;
    this.#happened({ kind: 'failed', at, agentId, epoch, leaseMs, clockMs: this.#decidedClock });
  }

  /** What leases are counted on: the coordinator's monotonic clock without its own stalls (P7). */
  #leaseClock(): number | null {
    if (this.#host === null) return null;
    return (this.#host.mono() as number) - (this.#engine?.counters.stallMs ?? 0);
  }

  // — the coordinator —

  coordinatorStarted(engine: Engine, host: Host, startedAt: MonoMs): void {
    this.#engine = engine;
    this.#host = host;
    this.#stallMs = 0;
    const at = this.#events.now;
    this.#happened({ kind: 'disturbed', at, until: at, by: 'outage' });
    for (const { epoch, state } of this.#judges.rows.sessions.values()) {
      if (state !== 'live') continue;
      this.#happened({ kind: 'heard', at, epoch, by: 'restart', clockMs: startedAt as number });
    }
    this.#judges.started(engine.state.dags);
    this.tell('coordinator up');
  }

  coordinatorDied(): void {
    this.#engine = null;
    this.#unknown = null;
    this.tell('coordinator dead');
  }

  /** A promise that the code checks of itself, a row changed behind its back, or a crash that nobody meant. */
  broke(who: string, error: Error): void {
    const rule =
      error instanceof InvariantError ? 'invariant' : error instanceof StoreError ? 'store' : 'crash';
    const what = `${who} stopped itself: ${error.message}\n${error.stack ?? ''}`;
    this.#violated({ rule, at: this.#events.now, what });
  }

  heard(streamId: StreamId, receivedAt: MonoMs): void {
    const clockMs = (receivedAt as number) - (this.#engine?.counters.stallMs ?? 0);
    if (this.#unknown === null) this.#hear(streamId, clockMs);
    else this.#unknown.push({ streamId, clockMs });
  }

  #hear(streamId: StreamId, clockMs: number): void {
    const epoch = this.#engine?.state.streams.get(streamId)?.epoch;
    if (epoch === undefined) return;
    this.#happened({ kind: 'heard', at: this.#events.now, epoch, by: 'beat', clockMs });
  }

  welcomed(streamId: StreamId, welcome: Welcome): void {
    this.#judges.answers.welcomed(streamId, welcome);
  }

  acked(streamId: StreamId, ack: Ack): void {
    this.#judges.answers.acked(streamId, ack, this.#engine?.state.streams.get(streamId)?.epoch);
    const at = this.#events.now;
    for (const { token, disposition } of ack.acknowledgements) {
      if (disposition === 'recorded') this.#happened({ kind: 'acknowledged', at, token });
    }
    for (const { token } of ack.permits) this.#happened({ kind: 'permit_told', at, token });
  }

  coordinatorNoted(note: Note): void {
    if (note.kind === 'commits_lost') this.#rollbacks?.noticed();
    if (note.kind === 'snapshot_in_force') this.#judges.inForce(note);
    this.coverage.noted(note);
  }

  noted(agentId: AgentId, note: AgentNote): void {
    this.tell(`${agentId} ${note.kind} ${'why' in note ? note.why : 'reason' in note ? note.reason : ''}`, {
      agentId,
    });
    this.count(`agent.${note.kind}`);
    if (note.kind === 'stop_told') this.#ending.add(note.token);
  }

  // — the machines —

  /** The agent lets a run pass: its own gate must be open (P3), whatever its runner sees when it looks once more. */
  letPass(agentId: AgentId, { taskId, token }: Permit, { sinceMs, limitMs }: Gate): void {
    if (sinceMs < limitMs) return;
    const what = `token ${token} passed ${Math.round(sinceMs)} ms after the newest acknowledged heartbeat was sent`;
    this.broken({ rule: 'P3', taskId, agentId, what });
  }

  /** `lookedAt`: when its gate was looked at last; all later is how long its runner stood still. */
  started(
    agentId: AgentId,
    permit: Permit,
    host: Standstill,
    look: { readonly gate: Gate; readonly lookedAt: number; readonly stoodStill: boolean },
  ): void {
    const { gate, lookedAt: execAt, stoodStill } = look;
    const { token, taskId, epoch, tryNumber, partitionPolicy: policy } = permit;
    const at = this.#events.now;
    this.tell(`${agentId} START ${taskId} token ${token}`, { taskId, agentId });
    this.count('starts');
    // I7 holds for machines that were not suspended meanwhile.
    for (const run of this.#live.values())
      if (run.host.suspended || run.host.suspends !== run.suspends) this.#slept(run);
    const begun = { agentId, permit, host, suspends: host.suspends, code: undefined, isLost: false };
    const seen: SeenRun = this.#past?.started(begun) ?? begun;
    // Of a permit that is in no history any more.
    if (seen.isLost) return this.count('lost.starts');
    this.#rollbacks?.started(seen);
    const run = { at, execAt, stoodStill, taskId, tryNumber, token, agentId, epoch, policy, beside: [] };
    const { concurrencyKey: name = '', concurrencyLimit: limit = 1 } = this.tasks.get(taskId) ?? {};
    const key = name === '' ? {} : { key: { name, limit } };
    this.#happened({ kind: 'started', ...run, gate, ...key }, seen);
    this.#live.set(runKey(token, agentId), seen);
  }

  /** Its report is the run's own last word; null when it died with its agent. */
  ended(agentId: AgentId, { taskId, token }: Permit, end: Report['kind'] | null): void {
    const code = lastWord(end);
    const word = code === null ? '' : ` code ${code}`;
    this.tell(`${agentId} END ${taskId} token ${token}${word}`, { taskId, agentId });
    if (end !== null) this.#ending.add(token);
    const run = this.#past?.run(token, agentId) ?? null;
    if (run !== null) run.code = code;
    if (run?.isLost) return;
    this.#live.delete(runKey(token, agentId));
    this.#happened({ kind: 'ended', at: this.#events.now, token, agentId, code }, run);
  }

  /** An agent's report was acknowledged; whether the store still knows of it is another matter (P18). */
  forgot(agentId: AgentId, token: Token): void {
    const run = this.#past?.run(token, agentId) ?? null;
    if (run === null || run.isLost) return;
    this.#happened({ kind: 'forgotten', at: this.#events.now, token }, run);
  }

  /** K17, of each look at tasks and agents once the faults are over. */
  looked(idlers: Idlers, agents: readonly AgentNode[]): void {
    const seen = agents.map(({ settings: { agentId }, isWell, busy }) => {
      return { agentId, isWell, busy, session: this.#judges.rows.openSession(agentId) };
    });
    const found = idlers.look(this.#events.now, this.#judges.rows.queued.values(), seen);
    if (found !== null) this.#violated({ rule: 'K17', at: this.#events.now, ...found });
  }

  // — the end —

  /** K11 of all that was accepted, and K17 when everything must have ended. */
  over(accepted: ReadonlySet<TaskId>, settled: boolean): void {
    // A history that broke off has its violation.
    if (this.violations.length > 0) return;
    const at = this.#events.now;
    for (const taskId of accepted) {
      this.#happened({ kind: 'accepted', at, key: taskId, taskId });
      const task = this.tasks.get(taskId);
      if (task === undefined) continue;
      const { state, reason } = task;
      this.#happened({ kind: 'listed', at, taskId, key: taskId, state, reason, settled });
    }
    for (const { run, state } of settled ? this.dags.active : [])
      this.broken({ rule: 'K17', what: `run ${run} is still ${state}` });
    this.#happened({ kind: 'over', at });
    for (const [name, value] of this.#judges.checker.figures.counts) {
      if (name.startsWith('overlaps')) this.count(name, value);
    }
  }
}
