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
import { type Ask, type Asks, Where } from './ask.js';
import { fromText, TASK_WITHOUT_RESULT, TASKS, toTask } from './columns.js';
import type { Columns } from './driver.js';

const RUN_COLUMNS = [
  ...['run', 'version', 'dag_id', 'type', 'state', 'definition_version', 'backfill', 'created_at'],
  ...['ended_at', 'data'],
];
const RUN = RUN_COLUMNS.join(', ');
const BACKFILL = 'backfill, version, dag_id, created_at, data';
/** As `runs_unsuccessful` needs it to find them. */
const ACTIVE = "state <> 'success' AND state IN ('queued', 'running')";

/** Reads the rows of DAGs and checks what it read. Throws StoreError, `corrupt` for a row that makes no sense. */
export class DagReader {
  readonly #soon: Ask;
  readonly #leisurely: Ask;

  constructor({ soon, leisurely }: Asks) {
    this.#soon = soon;
    this.#leisurely = leisurely;
  }

  async load(): Promise<LoadedDags> {
    const all = async <T>(text: string, to: (c: Columns) => T): Promise<T[]> =>
      (await this.#leisurely(text)).map(to);
    return {
      dags: await all('SELECT dag_id, version, definition_version, data FROM dags ORDER BY dag_id', toDag),
      runs: await all(`SELECT ${RUN} FROM runs WHERE ${ACTIVE} ORDER BY run`, toRun),
      instances: await all(
        `SELECT ${TASK_WITHOUT_RESULT} FROM ${TASKS} WHERE run IN (SELECT run FROM runs WHERE ${ACTIVE})`,
        toTask,
      ),
      pools: await all('SELECT pool, version, slots, description FROM pools ORDER BY pool', toPool),
      assets: await all(
        'SELECT asset, version, last_event, last_event_at FROM assets ORDER BY asset',
        toAsset,
      ),
      triggers: await all(
        'SELECT trigger_id, version, task_id, data FROM triggers ORDER BY trigger_id',
        toTrigger,
      ),
      bundles: await all('SELECT bundle, version, data FROM bundles ORDER BY bundle', toBundle),
      backfills: await all(
        `SELECT ${BACKFILL} FROM backfills WHERE is_under_way ORDER BY backfill`,
        toBackfill,
      ),
    };
  }

  async versions(keys: readonly VersionKey[]): Promise<DagVersionRow[]> {
    if (keys.length === 0) return [];
    const rows = await this.#soon(
      `SELECT dag_id, definition_version, hash, created_at, definition FROM dag_versions
        WHERE (dag_id, definition_version) IN (SELECT * FROM unnest($1::text[], $2::integer[]))`,
      [keys.map(({ dagId }) => dagId), keys.map(({ definitionVersion }) => String(definitionVersion))],
    );
    return rows.map(toVersion);
  }

  async runs(runs: readonly RunKey[]): Promise<RunRow[]> {
    if (runs.length === 0) return [];
    const rows = await this.#soon(`SELECT ${RUN} FROM runs WHERE run = ANY($1::text[])`, [
      [...new Set(runs)],
    ]);
    return rows.map(toRun);
  }

  async runsOfInstants(instants: readonly RunInstant[]): Promise<RunRow[]> {
    if (instants.length === 0) return [];
    const columns = RUN_COLUMNS.map((column) => `r.${column}`).join(', ');
    const rows = await this.#soon(
      `SELECT ${columns} FROM unnest($1::text[], $2::double precision[]) AS asked(dag_id, at)
        CROSS JOIN LATERAL (SELECT ${RUN} FROM runs WHERE runs.dag_id = asked.dag_id AND logical_date = asked.at
          ORDER BY created_at, run LIMIT 1) AS r`,
      [instants.map(({ dagId }) => dagId), instants.map(({ at }) => String(at))],
    );
    return rows.map(toRun);
  }

  /** A backfill, a state other than success and a DAG have an index each; see sqlite/dag-read.ts. */
  async listRuns(filter: RunFilter, before: RunPosition | null, limit: number): Promise<RunRow[]> {
    const states = filter.states === undefined ? null : [...new Set(filter.states)];
    const isOfBackfill = filter.backfill !== undefined && filter.backfill !== '';
    if (states === null || states.includes('success') || isOfBackfill)
      return this.#listOf(filter, states, before, limit);
    const lists = await Promise.all(states.map((state) => this.#listOf(filter, [state], before, limit)));
    return lists
      .flat()
      .sort((a, b) => b.createdAt - a.createdAt || (a.run < b.run ? 1 : -1))
      .slice(0, limit);
  }

  async #listOf(
    { backfill, dagId, type }: RunFilter,
    states: readonly RunState[] | null,
    before: RunPosition | null,
    limit: number,
  ): Promise<RunRow[]> {
    const where = new Where();
    if (backfill === '') where.and("backfill = ''");
    else if (backfill !== undefined) where.and("backfill = ? AND backfill <> ''", backfill);
    if (states?.length === 1 && states[0] !== undefined) {
      if (states[0] !== 'success') where.and("state <> 'success'");
      where.and('state = ?', states[0]);
    } else if (states !== null) where.and('state = ANY(?::text[])', states);
    if (dagId !== undefined) where.and('dag_id = ?', dagId);
    if (type !== undefined) where.and('type = ?', type);
    if (before !== null) where.and('(created_at, run) < (?, ?)', before.createdAt, before.run);
    const rows = await this.#leisurely(
      `SELECT ${RUN} FROM runs ${where.text} ORDER BY created_at DESC, run DESC LIMIT ${where.next}`,
      [...where.params, limit],
    );
    return rows.map(toRun);
  }

  async instances(run: RunKey, after: TaskId | null, limit: number): Promise<TaskRow[]> {
    const rows = await this.#soon(
      `SELECT ${TASK_WITHOUT_RESULT} FROM ${TASKS} WHERE run = $1 AND task_id > $2 ORDER BY task_id LIMIT $3`,
      [run, after ?? '', limit],
    );
    return rows.map(toTask);
  }

  async listEvents(asset: string | null, before: number | null, limit: number): Promise<AssetEventRow[]> {
    const where = new Where();
    if (asset !== null) where.and('asset = ?', asset);
    where.and('n < ?', before ?? Number.MAX_SAFE_INTEGER);
    const rows = await this.#leisurely(
      `SELECT n, asset, data FROM asset_events ${where.text} ORDER BY n DESC LIMIT ${where.next}`,
      [...where.params, limit],
    );
    return rows.map(toEvent);
  }

  async events(asset: string, first: number, last: number, limit: number): Promise<AssetEventRow[]> {
    const rows = await this.#soon(
      'SELECT n, asset, data FROM asset_events WHERE asset = $1 AND n BETWEEN $2 AND $3 ORDER BY n LIMIT $4',
      [asset, first, last, limit],
    );
    return rows.map(toEvent);
  }

  async newestEvent(): Promise<number> {
    const [row] = await this.#soon("SELECT newest FROM numbering WHERE what = 'asset_events'");
    return Number(row?.newest ?? 0);
  }

  async ended(after: EndedPosition | null, limit: number): Promise<RunRow[]> {
    const where = new Where();
    where.and("ended_at IS NOT NULL AND state NOT IN ('queued', 'running')");
    if (after !== null) where.and('(ended_at, run) > (?, ?)', after.endedAt, after.run);
    const rows = await this.#soon(
      `SELECT ${RUN} FROM runs ${where.text} ORDER BY ended_at, run LIMIT ${where.next}`,
      [...where.params, limit],
    );
    return rows.map(toRun);
  }

  async backfills(backfills: readonly string[]): Promise<BackfillRow[]> {
    if (backfills.length === 0) return [];
    const rows = await this.#soon(`SELECT ${BACKFILL} FROM backfills WHERE backfill = ANY($1::text[])`, [
      [...new Set(backfills)],
    ]);
    return rows.map(toBackfill);
  }

  async endedBackfills(limit: number): Promise<BackfillRow[]> {
    const rows = await this.#leisurely(
      `SELECT ${BACKFILL} FROM backfills WHERE NOT is_under_way ORDER BY created_at, backfill LIMIT $1`,
      [limit],
    );
    return rows.map(toBackfill);
  }

  async listBackfills(
    dagId: string | null,
    before: BackfillPosition | null,
    limit: number,
  ): Promise<BackfillRow[]> {
    const where = new Where();
    if (dagId !== null) where.and('dag_id = ?', dagId);
    if (before !== null) where.and('(created_at, backfill) < (?, ?)', before.createdAt, before.backfill);
    const rows = await this.#leisurely(
      `SELECT ${BACKFILL} FROM backfills ${where.text} ORDER BY created_at DESC, backfill DESC LIMIT ${where.next}`,
      [...where.params, limit],
    );
    return rows.map(toBackfill);
  }
}

const toPool = (c: Columns): PoolRow => ({
  pool: c.pool as string,
  version: c.version as number,
  slots: c.slots as number,
  description: fromText(c.description as string),
});
