import type {
  AssetEventRow,
  BackfillRow,
  DagVersionRow,
  RunInstant,
  RunKey,
  RunRow,
} from '../../core/dag/rows.js';
import type { FinishedTask } from '../../core/retention.js';
import type { HistoryRow, TaskRow, TaskSpecRow, TaskState } from '../../core/rows.js';
import type { TaskId } from '../../kit/ids.js';
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
  type TaskFilter,
} from '../store.js';
import type { CopyProgress, Driver } from './driver.js';
import { beginCopy, isThere, publishCopy, removeCopy, SyncBehind } from './files.js';
import { Reader } from './read.js';
import { Writer } from './write.js';

const fileExists = (file: string): StoreError =>
  new StoreError('conflict', `${file} is not written, because it is there already; name another file`);

/**
 * The last step of a copy syncs all of it while commits wait. So what is written is synced behind it all the time, and
 * little is left for the last step.
 */
async function copySyncing(
  driver: Driver,
  file: string,
  tell: (progress: CopyProgress) => void,
): Promise<void> {
  const behind = new SyncBehind(file);
  try {
    await driver.backup(file, (progress) => {
      behind.reached(progress.copied);
      tell(progress);
    });
  } finally {
    await behind.close();
  }
}

/**
 * A store in one SQLite file. Every call does its work before it returns its promise: SQLite in this process is a
 * library, and a commit of a hundred rows takes about as long as sending it to another thread would.
 */
export class SqliteStore implements Store {
  readonly #driver: Driver;
  readonly #reader: Reader;
  readonly #writer: Writer;
  #copying: Promise<void> | null = null;

  /** For openSqliteStore(), which has locked, checked and upgraded the file. */
  constructor(driver: Driver) {
    this.#driver = driver;
    this.#reader = new Reader(driver);
    this.#writer = new Writer(driver);
  }

  async load(): Promise<Loaded> {
    return this.#reader.load();
  }

  async readTasks(taskIds: readonly TaskId[]): Promise<TaskRow[]> {
    return this.#reader.tasks(taskIds);
  }

  async readSpecs(taskIds: readonly TaskId[]): Promise<TaskSpecRow[]> {
    return this.#reader.specs(taskIds);
  }

  async readByIdempotencyKey(keys: readonly string[]): Promise<TaskRow[]> {
    return this.#reader.byIdempotencyKey(keys);
  }

  async readHistory(taskId: TaskId): Promise<HistoryRow[]> {
    return this.#reader.history(taskId);
  }

  async readLanes(): Promise<LaneCount[]> {
    return this.#reader.lanes();
  }

  async readReady(lane: string, after: ReadyPosition | null, limit: number): Promise<TaskRow[]> {
    return this.#reader.ready(lane, after, limit);
  }

  async readDue(now: ServiceMs, limit: number): Promise<TaskRow[]> {
    return this.#reader.due(now, limit);
  }

  async nextDue(): Promise<ServiceMs | null> {
    return this.#reader.nextDue();
  }

  async readWallDue(now: WallMs, limit: number): Promise<TaskRow[]> {
    return this.#reader.wallDue(now, limit);
  }

  async nextWallDue(): Promise<WallMs | null> {
    return this.#reader.nextWallDue();
  }

  async listTasks(filter: TaskFilter, before: TaskId | null, limit: number): Promise<TaskRow[]> {
    return this.#reader.list(filter, before, limit);
  }

  async readFinished(
    after: FinishedPosition | null,
    limit: number,
    filter: FinishedFilter = {},
  ): Promise<FinishedTask[]> {
    return this.#reader.finished(after, limit, filter);
  }

  async countTasks(): Promise<Partial<Record<TaskState, number>>> {
    return this.#reader.count();
  }

  async commit(puts: Puts): Promise<void> {
    this.#driver.transaction(() => this.#writer.write(puts));
  }

  async readNotifications(after: number, limit: number): Promise<StoredNotification[]> {
    return this.#reader.notifications(after, limit);
  }

  async newestNotification(): Promise<number> {
    return this.#reader.newestNotification();
  }

  async readDeliveries(): Promise<DeliveryRow[]> {
    return this.#reader.deliveries();
  }

  async putDeliveries(rows: readonly DeliveryRow[], done: number): Promise<void> {
    this.#driver.transaction(() => this.#writer.writeDeliveries(this.#driver, rows, done));
  }

  async readDagVersions(keys: readonly VersionKey[]): Promise<DagVersionRow[]> {
    return this.#reader.dags.versions(keys);
  }

  async readRuns(runs: readonly RunKey[]): Promise<RunRow[]> {
    return this.#reader.dags.runs(runs);
  }

  async readRunsOfInstants(instants: readonly RunInstant[]): Promise<RunRow[]> {
    return this.#reader.dags.runsOfInstants(instants);
  }

  async listRuns(filter: RunFilter, before: RunPosition | null, limit: number): Promise<RunRow[]> {
    return this.#reader.dags.listRuns(filter, before, limit);
  }

  async readInstances(
    run: RunKey,
    after: TaskId | null = null,
    limit = Number.MAX_SAFE_INTEGER,
  ): Promise<TaskRow[]> {
    return this.#reader.dags.instances(run, after, limit);
  }

  async listAssetEvents(
    asset: string | null,
    before: number | null,
    limit: number,
  ): Promise<AssetEventRow[]> {
    return this.#reader.dags.listEvents(asset, before, limit);
  }

  async readAssetEvents(asset: string, first: number, last: number, limit: number): Promise<AssetEventRow[]> {
    return this.#reader.dags.events(asset, first, last, limit);
  }

  async newestAssetEvent(): Promise<number> {
    return this.#reader.dags.newestEvent();
  }

  async readEndedRuns(after: EndedPosition | null, limit: number): Promise<RunRow[]> {
    return this.#reader.dags.ended(after, limit);
  }

  async readEndedBackfills(limit: number): Promise<BackfillRow[]> {
    return this.#reader.dags.endedBackfills(limit);
  }

  async readBackfills(backfills: readonly string[]): Promise<BackfillRow[]> {
    return this.#reader.dags.backfills(backfills);
  }

  async listBackfills(
    dagId: string | null,
    before: BackfillPosition | null,
    limit: number,
  ): Promise<BackfillRow[]> {
    return this.#reader.dags.listBackfills(dagId, before, limit);
  }

  /** It is the only safe way to copy a store in use: whoever else opens and closes the file in this process drops its lock. */
  async backup(file: string, tell: (progress: CopyProgress) => void = () => {}): Promise<void> {
    if (isThere(file)) throw fileExists(file);
    const unfinished = `${file}.unfinished`;
    this.#attempt(`making ${unfinished}`, () => beginCopy(unfinished));
    try {
      this.#copying = copySyncing(this.#driver, unfinished, tell);
      await this.#copying;
      if (isThere(file)) throw fileExists(file);
      this.#attempt(`naming ${file}`, () => publishCopy(unfinished, file));
    } catch (error) {
      removeCopy(unfinished);
      throw error;
    } finally {
      this.#copying = null;
    }
  }

  #attempt(what: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      throw new StoreError('other', `${what} failed, because: ${String(error)}; name another place`, {
        cause: error,
      });
    }
  }

  /** Marks the file as closed in good order, so that the next start need not read through it. Idempotent. */
  async close(): Promise<void> {
    try {
      if (this.#driver.isUsable) this.#driver.exec('UPDATE opening SET closed_cleanly = 1');
    } catch (error) {
      // A full disk may refuse even this mark: then the next start reads the file through, and nothing is lost.
      if (!(error instanceof StoreError) || error.fault !== 'full') throw error;
    } finally {
      this.#driver.stopBackup();
      await this.#copying?.catch(() => {});
      this.#driver.close();
    }
  }
}
