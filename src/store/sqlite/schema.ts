import { StoreError } from '../store.js';
import { DAGS, INSTANTS } from './dag-schema.js';
import type { Driver } from './driver.js';

/** "HFst": tells our files from other SQLite files. */
export const APPLICATION_ID = 0x48467374;

/**
 * One step from one schema to the next. Steps that were released are never changed, and every release has a fixture in
 * test/store/fixtures that the newest program must open with every row unharmed.
 */
export interface Migration {
  /** PRAGMA user_version after the step; from 1, without gaps. */
  readonly version: number;
  readonly name: string;
  /**
   * Statements without BEGIN and COMMIT: the step is one transaction. A field added to the end of a stored tuple is
   * given to old rows with `json_insert(data, '$[#]', value)`.
   */
  readonly up: string;
}

/**
 * - `rank` is ascending, so that one index gives the order of offers and a row value its middle. In this step it is
 *   the negative priority.
 * - `submitted` is written once, `progress` with each version, `result` last, so that a list never reads it.
 * - The indexes are partial: a task that ended is in the fewest. A full index on the state would cost as much as the
 *   row itself, and what is not in `tasks_unsuccessful` is a success.
 * - Tasks and specs keep their rowid: in a WITHOUT ROWID table of such wide rows the inner pages hold whole rows, and
 *   the tree of a million tasks gets twice as deep.
 */
const INITIAL = `
CREATE TABLE tasks (
  task_id TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  state TEXT NOT NULL,
  queue TEXT NOT NULL,
  rank INTEGER NOT NULL,
  lane TEXT,
  due_at REAL,
  agent_id TEXT NOT NULL,
  is_open INTEGER,
  idempotency_key TEXT NOT NULL,
  submitted TEXT NOT NULL,
  progress TEXT NOT NULL,
  result BLOB
);
CREATE INDEX tasks_ready ON tasks (lane, rank, task_id) WHERE lane IS NOT NULL;
CREATE INDEX tasks_due ON tasks (due_at, task_id) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX tasks_idempotency ON tasks (idempotency_key) WHERE idempotency_key <> '';
CREATE INDEX tasks_open ON tasks (task_id) WHERE is_open IS NOT NULL;
CREATE INDEX tasks_unsuccessful ON tasks (state, task_id) WHERE state <> 'success';
CREATE INDEX tasks_of_queue ON tasks (queue, task_id);
CREATE INDEX tasks_of_agent ON tasks (agent_id, task_id) WHERE agent_id <> '';
CREATE TABLE task_specs (task_id TEXT NOT NULL UNIQUE, data TEXT NOT NULL);
CREATE TABLE history (
  task_id TEXT NOT NULL,
  n INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (task_id, n)
) WITHOUT ROWID;
CREATE TABLE agents (agent_id TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (
  epoch INTEGER PRIMARY KEY,
  version INTEGER NOT NULL,
  agent_id TEXT NOT NULL,
  is_live INTEGER,
  data TEXT NOT NULL
);
CREATE INDEX sessions_of_agent ON sessions (agent_id, epoch);
CREATE INDEX sessions_live ON sessions (epoch) WHERE is_live IS NOT NULL;
CREATE TABLE counters (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  token INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  service_ms REAL NOT NULL
);
INSERT INTO counters VALUES (1, 0, 0, 0);
CREATE TABLE opening (id INTEGER PRIMARY KEY CHECK (id = 1), closed_cleanly INTEGER NOT NULL);
INSERT INTO opening VALUES (1, 1);
`;

/**
 * When a task ended, on the service clock, and the order in which retention looks at what ended. Nobody knows when the
 * tasks of schema 1 ended on that clock: their time begins with the upgrade.
 */
const RETENTION = `
ALTER TABLE tasks ADD COLUMN finished_at REAL;
UPDATE tasks SET finished_at = (SELECT service_ms FROM counters)
  WHERE state IN ('success', 'failed', 'upstream_failed', 'skipped', 'cancelled');
CREATE INDEX tasks_finished ON tasks (finished_at, task_id) WHERE finished_at IS NOT NULL;
`;

/** AUTOINCREMENT: the number of a notification that was delivered and deleted must not come again. */
const NOTIFICATIONS = `
CREATE TABLE notifications (n INTEGER PRIMARY KEY AUTOINCREMENT, data TEXT NOT NULL);
CREATE TABLE deliveries (endpoint TEXT NOT NULL PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
`;

/**
 * The rank is no longer the negative priority alone: it counts from when a task entered the queue (see rankOf). Waiting
 * tasks of older schemas get the rank of the default ageing. Instants of the wall clock have an index of their own.
 */
const FLOW = `
ALTER TABLE tasks ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN wall_due_at REAL;
UPDATE tasks SET priority = 0 - rank WHERE rank <> 0;
UPDATE tasks SET rank = coalesce(json_extract(progress, '$[4]'), (SELECT service_ms FROM counters)) - priority * 60000
  WHERE state NOT IN ('success', 'failed', 'upstream_failed', 'skipped', 'cancelled');
CREATE INDEX tasks_wall_due ON tasks (wall_due_at, task_id) WHERE wall_due_at IS NOT NULL;
`;

const QUEUES = `
CREATE TABLE queues (queue TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, run_limit INTEGER) WITHOUT ROWID;
`;

/** States other than those that every task passes through: what has one of these is little, and listed by it. */
export const OF_FEW = "state <> 'success' AND state <> 'queued' AND state <> 'running'";

/** Steps of Counters.recovery. A restore writes them into a copy before that is brought to this schema. */
export const RECOVERY = 'CREATE TABLE IF NOT EXISTS recovery (step TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;';

/**
 * What a short task writes, from its submission to its end: 17 entries of tables and indexes in four statements, where it
 * was 23 in seven.
 * - Its newest events stand in its own row (`history`, see history-codec.ts); the table keeps those before, and all that
 *   was written up to schema 11. Its specification is found by the number of its row, which needs no index of names; `id`
 *   is declared, because a copy made by VACUUM may number undeclared ones anew.
 * - What every task passes through, queued and running, has an index for each, so that no entry is written over:
 *   `tasks_queued` is written with the submission and gone with the permit, `tasks_open` written with the permit and gone
 *   with the end. `is_open` is also set for a row that is running without an open token, which only `server check` meets.
 * - The conditions are comparisons, not IN lists: SQLite builds a table for a list in each statement that changes a row.
 */
const NARROW = `
ALTER TABLE tasks RENAME TO wide_tasks;
CREATE TABLE tasks (
  id INTEGER PRIMARY KEY,
  task_id TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  state TEXT NOT NULL,
  queue TEXT NOT NULL,
  priority INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  agent_id TEXT NOT NULL,
  lane TEXT,
  due_at REAL,
  wall_due_at REAL,
  is_open INTEGER,
  finished_at REAL,
  run TEXT,
  dag_id TEXT,
  idempotency_key TEXT NOT NULL,
  submitted TEXT NOT NULL,
  progress TEXT NOT NULL,
  history TEXT NOT NULL,
  result BLOB
);
INSERT INTO tasks SELECT rowid, task_id, version, state, queue, priority, rank, agent_id, lane, due_at, wall_due_at,
  CASE WHEN state = 'running' THEN 1 ELSE is_open END, finished_at, run, dag_id, idempotency_key, submitted, progress, '', result
  FROM wide_tasks ORDER BY rowid;
DROP TABLE wide_tasks;
CREATE TABLE specs (id INTEGER PRIMARY KEY, data TEXT NOT NULL);
INSERT INTO specs SELECT t.id, s.data FROM tasks t JOIN task_specs s ON s.task_id = t.task_id ORDER BY t.id;
DROP TABLE task_specs;
CREATE INDEX tasks_ready ON tasks (lane, rank, task_id) WHERE lane IS NOT NULL;
CREATE INDEX tasks_due ON tasks (due_at, task_id) WHERE due_at IS NOT NULL;
CREATE INDEX tasks_wall_due ON tasks (wall_due_at, task_id) WHERE wall_due_at IS NOT NULL;
CREATE UNIQUE INDEX tasks_idempotency ON tasks (idempotency_key) WHERE idempotency_key <> '';
CREATE INDEX tasks_queued ON tasks (task_id) WHERE state = 'queued';
CREATE INDEX tasks_open ON tasks (state, task_id) WHERE is_open IS NOT NULL;
CREATE INDEX tasks_of_state ON tasks (state, task_id) WHERE ${OF_FEW};
CREATE INDEX tasks_of_queue ON tasks (queue, task_id);
CREATE INDEX tasks_of_agent ON tasks (agent_id, task_id) WHERE agent_id <> '';
CREATE INDEX tasks_of_run ON tasks (run, task_id) WHERE run IS NOT NULL;
CREATE INDEX tasks_of_dag ON tasks (dag_id, task_id) WHERE dag_id IS NOT NULL;
CREATE INDEX tasks_finished ON tasks (finished_at, task_id) WHERE finished_at IS NOT NULL;
`;

/** In order. Version 1 is release 0.1.0. */
export const MIGRATIONS: readonly Migration[] = [
  { version: 1, name: 'initial', up: INITIAL },
  // Tasks and sessions name handlers in fields that older rows lack and older programs would not understand.
  { version: 2, name: 'handlers', up: '' },
  { version: 3, name: 'retention', up: RETENTION },
  { version: 4, name: 'notifications', up: NOTIFICATIONS },
  { version: 5, name: 'flow', up: FLOW },
  // Tasks have concurrency keys as well, in fields that older programs would not understand.
  { version: 6, name: 'queues', up: QUEUES },
  { version: 7, name: 'recovery', up: RECOVERY },
  // Specifications of commands end with their limits, which older programs would not enforce.
  { version: 8, name: 'limits', up: '' },
  // Operators have tasks tried again and move them: counted, and changed, where older programs would not look.
  { version: 9, name: 'operators', up: '' },
  // Tasks may be instances of DAG runs, which older programs would take for submitted ones.
  { version: 10, name: 'dags', up: DAGS },
  { version: 11, name: 'instants', up: INSTANTS },
  { version: 12, name: 'narrow', up: NARROW },
];

/** Refuses a database of somebody else before anything is written to it. Throws StoreError `corrupt`. */
export function checkOurs(driver: Driver, file: string): void {
  const id = driver.pragma('application_id');
  const empty = driver.statement('SELECT count(*) AS n FROM sqlite_schema').get()?.n === 0;
  if (id === APPLICATION_ID || (id === 0 && empty)) return;
  throw new StoreError(
    'corrupt',
    `${file} is not opened, because it is an SQLite database of another program (application id ${String(id)}); ` +
      'name another file',
  );
}
