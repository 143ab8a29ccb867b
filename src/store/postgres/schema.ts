import { DAGS } from './dag-schema.js';
import { NOT_OWNER, WRONG_COUNT } from './errors.js';

/**
 * One step from one schema to the next. Steps that were released are never changed. The versions are PostgreSQL's own: they
 * have nothing to do with those of SQLite's files.
 */
export interface Migration {
  /** The newest number in `migrations` after the step; from 1, without gaps. */
  readonly version: number;
  readonly name: string;
  /** Statements without BEGIN and COMMIT: the step is one transaction. */
  readonly up: string;
}

/**
 * - Columns and indexes mean what SQLite's of the same names do (see sqlite/schema.ts). Text is compared by its bytes, as
 *   everywhere else in the program.
 * - `owner` has one row: who decides on these rows. Every commit names the fence that it was decided under and counts
 *   itself, so that a former owner cannot commit, and an owner whose connection broke can see whether its commit was made.
 * - `numbering` has the newest number ever given: a sequence would leave it in doubt after a rollback.
 */
const INITIAL = `
CREATE TABLE owner (
  id integer PRIMARY KEY CHECK (id = 1),
  fence bigint NOT NULL,
  commits bigint NOT NULL,
  holder text NOT NULL,
  host text NOT NULL,
  pid integer NOT NULL,
  machine text NOT NULL,
  grace_ms integer NOT NULL,
  is_released boolean NOT NULL,
  since timestamptz NOT NULL,
  place text NOT NULL
);
INSERT INTO owner VALUES (1, 0, 0, '', '', 0, '', 0, true, now(), '');
CREATE TABLE counters (
  id integer PRIMARY KEY CHECK (id = 1),
  token bigint NOT NULL,
  epoch bigint NOT NULL,
  service_ms double precision NOT NULL,
  recovery text NOT NULL
);
INSERT INTO counters VALUES (1, 0, 0, 0, '');
CREATE TABLE numbering (what text PRIMARY KEY, newest bigint NOT NULL);
INSERT INTO numbering VALUES ('notifications', 0), ('asset_events', 0);
CREATE FUNCTION expect(changed bigint, wanted bigint, what text) RETURNS void
  LANGUAGE plpgsql AS $$ BEGIN
    IF changed <> wanted THEN
      RAISE EXCEPTION '% of % % are stored as they were read', changed, wanted, what
        USING ERRCODE = '${WRONG_COUNT}';
    END IF;
  END $$;
CREATE FUNCTION own(given bigint) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    UPDATE owner SET commits = commits + 1 WHERE fence = given;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'another coordinator has taken over' USING ERRCODE = '${NOT_OWNER}';
    END IF;
  END $$;
CREATE TABLE tasks (
  task_id text COLLATE "C" PRIMARY KEY,
  version integer NOT NULL,
  state text COLLATE "C" NOT NULL,
  queue text COLLATE "C" NOT NULL,
  priority integer NOT NULL,
  rank double precision NOT NULL,
  lane text COLLATE "C",
  due_at double precision,
  wall_due_at double precision,
  finished_at double precision,
  agent_id text COLLATE "C" NOT NULL,
  is_open boolean,
  idempotency_key text COLLATE "C" NOT NULL,
  run text COLLATE "C",
  dag_id text COLLATE "C",
  submitted text NOT NULL,
  progress text NOT NULL,
  result bytea
);
CREATE INDEX tasks_ready ON tasks (lane, rank, task_id) WHERE lane IS NOT NULL;
CREATE INDEX tasks_due ON tasks (due_at, task_id) WHERE due_at IS NOT NULL;
CREATE INDEX tasks_wall_due ON tasks (wall_due_at, task_id) WHERE wall_due_at IS NOT NULL;
CREATE INDEX tasks_finished ON tasks (finished_at, task_id) WHERE finished_at IS NOT NULL;
CREATE UNIQUE INDEX tasks_idempotency ON tasks (idempotency_key) WHERE idempotency_key <> '';
CREATE INDEX tasks_open ON tasks (task_id) WHERE is_open;
CREATE INDEX tasks_unsuccessful ON tasks (state, task_id) WHERE state <> 'success';
CREATE INDEX tasks_of_queue ON tasks (queue, task_id);
CREATE INDEX tasks_of_agent ON tasks (agent_id, task_id) WHERE agent_id <> '';
CREATE INDEX tasks_of_run ON tasks (run, task_id) WHERE run IS NOT NULL;
CREATE INDEX tasks_of_dag ON tasks (dag_id, task_id) WHERE dag_id IS NOT NULL;
CREATE TABLE task_specs (task_id text COLLATE "C" PRIMARY KEY, data text NOT NULL);
CREATE TABLE history (
  task_id text COLLATE "C" NOT NULL,
  n integer NOT NULL,
  data text NOT NULL,
  PRIMARY KEY (task_id, n)
);
CREATE TABLE agents (agent_id text COLLATE "C" PRIMARY KEY, version integer NOT NULL, data text NOT NULL);
CREATE TABLE sessions (
  epoch bigint PRIMARY KEY,
  version integer NOT NULL,
  agent_id text COLLATE "C" NOT NULL,
  is_live boolean NOT NULL,
  data text NOT NULL
);
CREATE INDEX sessions_of_agent ON sessions (agent_id, epoch);
CREATE TABLE queues (queue text COLLATE "C" PRIMARY KEY, version integer NOT NULL, run_limit integer);
CREATE TABLE notifications (n bigint PRIMARY KEY, data text NOT NULL);
CREATE TABLE deliveries (endpoint text COLLATE "C" PRIMARY KEY, data text NOT NULL);
`;

/** States other than those that every task passes through: what has one of these is little, and listed by it. */
export const OF_FEW = "state <> 'success' AND state <> 'queued' AND state <> 'running'";

/**
 * What a short task writes, from its submission to its end: five rows instead of seven, 14 entries of indexes instead of 21.
 * - Whatever index has a column that changes, every version of a row is written to all indexes of its table. So what was
 *   submitted, with its key and its specification, is a row of its own that is written once.
 * - Its newest events stand in its own row (`history`, see history-codec.ts); the table keeps those before.
 * - What every task passes through, queued and running, has an index for each; `is_open` is also set for a row that is
 *   running without an open token, which only `server check` meets.
 */
const NARROW = `
CREATE TABLE submissions (
  task_id text COLLATE "C" PRIMARY KEY,
  idempotency_key text COLLATE "C" NOT NULL,
  submitted text NOT NULL,
  spec text
);
INSERT INTO submissions SELECT task_id, idempotency_key, submitted, data FROM tasks LEFT JOIN task_specs USING (task_id);
DROP INDEX tasks_idempotency;
DROP INDEX tasks_unsuccessful;
CREATE UNIQUE INDEX submissions_idempotency ON submissions (idempotency_key) WHERE idempotency_key <> '';
ALTER TABLE tasks DROP COLUMN idempotency_key, DROP COLUMN submitted, ADD COLUMN history text NOT NULL DEFAULT '';
UPDATE tasks SET history = events, is_open = CASE WHEN state = 'running' THEN true ELSE is_open END
  FROM (SELECT task_id, coalesce(string_agg('[' || n || ',' || substr(data, 2) || ',', '' ORDER BY n), '') AS events
    FROM tasks LEFT JOIN history USING (task_id) GROUP BY task_id) AS happened
  WHERE tasks.task_id = happened.task_id;
DELETE FROM history;
CREATE INDEX tasks_queued ON tasks (task_id) WHERE state = 'queued';
CREATE INDEX tasks_of_state ON tasks (state, task_id) WHERE ${OF_FEW};
DROP TABLE task_specs;
`;

/** In order. */
export const MIGRATIONS: readonly Migration[] = [
  { version: 1, name: 'initial', up: INITIAL + DAGS },
  { version: 2, name: 'narrow', up: NARROW },
];
