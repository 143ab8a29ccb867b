import type {
  AssetEventRow,
  BackfillRow,
  DagVersionRow,
  PoolRow,
  RunInstant,
  RunKey,
  RunRow,
  RunState,
} from '../../core/dag/rows.js';
import type { TaskRow } from '../../core/rows.js';
import type { TaskId } from '../../kit/ids.js';
import {
  toAsset,
  toBackfill,
  toBundle,
  toDag,
  toEvent,
  toRun,
  toTrigger,
  toVersion,
} from '../dag-columns.js';
import type {
  BackfillPosition,
  EndedPosition,
  LoadedDags,
  RunFilter,
  RunPosition,
  VersionKey,
} from '../dags.js';
import { TASK_WITHOUT_RESULT, toTask } from './columns.js';
import type { Columns, Driver, Param } from './driver.js';

const RUN = 'run, version, dag_id, type, state, definition_version, backfill, created_at, ended_at, data';
const BACKFILL = 'backfill, version, dag_id, created_at, data';
/** As `runs_unsuccessful` needs it to find them. */
const ACTIVE = "state <> 'success' AND state IN ('queued', 'running')";

/** Reads the rows of DAGs and checks what it read. Throws StoreError, `corrupt` for a row that makes no sense. */
export class DagReader {
  readonly #driver: Driver;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  load(): LoadedDags {
    return {
      dags: this.#all('SELECT dag_id, version, definition_version, data FROM dags ORDER BY dag_id').map(
        toDag,
      ),
      runs: this.#all(`SELECT ${RUN} FROM runs WHERE ${ACTIVE} ORDER BY run`).map(toRun),
      instances: this.#driver
        .statement(
          `SELECT ${TASK_WITHOUT_RESULT} FROM tasks WHERE run IN (SELECT run FROM runs WHERE ${ACTIVE})`,
        )
        .lists()
        .map(toTask),
      pools: this.#all('SELECT pool, version, slots, description FROM pools ORDER BY pool').map(toPool),
      assets: this.#all('SELECT asset, version, last_event, last_event_at FROM assets ORDER BY asset').map(
        toAsset,
      ),
      triggers: this.#all('SELECT trigger_id, version, task_id, data FROM triggers ORDER BY trigger_id').map(
        toTrigger,
      ),
      bundles: this.#all('SELECT bundle, version, data FROM bundles ORDER BY bundle').map(toBundle),
      backfills: this.#all(
        `SELECT ${BACKFILL} FROM backfills WHERE is_under_way IS NOT NULL ORDER BY backfill`,
      ).map(toBackfill),
    };
  }

  versions(keys: readonly VersionKey[]): DagVersionRow[] {
    const statement = this.#driver.statement(
      `SELECT dag_id, definition_version, hash, created_at, definition FROM dag_versions
        WHERE dag_id = ? AND definition_version = ?`,
    );
    const found = new Map<unknown, DagVersionRow>();
    for (const { dagId, definitionVersion } of keys) {
      const row = statement.get(dagId, definitionVersion);
      if (row !== undefined) found.set(`${definitionVersion} of ${dagId}`, toVersion(row));
    }
    return [...found.values()];
  }

  runs(runs: readonly RunKey[]): RunRow[] {
    const statement = this.#driver.statement(`SELECT ${RUN} FROM runs WHERE run = ?`);
    return [...new Set(runs)].flatMap((run) => statement.all(run)).map(toRun);
  }

  runsOfInstants(instants: readonly RunInstant[]): RunRow[] {
    const statement = this.#driver.statement(
      `SELECT ${RUN} FROM runs WHERE dag_id = ? AND logical_date = ? ORDER BY created_at, run LIMIT 1`,
    );
    return instants.flatMap(({ dagId, at }) => statement.all(dagId, at)).map(toRun);
  }

  /**
   * A backfill, a state other than success and a DAG have an index each, tried in this order; see Reader.list. A type, or
   * a rare state of a DAG's many, walks from the newest run down until `limit` rows are found.
   */
  listRuns(filter: RunFilter, before: RunPosition | null, limit: number): RunRow[] {
    const states = filter.states === undefined ? null : [...new Set(filter.states)];
    const isOfBackfill = filter.backfill !== undefined && filter.backfill !== '';
    if (states === null || states.includes('success') || isOfBackfill)
      return this.#listOf(filter, states, false, before, limit);
    return states
      .flatMap((state) => this.#listOf(filter, [state], true, before, limit))
      .sort((a, b) => b.createdAt - a.createdAt || (a.run < b.run ? 1 : -1))
      .slice(0, limit);
  }

  #listOf(
    { backfill, dagId, type }: RunFilter,
    states: readonly RunState[] | null,
    byState: boolean,
    before: RunPosition | null,
    limit: number,
  ): RunRow[] {
    const terms: string[] = [];
    const params: Param[] = [];
    const where = (term: string, ...values: readonly Param[]) => {
      terms.push(term);
      params.push(...values);
    };
    // A plus sign keeps SQLite from using that term's index; see Reader.list.
    if (backfill === '') where("+backfill = ''");
    else if (backfill !== undefined) where("backfill = ? AND backfill <> ''", backfill);
    if (byState) where("state <> 'success'");
    if (states !== null)
      where(`${byState ? '' : '+'}state IN (${states.map(() => '?').join(', ')})`, ...states);
    const isFound = byState || (backfill !== undefined && backfill !== '');
    if (dagId !== undefined) where(`${isFound ? '+' : ''}dag_id = ?`, dagId);
    if (type !== undefined) where('type = ?', type);
    if (before !== null) where('(created_at, run) < (?, ?)', before.createdAt, before.run);
    const filtered = terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`;
    const sql = `SELECT ${RUN} FROM runs ${filtered} ORDER BY created_at DESC, run DESC LIMIT ?`;
    return this.#all(sql, ...params, limit).map(toRun);
  }

  instances(run: RunKey, after: TaskId | null, limit: number): TaskRow[] {
    const sql = `SELECT ${TASK_WITHOUT_RESULT} FROM tasks WHERE run = ? AND task_id > ? ORDER BY task_id LIMIT ?`;
    return this.#driver
      .statement(sql)
      .lists(run, after ?? '', limit)
      .map(toTask);
  }

  listEvents(asset: string | null, before: number | null, limit: number): AssetEventRow[] {
    const below = before ?? Number.MAX_SAFE_INTEGER;
    const [of, params] = asset === null ? ['', [below]] : ['asset = ? AND', [asset, below]];
    return this.#all(
      `SELECT n, asset, data FROM asset_events WHERE ${of} n < ? ORDER BY n DESC LIMIT ?`,
      ...params,
      limit,
    ).map(toEvent);
  }

  events(asset: string, first: number, last: number, limit: number): AssetEventRow[] {
    return this.#all(
      'SELECT n, asset, data FROM asset_events WHERE asset = ? AND n BETWEEN ? AND ? ORDER BY n LIMIT ?',
      ...[asset, first, last, limit],
    ).map(toEvent);
  }

  newestEvent(): number {
    const row = this.#driver.statement("SELECT seq FROM sqlite_sequence WHERE name = 'asset_events'").get();
    return (row?.seq ?? 0) as number;
  }

  ended(after: EndedPosition | null, limit: number): RunRow[] {
    const from = after === null ? '' : 'AND (ended_at, run) > (?, ?)';
    return this.#all(
      `SELECT ${RUN} FROM runs WHERE ended_at IS NOT NULL AND +state NOT IN ('queued', 'running') ${from}
        ORDER BY ended_at, run LIMIT ?`,
      ...(after === null ? [] : [after.endedAt, after.run]),
      limit,
    ).map(toRun);
  }

  backfills(backfills: readonly string[]): BackfillRow[] {
    const statement = this.#driver.statement(`SELECT ${BACKFILL} FROM backfills WHERE backfill = ?`);
    return [...new Set(backfills)].flatMap((backfill) => statement.all(backfill)).map(toBackfill);
  }

  endedBackfills(limit: number): BackfillRow[] {
    return this.#all(
      `SELECT ${BACKFILL} FROM backfills WHERE is_under_way IS NULL ORDER BY created_at, backfill LIMIT ?`,
      limit,
    ).map(toBackfill);
  }

  listBackfills(dagId: string | null, before: BackfillPosition | null, limit: number): BackfillRow[] {
    const terms = [
      ...(dagId === null ? [] : ['dag_id = ?']),
      ...(before === null ? [] : ['(created_at, backfill) < (?, ?)']),
    ];
    const filtered = terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`;
    return this.#all(
      `SELECT ${BACKFILL} FROM backfills ${filtered} ORDER BY created_at DESC, backfill DESC LIMIT ?`,
      ...(dagId === null ? [] : [dagId]),
      ...(before === null ? [] : [before.createdAt, before.backfill]),
      limit,
    ).map(toBackfill);
  }

  #all(sql: string, ...params: readonly Param[]): readonly Columns[] {
    return this.#driver.statement(sql).all(...params);
  }
}

const toPool = (c: Columns): PoolRow => ({
  pool: c.pool as string,
  version: c.version as number,
  slots: c.slots as number,
  description: c.description as string,
});
