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
import type { Ask } from './ask.js';
import type { Statement, Step } from './driver.js';
import { ConnectionLost } from './errors.js';
import type { Life, Outside } from './life.js';
import type { Line } from './line.js';
import type { Ownership } from './owner.js';
import { Reader } from './read.js';
import { commitSteps, deliverySteps, ownStep } from './write.js';

/** Between two questions whether this is the owner still: several fit into its grace. */
const PROOF_MS = 2_000;

/** What openPostgresStore() has made: a connection for each purpose, so that none waits for another. */
export interface Parts {
  readonly life: Life;
  readonly outside: Outside;
  readonly ownership: Ownership;
  /** Holds the lock, and nothing else. */
  readonly owner: Line;
  readonly writer: Line;
  /** Reads for the next decision. */
  readonly soon: Line;
  /** Reads for people. */
  readonly leisurely: Line;
}

/** A store in a schema of a PostgreSQL database. */
export class PostgresStore implements Store {
  readonly #parts: Parts;
  readonly #reader: Reader;
  readonly #statements = new Map<string, Statement>();
  /** Transactions are made one after the other: their numbers tell which was the last. */
  #last: Promise<unknown> = Promise.resolve();
  #watch: { cancel(): void } | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
    const asking =
      (line: Line, patienceMs?: number): Ask =>
      (text, params) =>
        line.ask(this.#statement(text), params, patienceMs);
    this.#reader = new Reader({ soon: asking(parts.soon), leisurely: asking(parts.leisurely) });
    this.#keepWatch();
  }

  /** Whether no other coordinator can be deciding: see Store.isOwned. */
  isOwned(): boolean {
    return this.#parts.ownership.isCertain;
  }

  async proveOwned(): Promise<void> {
    const { owner, ownership, life } = this.#parts;
    while (!ownership.isCertain) {
      life.check();
      const link = await owner.link();
      await ownership.prove(link).catch(() => link.drop());
    }
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
    await this.#transaction(commitSteps(puts));
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
    await this.#transaction(deliverySteps(rows, done));
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

  /** Always throws: the database's own tools make a copy that is consistent, and know where to put it. */
  async backup(): Promise<void> {
    throw new StoreError(
      'other',
      'the copy was not made, because the rows are in PostgreSQL; use pg_dump, or the backups of the server',
    );
  }

  async close(): Promise<void> {
    const { life, owner, writer, soon, leisurely, ownership } = this.#parts;
    if (life.isOver) {
      life.close();
    } else {
      await this.#last.catch(() => {});
      life.close();
      if (writer.current !== null) await ownership.release(writer.current);
    }
    this.#watch?.cancel();
    await Promise.all([writer, soon, leisurely].map((line) => line.end()));
    // Last: until then nobody else begins.
    await owner.end();
  }

  #transaction(steps: readonly Step[]): Promise<void> {
    this.#parts.life.check();
    const made = this.#last.then(() => this.#commit(steps));
    this.#last = made.catch(() => {});
    return made;
  }

  /**
   * When the connection is lost, whether the transaction was made is read from the count of transactions, under a fence that
   * it can no longer pass; one that was not made is made then. So this waits as long as the database is away.
   */
  async #commit(steps: readonly Step[]): Promise<void> {
    const { life, outside, ownership, writer } = this.#parts;
    for (;;) {
      const link = await writer.link();
      const { fence, commits } = ownership;
      const begun = outside.mono();
      try {
        await link.transaction([ownStep(fence), ...steps]);
        ownership.committed(begun);
        return;
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error instanceof StoreError ? life.note(error) : error;
        link.drop();
      }
      await writer.link();
      if (ownership.commits > commits) return;
    }
  }

  #statement(text: string): Statement {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const fresh = { name: `read ${this.#statements.size}`, text };
    this.#statements.set(text, fresh);
    return fresh;
  }

  /** While nothing is committed, somebody has to ask; and a lock that was lost with its connection has to be taken again. */
  #keepWatch(): void {
    const { life, outside, owner, ownership } = this.#parts;
    const look = async (): Promise<void> => {
      try {
        const link = await owner.link();
        await ownership.prove(link).catch(() => link.drop());
      } catch {
        // Whatever ended the store is told to those who use it.
      }
      if (!life.isOver) this.#keepWatch();
    };
    this.#watch = outside.after(PROOF_MS, () => void look());
  }
}
