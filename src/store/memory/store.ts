import type {
  AssetEventRow,
  BackfillRow,
  DagVersionRow,
  RunInstant,
  RunKey,
  RunRow,
} from '../../core/dag/rows.js';
import { dagIdOf } from '../../core/dag/rows.js';
import type { FinishedTask } from '../../core/retention.js';
import type { HistoryRow, TaskRow, TaskSpecRow, TaskState } from '../../core/rows.js';
import type { AgentId, Epoch, TaskId } from '../../kit/ids.js';
import type { ServiceMs, WallMs } from '../../kit/time.js';
import type { BackfillPosition, EndedPosition, RunFilter, RunPosition, VersionKey } from '../dags.js';
import {
  type DeliveryRow,
  type FinishedFilter,
  type FinishedPosition,
  type LaneCount,
  type Loaded,
  type Puts,
  type ReadyPosition,
  type Store,
  type StoredNotification,
  StoreError,
  type StoreFault,
  type TaskFilter,
  type TaskPut,
} from '../store.js';
import { DagQueries } from './dag-queries.js';
import { byEpoch, restore, type Snapshot, toSnapshot } from './snapshot.js';
import { byText } from './sorted.js';
import type { Tables } from './tables.js';

/** What shall go wrong with a commit. */
export interface CommitFault {
  readonly fault: StoreFault;
  /** Whether the puts are made all the same: an `unknown` outcome can be either, an `io` too. */
  readonly applied: boolean;
}

export interface MemoryOptions {
  /** Asked before each commit that would succeed; null lets it. */
  readonly beforeCommit?: (puts: Puts) => CommitFault | null;
  /** Told of each commit that was made, also of one whose outcome is reported as unknown. */
  readonly onCommit?: (puts: Puts) => void;
  /** Awaited before the puts are made and again before the commit returns: a disk that takes its time. */
  readonly pace?: (step: 'write' | 'return') => Promise<void>;
  /** `each` (default): a commit survives a crash once it returns. `manual`: only what sync() was called for does. */
  readonly sync?: 'each' | 'manual';
}

/**
 * A store that forgets: for tests and the simulator. The same calls give the same rows in the same order, always.
 * Rows are handed out as they came in, because rows are immutable. After a fault `io` or `corrupt` it refuses
 * everything, as the others do; what a restart would find is what fork() gives.
 */
export class MemoryStore implements Store {
  readonly #options: MemoryOptions;
  readonly #tables: Tables;
  /** What the disk has for certain; null while that is the same as #tables. */
  readonly #durable: Tables | null;
  #unsynced: Puts[] = [];
  #gone: StoreError | null = null;

  constructor(options: MemoryOptions = {}, start: Snapshot | null = null) {
    this.#options = options;
    this.#tables = restore(start);
    this.#durable = options.sync === 'manual' ? restore(start) : null;
  }

  async load(): Promise<Loaded> {
    const tables = this.#usable();
    const { agents, counters, open, queues, sessions, tasks } = tables;
    const newest = new Map<AgentId, Epoch>();
    for (const { agentId, epoch } of sessions.values()) {
      if (epoch > (newest.get(agentId) ?? -1n)) newest.set(agentId, epoch);
    }
    return {
      counters,
      agents: [...agents.values()].sort((a, b) => byText(a.agentId, b.agentId)),
      sessions: [...sessions.values()]
        .filter(({ state, agentId, epoch }) => state === 'live' || newest.get(agentId) === epoch)
        .sort(byEpoch),
      openTasks: rowsOf([...open].sort(byText), tasks),
      queues: [...queues.values()].sort((a, b) => byText(a.queue, b.queue)),
      dags: new DagQueries(tables).load(),
    };
  }

  async readTasks(taskIds: readonly TaskId[]): Promise<TaskRow[]> {
    return rowsOf(new Set(taskIds), this.#usable().tasks);
  }

  async readSpecs(taskIds: readonly TaskId[]): Promise<TaskSpecRow[]> {
    const { specs } = this.#usable();
    return [...new Set(taskIds)].map((id) => specs.get(id)).filter((row) => row !== undefined);
  }

  async readByIdempotencyKey(keys: readonly string[]): Promise<TaskRow[]> {
    const { byKey, tasks } = this.#usable();
    return rowsOf(
      [...new Set(keys)].map((key) => byKey.get(key)).filter((id) => id !== undefined),
      tasks,
    );
  }

  async readHistory(taskId: TaskId): Promise<HistoryRow[]> {
    return [...(this.#usable().history.get(taskId) ?? [])];
  }

  async readLanes(): Promise<LaneCount[]> {
    const { ready } = this.#usable();
    const lanes = [...ready].map(([lane, { size }]) => ({ lane, waiting: size }));
    return lanes.sort((a, b) => byText(a.lane, b.lane));
  }

  async readReady(lane: string, after: ReadyPosition | null, limit: number): Promise<TaskRow[]> {
    const { ready, tasks } = this.#usable();
    const inOrder = ready.get(lane);
    if (inOrder === undefined) return [];
    const from = after === null ? 0 : inOrder.placeAfter(after);
    return rowsOf(
      inOrder.slice(from, from + limit).map(({ taskId }) => taskId),
      tasks,
    );
  }

  async readDue(now: ServiceMs, limit: number): Promise<TaskRow[]> {
    const { due, tasks } = this.#usable();
    const late = due.slice(0, limit).filter(({ dueAt }) => dueAt <= now);
    return rowsOf(
      late.map(({ taskId }) => taskId),
      tasks,
    );
  }

  async nextDue(): Promise<ServiceMs | null> {
    return this.#usable().due.first()?.dueAt ?? null;
  }

  async readWallDue(now: WallMs, limit: number): Promise<TaskRow[]> {
    const { wallDue, tasks } = this.#usable();
    const late = wallDue.slice(0, limit).filter(({ dueAt }) => dueAt <= now);
    return rowsOf(
      late.map(({ taskId }) => taskId),
      tasks,
    );
  }

  async nextWallDue(): Promise<WallMs | null> {
    return this.#usable().wallDue.first()?.dueAt ?? null;
  }

  async listTasks(filter: TaskFilter, before: TaskId | null, limit: number): Promise<TaskRow[]> {
    const { ids, tasks } = this.#usable();
    const found: TaskRow[] = [];
    for (let at = before === null ? ids.size : ids.placeOf(before); at > 0 && found.length < limit; at--) {
      const row = tasks.get(ids.at(at - 1) as TaskId)?.row;
      if (row !== undefined && fits(row, filter)) found.push({ ...row, result: null });
    }
    return found;
  }

  async readFinished(
    after: FinishedPosition | null,
    limit: number,
    { runs = 'ended', until = null }: FinishedFilter = {},
  ): Promise<FinishedTask[]> {
    const { dags, finished, tasks } = this.#usable();
    const isKept = ({ open, instance }: TaskRow): boolean =>
      open !== null || (runs === 'ended' && instance !== null && dags.isActive(instance.run));
    const found: FinishedTask[] = [];
    let at = after === null ? 0 : finished.placeAfter(after);
    for (
      let place = finished.at(at);
      place !== undefined && found.length < limit && (until === null || place.finishedAt <= until);
      place = finished.at(++at)
    ) {
      const row = tasks.get(place.taskId)?.row;
      if (row !== undefined && !isKept(row))
        found.push({ row: { ...row, result: null }, finishedAt: place.finishedAt });
    }
    return found;
  }

  async countTasks(): Promise<Partial<Record<TaskState, number>>> {
    const counted: Partial<Record<TaskState, number>> = {};
    for (const { row } of this.#usable().tasks.values()) counted[row.state] = (counted[row.state] ?? 0) + 1;
    return counted;
  }

  async commit(puts: Puts): Promise<void> {
    await this.#options.pace?.('write');
    const tables = this.#usable();
    tables.check(puts);
    const wrong = this.#options.beforeCommit?.(puts) ?? null;
    if (wrong === null || wrong.applied) {
      tables.apply(puts);
      if (this.#durable !== null) this.#unsynced.push(puts);
      this.#options.onCommit?.(puts);
    }
    await this.#options.pace?.('return');
    if (wrong === null) return;
    const error = new StoreError(
      wrong.fault,
      `the commit failed, because a fault (${wrong.fault}) was asked for`,
    );
    if (wrong.fault === 'io' || wrong.fault === 'corrupt') this.#gone = error;
    throw error;
  }

  async readNotifications(after: number, limit: number): Promise<StoredNotification[]> {
    return this.#usable()
      .notifications.filter(({ n }) => n > after)
      .slice(0, limit);
  }

  async newestNotification(): Promise<number> {
    return this.#usable().newestNotification;
  }

  async readDeliveries(): Promise<DeliveryRow[]> {
    return [...this.#usable().deliveries];
  }

  async putDeliveries(rows: readonly DeliveryRow[], done: number): Promise<void> {
    this.#usable().putDeliveries(rows, done);
    this.#durable?.putDeliveries(rows, done);
  }

  async readDagVersions(keys: readonly VersionKey[]): Promise<DagVersionRow[]> {
    return this.#dags().versions(keys);
  }

  async readRuns(runs: readonly RunKey[]): Promise<RunRow[]> {
    return this.#dags().runs(runs);
  }

  async readRunsOfInstants(instants: readonly RunInstant[]): Promise<RunRow[]> {
    return this.#dags().runsOfInstants(instants);
  }

  async listRuns(filter: RunFilter, before: RunPosition | null, limit: number): Promise<RunRow[]> {
    return this.#dags().listRuns(filter, before, limit);
  }

  async readInstances(
    run: RunKey,
    after: TaskId | null = null,
    limit = Number.MAX_SAFE_INTEGER,
  ): Promise<TaskRow[]> {
    return this.#dags().instances(run, after, limit);
  }

  async listAssetEvents(
    asset: string | null,
    before: number | null,
    limit: number,
  ): Promise<AssetEventRow[]> {
    return this.#dags().listEvents(asset, before, limit);
  }

  async readAssetEvents(asset: string, first: number, last: number, limit: number): Promise<AssetEventRow[]> {
    return this.#dags().events(asset, first, last, limit);
  }

  async newestAssetEvent(): Promise<number> {
    return this.#dags().newestEvent();
  }

  async readEndedRuns(after: EndedPosition | null, limit: number): Promise<RunRow[]> {
    return this.#dags().ended(after, limit);
  }

  async readEndedBackfills(limit: number): Promise<BackfillRow[]> {
    return this.#dags().endedBackfills(limit);
  }

  async readBackfills(backfills: readonly string[]): Promise<BackfillRow[]> {
    return this.#dags().backfills(backfills);
  }

  async listBackfills(
    dagId: string | null,
    before: BackfillPosition | null,
    limit: number,
  ): Promise<BackfillRow[]> {
    return this.#dags().listBackfills(dagId, before, limit);
  }

  async backup(file: string): Promise<void> {
    this.#usable();
    throw new StoreError('other', `${file} is not written, because this store is in memory only; use a file`);
  }

  async close(): Promise<void> {
    this.#gone ??= new StoreError(
      'other',
      'the store was used after it was closed; this is a bug, report it',
    );
  }

  /** Everything committed so far will survive a crash. */
  sync(): void {
    for (const puts of this.#unsynced) this.#durable?.apply(puts);
    this.#unsynced = [];
  }

  /** How many of the newest commits a crash may lose. */
  get unsynced(): number {
    return this.#unsynced.length;
  }

  /**
   * The store that a restart after a crash finds: everything up to the last sync() and the first `kept` of the commits
   * since (default none). It has its own rows; this store stays as it is and usable.
   */
  fork(options: MemoryOptions = this.#options, kept = 0): MemoryStore {
    const found = new MemoryStore({}, toSnapshot(this.#durable ?? this.#tables));
    for (const puts of this.#unsynced.slice(0, kept)) found.#tables.apply(puts);
    return new MemoryStore(options, found.snapshot());
  }

  /** Every row, of a closed store too. */
  snapshot(): Snapshot {
    return toSnapshot(this.#tables);
  }

  #dags(): DagQueries {
    return new DagQueries(this.#usable());
  }

  #usable(): Tables {
    if (this.#gone === null) return this.#tables;
    throw new StoreError(this.#gone.fault, this.#gone.message, { cause: this.#gone });
  }
}

function rowsOf(taskIds: Iterable<TaskId>, tasks: ReadonlyMap<TaskId, TaskPut>): TaskRow[] {
  const rows: TaskRow[] = [];
  for (const taskId of taskIds) {
    const put = tasks.get(taskId);
    if (put !== undefined) rows.push(put.row);
  }
  return rows;
}

const fits = (row: TaskRow, { states, queue, agentId, run, dagId }: TaskFilter): boolean =>
  (states === undefined || states.includes(row.state)) &&
  (queue === undefined || row.queue === queue) &&
  (agentId === undefined || row.lastAgentId === agentId) &&
  (run === undefined || row.instance?.run === run) &&
  (dagId === undefined || (row.instance !== null && dagIdOf(row.instance.run) === dagId));
