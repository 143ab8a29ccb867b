/**
 * - Instances are found by their run and, newest first, by their DAG; tasks that were submitted are in neither index.
 * - Runs and definitions keep their rowid, because their rows are wide; see INITIAL. What a run was created with has
 *   columns that are written once, so that its indexes are.
 * - `runs_unsuccessful` finds what is queued or running, like `tasks_unsuccessful`.
 * - AUTOINCREMENT: the number of an asset event stays taken, whatever becomes of the event.
 */
export const DAGS = `
ALTER TABLE tasks ADD COLUMN run TEXT;
ALTER TABLE tasks ADD COLUMN dag_id TEXT;
CREATE INDEX tasks_of_run ON tasks (run, task_id) WHERE run IS NOT NULL;
CREATE INDEX tasks_of_dag ON tasks (dag_id, task_id) WHERE dag_id IS NOT NULL;
CREATE TABLE dags (
  dag_id TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  definition_version INTEGER NOT NULL,
  data TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE dag_versions (
  dag_id TEXT NOT NULL,
  definition_version INTEGER NOT NULL,
  hash TEXT NOT NULL,
  created_at REAL NOT NULL,
  definition TEXT NOT NULL,
  UNIQUE (dag_id, definition_version)
);
CREATE TABLE runs (
  run TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  dag_id TEXT NOT NULL,
  type TEXT NOT NULL,
  state TEXT NOT NULL,
  definition_version INTEGER NOT NULL,
  backfill TEXT NOT NULL,
  created_at REAL NOT NULL,
  ended_at REAL,
  data TEXT NOT NULL
);
CREATE INDEX runs_newest ON runs (created_at, run);
CREATE INDEX runs_of_dag ON runs (dag_id, created_at, run);
CREATE INDEX runs_of_version ON runs (dag_id, definition_version);
CREATE INDEX runs_of_backfill ON runs (backfill, created_at, run) WHERE backfill <> '';
CREATE INDEX runs_unsuccessful ON runs (state, created_at, run) WHERE state <> 'success';
CREATE INDEX runs_ended ON runs (ended_at, run) WHERE ended_at IS NOT NULL;
CREATE TABLE pools (
  pool TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  slots INTEGER NOT NULL,
  description TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE assets (
  asset TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  last_event INTEGER NOT NULL,
  last_event_at REAL
) WITHOUT ROWID;
CREATE TABLE asset_events (n INTEGER PRIMARY KEY AUTOINCREMENT, asset TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX asset_events_of_asset ON asset_events (asset, n);
CREATE TABLE triggers (
  trigger_id TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  task_id TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE TABLE bundles (
  bundle TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  data TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE backfills (
  backfill TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  dag_id TEXT NOT NULL,
  is_under_way INTEGER,
  created_at REAL NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX backfills_under_way ON backfills (backfill) WHERE is_under_way IS NOT NULL;
CREATE INDEX backfills_newest ON backfills (created_at, backfill);
CREATE INDEX backfills_of_dag ON backfills (dag_id, created_at, backfill);
`;

/** One run per DAG and instant, whatever it is called: found by what it stands for, not by its name. */
export const INSTANTS = `
ALTER TABLE runs ADD COLUMN logical_date REAL;
UPDATE runs SET logical_date = json_extract(data, '$[2]');
CREATE INDEX runs_of_instant ON runs (dag_id, logical_date) WHERE logical_date IS NOT NULL;
`;
