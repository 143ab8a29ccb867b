import type { RunKey } from '../../core/dag/rows.js';
import type {
  AgentRow,
  Counters,
  HistoryRow,
  QueueRow,
  SessionRow,
  TaskRow,
  TaskSpecRow,
} from '../../core/rows.js';
import type { AgentId, Epoch, TaskId } from '../../kit/ids.js';
import { NO_EPOCH, NO_TOKEN } from '../../kit/ids.js';
import type { ServiceMs, WallMs } from '../../kit/time.js';
import { encodeSubmitted } from '../codec.js';
import {
  type DeliveryRow,
  type FinishedPosition,
  type Puts,
  type ReadyPosition,
  type StoredNotification,
  StoreError,
  type TaskPut,
} from '../store.js';
import { checkVersion, conflict, unique } from './checks.js';
import { DagTables } from './dag-tables.js';
import { byText, Sorted } from './sorted.js';

/** A place in the order of deadlines of one clock. */
interface DuePosition<Instant extends number> {
  readonly dueAt: Instant;
  readonly taskId: TaskId;
}

const byOffer = (a: ReadyPosition, b: ReadyPosition): number => a.rank - b.rank || byText(a.taskId, b.taskId);
const byDue = (a: DuePosition<number>, b: DuePosition<number>): number =>
  a.dueAt - b.dueAt || byText(a.taskId, b.taskId);

const byEnd = (a: FinishedPosition, b: FinishedPosition): number =>
  a.finishedAt - b.finishedAt || byText(a.taskId, b.taskId);

/** The rows and what finds them again. Writes are checked as a whole before the first of them is made. */
export class Tables {
  readonly tasks = new Map<TaskId, TaskPut>();
  readonly specs = new Map<TaskId, TaskSpecRow>();
  readonly history = new Map<TaskId, HistoryRow[]>();
  readonly agents = new Map<AgentId, AgentRow>();
  readonly sessions = new Map<Epoch, SessionRow>();
  readonly queues = new Map<string, QueueRow>();
  /** In order of their numbers. */
  notifications: StoredNotification[] = [];
  newestNotification = 0;
  deliveries: readonly DeliveryRow[] = [];
  counters: Counters = { token: NO_TOKEN, epoch: NO_EPOCH, serviceMs: 0 as ServiceMs };

  readonly dags = new DagTables();

  readonly ids = new Sorted<TaskId>(byText);
  readonly byKey = new Map<string, TaskId>();
  readonly ready = new Map<string, Sorted<ReadyPosition>>();
  readonly due = new Sorted<DuePosition<ServiceMs>>(byDue);
  readonly wallDue = new Sorted<DuePosition<WallMs>>(byDue);
  readonly finished = new Sorted<FinishedPosition>(byEnd);
  readonly open = new Set<TaskId>();
  readonly instances = new Map<RunKey, Set<TaskId>>();

  /** Throws StoreError `conflict` if any of the puts may not be written. */
  check(puts: Puts): void {
    const keys = new Set<string>();
    const freed = new Set<string>();
    unique('the removal of task', puts.removals, (removal) => removal.taskId);
    for (const { taskId, version } of puts.removals) {
      const stored = this.tasks.get(taskId)?.row;
      if (stored?.version !== version)
        throw conflict(`the removal of task ${taskId}`, `it is not stored with version ${version}`);
      freed.add(stored.idempotencyKey);
    }
    unique('task', puts.tasks, (put) => put.row.taskId);
    for (const { row } of puts.tasks) {
      const stored = this.tasks.get(row.taskId)?.row;
      checkVersion(`task ${row.taskId}`, row.version, stored?.version);
      if (stored !== undefined) checkSubmission(stored, row);
      const { idempotencyKey: key } = row;
      if (key === '' || row.version > 1) continue;
      if ((this.byKey.has(key) && !freed.has(key)) || keys.has(key))
        throw conflict(`task ${row.taskId}`, 'its idempotency key is taken');
      keys.add(key);
    }
    const again = new Set(puts.tasks.filter(({ row }) => row.version > 1).map(({ row }) => row.taskId));
    unique('specification of task', puts.specs, (row) => row.taskId);
    const fresh = puts.specs.filter(({ taskId }) => !again.has(taskId));
    unique('specification of task', fresh, (row) => row.taskId, this.specs);
    unique('history', puts.history, (row) => `${row.n} of task ${row.taskId}`);
    for (const row of puts.history) {
      if (this.history.get(row.taskId)?.some((known) => known.n === row.n)) {
        throw conflict(`history ${row.n} of task ${row.taskId}`, 'it is there already');
      }
    }
    unique('agent', puts.agents, (row) => row.agentId);
    for (const row of puts.agents) {
      checkVersion(`agent ${row.agentId}`, row.version, this.agents.get(row.agentId)?.version);
    }
    unique('the removal of agent', puts.agentRemovals, ({ agentId }) => agentId);
    for (const { agentId, version } of puts.agentRemovals) {
      if (this.agents.get(agentId)?.version !== version)
        throw conflict(`the removal of agent ${agentId}`, `it is not stored with version ${version}`);
    }
    unique('session', puts.sessions, (row) => row.epoch);
    for (const row of puts.sessions) {
      checkVersion(`session ${row.epoch}`, row.version, this.sessions.get(row.epoch)?.version);
    }
    unique('queue', puts.queues, (row) => row.queue);
    for (const row of puts.queues)
      checkVersion(`queue ${row.queue}`, row.version, this.queues.get(row.queue)?.version);
    const { counters } = puts;
    if (counters !== null && (counters.token < this.counters.token || counters.epoch < this.counters.epoch)) {
      throw conflict('counters', 'they would go back');
    }
    if (puts.dags !== null) this.dags.check(puts.dags);
  }

  /** Makes checked puts. */
  apply(puts: Puts): void {
    for (const { taskId } of puts.removals) this.#removeTask(taskId);
    for (const put of puts.tasks) this.#replaceTask(put);
    for (const row of puts.specs) this.specs.set(row.taskId, row);
    for (const row of puts.history) {
      const rows = this.history.get(row.taskId);
      if (rows === undefined) this.history.set(row.taskId, [row]);
      else if (row.n > (rows.at(-1)?.n ?? -1)) rows.push(row);
      else rows.splice(0, rows.length, ...[...rows, row].sort((a, b) => a.n - b.n));
    }
    for (const row of puts.agents) this.agents.set(row.agentId, row);
    for (const { agentId } of puts.agentRemovals) this.#removeAgent(agentId);
    for (const row of puts.sessions) this.sessions.set(row.epoch, row);
    for (const row of puts.sessions) if (row.version === 1) this.#forgetBefore(row);
    for (const row of puts.queues) this.queues.set(row.queue, row);
    for (const row of puts.notifications) this.notifications.push({ ...row, n: ++this.newestNotification });
    if (puts.counters !== null) this.counters = puts.counters;
    if (puts.dags !== null) this.dags.apply(puts.dags);
  }

  /** Replaces the list of endpoints, and drops the notifications up to the number `done`. */
  putDeliveries(rows: readonly DeliveryRow[], done: number): void {
    this.deliveries = [...rows].sort((a, b) => byText(a.endpoint, b.endpoint));
    this.notifications = this.notifications.filter(({ n }) => n > done);
  }

  #forgetBefore({ agentId, epoch }: SessionRow): void {
    for (const row of this.sessions.values()) {
      if (row.agentId === agentId && row.epoch < epoch && row.state !== 'live')
        this.sessions.delete(row.epoch);
    }
  }

  #removeAgent(agentId: AgentId): void {
    this.agents.delete(agentId);
    for (const row of this.sessions.values()) if (row.agentId === agentId) this.sessions.delete(row.epoch);
  }

  #removeTask(taskId: TaskId): void {
    const put = this.tasks.get(taskId);
    if (put === undefined) return;
    this.#unlist(put);
    this.tasks.delete(taskId);
    this.specs.delete(taskId);
    this.history.delete(taskId);
    this.byKey.delete(put.row.idempotencyKey);
    this.open.delete(taskId);
    this.ids.remove(taskId);
    if (put.row.instance === null) return;
    const { run } = put.row.instance;
    const instances = this.instances.get(run);
    instances?.delete(taskId);
    if (instances?.size === 0) this.instances.delete(run);
  }

  #replaceTask(fresh: TaskPut): void {
    const { taskId } = fresh.row;
    const before = this.tasks.get(taskId);
    const { finishedAt } = fresh;
    const put = finishedAt === null ? fresh : { ...fresh, finishedAt: before?.finishedAt ?? finishedAt };
    if (before === undefined) {
      this.ids.add(taskId);
      if (put.row.idempotencyKey !== '') this.byKey.set(put.row.idempotencyKey, taskId);
      if (put.row.instance !== null) this.#instancesOf(put.row.instance.run).add(taskId);
    } else {
      this.#unlist(before);
    }
    this.tasks.set(taskId, put);
    if (put.lane !== null) this.#laneOf(put.lane).add(positionOf(put.row));
    if (put.dueAt !== null) this.due.add({ dueAt: put.dueAt, taskId });
    if (put.wallDueAt !== null) this.wallDue.add({ dueAt: put.wallDueAt, taskId });
    if (put.finishedAt !== null) this.finished.add({ finishedAt: put.finishedAt, taskId });
    if (put.row.open === null) this.open.delete(taskId);
    else this.open.add(taskId);
  }

  #unlist(put: TaskPut): void {
    const { taskId } = put.row;
    if (put.dueAt !== null) this.due.remove({ dueAt: put.dueAt, taskId });
    if (put.wallDueAt !== null) this.wallDue.remove({ dueAt: put.wallDueAt, taskId });
    if (put.finishedAt !== null) this.finished.remove({ finishedAt: put.finishedAt, taskId });
    if (put.lane === null) return;
    const lane = this.#laneOf(put.lane);
    lane.remove(positionOf(put.row));
    if (lane.size === 0) this.ready.delete(put.lane);
  }

  #instancesOf(run: RunKey): Set<TaskId> {
    const known = this.instances.get(run);
    if (known !== undefined) return known;
    const fresh = new Set<TaskId>();
    this.instances.set(run, fresh);
    return fresh;
  }

  #laneOf(lane: string): Sorted<ReadyPosition> {
    const known = this.ready.get(lane);
    if (known !== undefined) return known;
    const fresh = new Sorted<ReadyPosition>(byOffer);
    this.ready.set(lane, fresh);
    return fresh;
  }
}

/** The other stores keep what was submitted from version 1 on; a change of it would silently be lost there. */
function checkSubmission(stored: TaskRow, row: TaskRow): void {
  const same =
    stored.priority === row.priority &&
    stored.idempotencyKey === row.idempotencyKey &&
    (isSame(stored, row) || encodeSubmitted(stored) === encodeSubmitted(row));
  if (same) return;
  throw new StoreError(
    'other',
    `task ${row.taskId} is not written, because what was submitted never changes; this is a bug, report it`,
  );
}

/** Rows that were made of one another share what never changes. */
const isSame = (stored: TaskRow, row: TaskRow): boolean =>
  stored.requiredLabels === row.requiredLabels && stored.instance === row.instance;

const positionOf = ({ rank, taskId }: TaskRow): ReadyPosition => ({ rank, taskId });
