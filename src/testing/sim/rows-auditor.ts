import type { AgentRow, HistoryRow, SessionRow, TaskRow } from '../../core/rows.js';
import { isFinal } from '../../core/rows.js';
import type { AgentId, Epoch, TaskId, Token } from '../../kit/ids.js';
import type { Puts } from '../../store/store.js';
import type { Violation } from '../checker/index.js';
import { PlaceAudit } from './places.js';
import { RemovalAudit } from './removals.js';
import { TryAudit } from './tries.js';

/** Events that close a token. */
const CLOSES: ReadonlySet<string> = new Set([
  ...['success', 'skipped', 'failed', 'try_failed', 'try_lost', 'lost_reported', 'never_started'],
  ...['cancelled', 'poison', 'deferred', 'cleared', 'marked'],
]);

type Broken = (found: Omit<Violation, 'at'>) => void;

/**
 * What only the simulator can see: the rows behind every commit, as the disk has them. What a history shows is judged by
 * the checker instead.
 */
export class RowsAuditor {
  readonly tasks = new Map<TaskId, TaskRow>();
  /** Those that wait in the queue: looked through again and again once the faults are over. */
  readonly queued = new Map<TaskId, TaskRow>();
  /** Those with an open token: asked for with every permit, so nothing else is looked through. */
  readonly #open = new Map<TaskId, TaskRow>();
  readonly sessions = new Map<Epoch, SessionRow>();
  readonly #agents = new Map<AgentId, AgentRow>();
  readonly #closed = new Set<Token>();
  readonly #regained = new Set<Token>();
  /** What an operator has said of the ends of instances, in the commit that comes. */
  readonly #marked = new Set<TaskId>();
  readonly removals = new RemovalAudit();
  readonly #places = new PlaceAudit();
  readonly #tries = new TryAudit();
  readonly #slots: ReadonlyMap<AgentId, number>;
  readonly #poisonLimit: number;
  readonly broken: Broken;
  #latestWall = Number.NEGATIVE_INFINITY;
  #steered: ReadonlySet<AgentId> = new Set();

  constructor(slots: ReadonlyMap<AgentId, number>, poisonLimit: number, broken: Broken) {
    this.#slots = slots;
    this.#poisonLimit = poisonLimit;
    this.broken = broken;
  }

  /** Judges a commit, history first: rows are judged by what is told of them. */
  history(row: HistoryRow): void {
    this.#latestWall = Math.max(this.#latestWall, row.at);
    if (CLOSES.has(row.event)) this.#closed.add(row.token);
    if (row.event === 'regained') this.#regained.add(row.token);
    if (row.event === 'marked') this.#marked.add(row.taskId);
  }

  committed(puts: Puts): void {
    for (const { taskId, what } of this.removals.faultsOf(puts, this.tasks))
      this.broken({ rule: 'retention', what, taskId });
    for (const fault of [...this.#places.faultsOf(puts), ...this.#tries.faultsOf(puts, this.tasks)])
      this.broken(fault);
    // A cordon that ends in this very commit may have ended before the permit was decided.
    this.#steered = new Set(puts.agents.map(({ agentId }) => agentId));
    // One commit may draw several tokens; its rows come in no order.
    const rows = puts.tasks
      .map(({ row }) => row)
      .sort((a, b) => Number((a.open?.token ?? 0n) - (b.open?.token ?? 0n)));
    for (const row of rows) this.#task(row);
    this.#marked.clear();
    for (const row of puts.sessions) this.#session(row);
    for (const row of puts.agents) this.#agents.set(row.agentId, row);
  }

  /** The live session of an agent that is neither cordoned nor draining; null without one. */
  openSession(agentId: AgentId): SessionRow | null {
    const agent = this.#agents.get(agentId);
    if (agent === undefined || agent.cordoned || agent.draining) return null;
    const session = this.sessions.get(agent.epoch);
    return session?.state === 'live' ? session : null;
  }

  #check(holds: boolean, rule: string, about: TaskRow | SessionRow, what: () => string): void {
    if (holds) return;
    const isTask = 'taskId' in about;
    this.broken({ rule, what: what(), ...(isTask ? { taskId: about.taskId } : { agentId: about.agentId }) });
  }

  #task(row: TaskRow): void {
    const { taskId } = row;
    const before = this.tasks.get(taskId);
    this.tasks.set(taskId, row);
    if (row.state === 'queued') this.queued.set(taskId, row);
    else this.queued.delete(taskId);
    if (row.open === null) this.#open.delete(taskId);
    else this.#open.set(taskId, row);
    if (before !== undefined && isFinal(before.state)) {
      const what = () => `${taskId} went from ${before.state} to ${row.state}`;
      const isAsked = row.retried > before.retried || this.#marked.has(taskId);
      this.#check(row.state === before.state || isAsked, 'I10', row, what);
    }
    this.#checkWindow(row, before);
    const token = row.open?.token;
    const charged = row.open?.lost === null && row.losses.some((loss) => loss.token === token);
    this.#check(!charged, 'P10', row, () => `${taskId} is charged for token ${token}, which is not lost`);
    const held = row.state === 'queued' && (row.open?.lost?.heldUntil ?? null) !== null;
    this.#check(!held, 'P11', row, () => `${taskId} is queued while token ${token} is held`);
    if (token === before?.open?.token) return;
    const old = before?.open?.token;
    const told = old === undefined || this.#closed.has(old);
    this.#check(told, 'I2', row, () => `token ${old} of ${taskId} was closed without an outcome`);
    // What is taken back was permitted in lost commits, and judged there (P18).
    if (token !== undefined && !this.#regained.has(token)) this.#permitted(row);
  }

  /** Not queued before its instant, by the latest that the wall clock has ever shown; no first permit after its limit. */
  #checkWindow(row: TaskRow, before: TaskRow | undefined): void {
    const { taskId, startAfter, startBefore, open } = row;
    const enters = row.state === 'queued' && (before === undefined || before.state === 'scheduled');
    const early = enters && startAfter !== null && this.#latestWall < startAfter;
    this.#check(!early, 'startAfter', row, () => `${taskId} was queued before its start_after`);
    // What is taken back was permitted before, in lost commits (P18).
    const isFirst =
      open !== null &&
      !this.#regained.has(open.token) &&
      open.tryNumber === 1 &&
      // P16: what goes on with an event was permitted for the first time before it deferred.
      before?.resume == null &&
      open.token !== before?.open?.token;
    const late = isFirst && row.retried === 0 && startBefore !== null && open.permittedAt >= startBefore;
    this.#check(!late, 'startBefore', row, () => `${taskId} was first permitted after its start_before`);
  }

  #permitted(row: TaskRow): void {
    const spared = row.losses.length < this.#poisonLimit;
    const what = () => `${row.taskId} is tried again after ${row.losses.length} losses`;
    this.#check(spared, 'P14', row, what);
    this.#checkSlots(row);
    this.#checkAgent(row);
  }

  /** I4: only to an agent with a live session that serves the queue, and not to a cordoned one. */
  #checkAgent(row: TaskRow): void {
    const { open, taskId } = row;
    if (open === null) return;
    const session = this.sessions.get(open.epoch);
    const serves =
      session?.state === 'live' &&
      session.queues.includes(row.queue) &&
      (row.handler === '' || session.handlers.includes(row.handler)) &&
      Object.entries(row.requiredLabels).every(([name, value]) => session.labels[name] === value);
    const foreign = () => `${taskId} was permitted to ${open.agentId}, which does not serve it`;
    this.#check(serves, 'I4', row, foreign);
    const agent = this.#agents.get(open.agentId);
    const cordoned = agent?.cordoned === true && !this.#steered.has(open.agentId);
    this.#check(!cordoned, 'I4', row, () => `${taskId} was permitted to ${open.agentId}, which is cordoned`);
  }

  #checkSlots(row: TaskRow): void {
    const epoch = row.open?.epoch;
    const slots = row.open === null ? 0 : (this.#slots.get(row.open.agentId) ?? 0);
    let held = 0;
    for (const other of this.#open.values())
      if (other.open?.epoch === epoch && other.open?.lost === null) held++;
    const what = () => `${row.open?.agentId} holds ${held} permits with ${slots} slots`;
    this.#check(held <= slots, 'I4', row, what);
  }

  #session(row: SessionRow): void {
    const before = this.sessions.get(row.epoch);
    const revived = before !== undefined && before.state !== 'live' && row.state === 'live';
    this.#check(!revived, 'I1', row, () => `session ${row.epoch} is over and lives again`);
    this.sessions.set(row.epoch, row);
  }
}
