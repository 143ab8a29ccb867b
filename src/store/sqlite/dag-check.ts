import { type RunKey, runKeyOf } from '../../core/dag/rows.js';
import type { Counters } from '../../core/rows.js';
import type { LoadedDags } from '../dags.js';
import type { DagReader } from './dag-read.js';
import type { Columns, Driver } from './driver.js';

/** As for tasks (see check.ts): rows that belong to nothing, and rows that miss what belongs to them. */
export const DAG_ORPHANS: readonly (readonly [what: string, query: string])[] = [
  [
    'task instances of runs that are not there',
    'SELECT count(*) AS n FROM tasks WHERE run IS NOT NULL AND run NOT IN (SELECT run FROM runs)',
  ],
  [
    'runs of DAGs that are not there',
    'SELECT count(*) AS n FROM runs WHERE dag_id NOT IN (SELECT dag_id FROM dags)',
  ],
  [
    'runs without the definition that they pin',
    `SELECT count(*) AS n FROM runs r WHERE NOT EXISTS (SELECT 1 FROM dag_versions v
      WHERE v.dag_id = r.dag_id AND v.definition_version = r.definition_version)`,
  ],
  [
    'DAGs without their newest definition',
    `SELECT count(*) AS n FROM dags d WHERE NOT EXISTS (SELECT 1 FROM dag_versions v
      WHERE v.dag_id = d.dag_id AND v.definition_version = d.definition_version)`,
  ],
  [
    'runs that have ended without an end, or go on with one',
    "SELECT count(*) AS n FROM runs WHERE (state IN ('queued', 'running')) <> (ended_at IS NULL)",
  ],
  [
    'triggers of tasks that are not deferred',
    `SELECT count(*) AS n FROM triggers t WHERE NOT EXISTS (SELECT 1 FROM tasks
      WHERE task_id = t.task_id AND state = 'deferred')`,
  ],
  [
    'asset events of assets that are not there',
    'SELECT count(*) AS n FROM asset_events WHERE asset NOT IN (SELECT asset FROM assets)',
  ],
  [
    'assets with a newer event than they know of',
    `SELECT count(*) AS n FROM assets a
      WHERE last_event < (SELECT max(n) FROM asset_events e WHERE e.asset = a.asset)`,
  ],
];

const PAGE = 1_000;

/** One row of a table that may be long: what it is, and a reading of it that says what is wrong with it. */
export interface RowCheck {
  readonly what: string;
  /** Null when all is well. Throws StoreError `corrupt` when the row cannot be read. */
  readonly fault: () => string | null;
}

/** Every row that a coordinator does not read at its start, a page at a time. */
export function* dagRows(driver: Driver, reader: DagReader): Generator<RowCheck> {
  for (const { run } of pages(driver, 'runs', 'run'))
    yield { what: `run ${String(run)}`, fault: () => faultOfRun(reader, run as RunKey) };
  for (const { dag_id, definition_version } of pages(driver, 'dag_versions', 'dag_id, definition_version')) {
    const key = { dagId: dag_id as string, definitionVersion: definition_version as number };
    yield {
      what: `definition ${key.definitionVersion} of DAG ${key.dagId}`,
      fault: () =>
        reader.versions([key]).every(({ definition }) => isJson(definition)) ? null : 'it is no JSON',
    };
  }
  for (const { n, asset } of pages(driver, 'asset_events', 'n, asset')) {
    const number = n as number;
    const read = () => reader.events(asset as string, number, number, 1);
    yield { what: `asset event ${number}`, fault: () => (read().length === 1 ? null : 'it cannot be found') };
  }
  for (const { backfill } of pages(driver, 'backfills', 'backfill')) {
    const name = backfill as string;
    yield {
      what: `backfill ${name}`,
      fault: () => (reader.backfills([name]).length === 1 ? null : 'it cannot be found'),
    };
  }
}

/** What is wrong with what a coordinator reads at its start. */
export function* dagFaults({ triggers, bundles }: LoadedDags, counters: Counters): Generator<string> {
  for (const { triggerId, token, epoch } of triggers) {
    if (token > counters.token)
      yield `trigger ${triggerId}: its token is above the counter, so it could be drawn twice`;
    if (epoch > counters.epoch) yield `trigger ${triggerId}: its epoch is above the counter`;
  }
  for (const { bundle, epoch } of bundles)
    if (epoch > counters.epoch) yield `bundle ${bundle}: its epoch is above the counter`;
}

function faultOfRun(reader: DagReader, key: RunKey): string | null {
  const [row] = reader.runs([key]);
  if (row === undefined) return 'it cannot be found';
  return runKeyOf(row.dagId, row.runId) === key ? null : `it is of DAG ${row.dagId} and called ${row.runId}`;
}

function* pages(driver: Driver, table: string, columns: string): Generator<Columns> {
  const page = driver.statement(
    `SELECT rowid AS r, ${columns} FROM ${table} WHERE rowid > ? ORDER BY rowid LIMIT ${PAGE}`,
  );
  for (let after = 0, rows = page.all(after); rows.length > 0; rows = page.all(after)) {
    for (const row of rows) {
      after = row.r as number;
      yield row;
    }
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
