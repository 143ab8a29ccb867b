/** As sqlite/dag-schema.ts has it: what a run was created with has columns that are written once. */
export const DAGS = `
CREATE TABLE dags (
  dag_id text COLLATE "C" PRIMARY KEY,
  version integer NOT NULL,
  definition_version integer NOT NULL,
  data text NOT NULL
);
CREATE TABLE dag_versions (
  dag_id text COLLATE "C" NOT NULL,
  definition_version integer NOT NULL,
  hash text NOT NULL,
  created_at double precision NOT NULL,
  definition text NOT NULL,
  PRIMARY KEY (dag_id, definition_version)
);
CREATE TABLE runs (
  run text COLLATE "C" PRIMARY KEY,
  version integer NOT NULL,
  dag_id text COLLATE "C" NOT NULL,
  type text NOT NULL,
  state text COLLATE "C" NOT NULL,
  definition_version integer NOT NULL,
  backfill text COLLATE "C" NOT NULL,
  created_at double precision NOT NULL,
  logical_date double precision,
  ended_at double precision,
  data text NOT NULL
);
CREATE INDEX runs_newest ON runs (created_at, run);
CREATE INDEX runs_of_dag ON runs (dag_id, created_at, run);
CREATE INDEX runs_of_instant ON runs (dag_id, logical_date) WHERE logical_date IS NOT NULL;
CREATE INDEX runs_of_version ON runs (dag_id, definition_version);
CREATE INDEX runs_of_backfill ON runs (backfill, created_at, run) WHERE backfill <> '';
CREATE INDEX runs_unsuccessful ON runs (state, created_at, run) WHERE state <> 'success';
CREATE INDEX runs_ended ON runs (ended_at, run) WHERE ended_at IS NOT NULL;
CREATE TABLE pools (
  pool text COLLATE "C" PRIMARY KEY,
  version integer NOT NULL,
  slots integer NOT NULL,
  description text NOT NULL
);
CREATE TABLE assets (
  asset text COLLATE "C" PRIMARY KEY,
  version integer NOT NULL,
  last_event bigint NOT NULL,
  last_event_at double precision
);
CREATE TABLE asset_events (n bigint PRIMARY KEY, asset text COLLATE "C" NOT NULL, data text NOT NULL);
CREATE INDEX asset_events_of_asset ON asset_events (asset, n);
CREATE TABLE triggers (
  trigger_id text COLLATE "C" PRIMARY KEY,
  version integer NOT NULL,
  task_id text COLLATE "C" NOT NULL,
  data text NOT NULL
);
CREATE TABLE bundles (bundle text COLLATE "C" PRIMARY KEY, version integer NOT NULL, data text NOT NULL);
CREATE TABLE backfills (
  backfill text COLLATE "C" PRIMARY KEY,
  version integer NOT NULL,
  dag_id text COLLATE "C" NOT NULL,
  is_under_way boolean NOT NULL,
  created_at double precision NOT NULL,
  data text NOT NULL
);
CREATE INDEX backfills_under_way ON backfills (backfill) WHERE is_under_way;
CREATE INDEX backfills_newest ON backfills (created_at, backfill);
CREATE INDEX backfills_of_dag ON backfills (dag_id, created_at, backfill);
`;
