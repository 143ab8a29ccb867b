import type { BackfillRow, RunRow } from '../../core/dag/rows.js';
import { isUnderWay } from '../../core/dag/state.js';
import {
  encodeAssetEvent,
  encodeBackfill,
  encodeBundle,
  encodeDag,
  encodeRun,
  encodeTrigger,
} from '../dag-codec.js';
import { type DagPuts, EVENTS_AT_ONCE, type VersionKey } from '../dags.js';
import { toText } from './columns.js';
import type { Statement, Step } from './driver.js';
import { Appended, Rows, type Value, Versioned } from './table.js';

const DAGS = new Versioned({
  ...{ table: 'dags', key: { dag_id: 'text' } },
  changing: { definition_version: 'integer', data: 'text' },
});
const RUNS = new Versioned({
  table: 'runs',
  key: { run: 'text' },
  changing: { state: 'text', definition_version: 'integer', ended_at: 'double precision', data: 'text' },
  fixed: {
    dag_id: 'text',
    type: 'text',
    backfill: 'text',
    created_at: 'double precision',
    logical_date: 'double precision',
  },
});
const POOLS = new Versioned({
  ...{ table: 'pools', key: { pool: 'text' } },
  changing: { slots: 'integer', description: 'text' },
});
const ASSETS = new Versioned({
  ...{ table: 'assets', key: { asset: 'text' } },
  changing: { last_event: 'bigint', last_event_at: 'double precision' },
});
const TRIGGERS = new Versioned({
  ...{ table: 'triggers', key: { trigger_id: 'text' } },
  changing: { task_id: 'text', data: 'text' },
});
const BUNDLES = new Versioned({ table: 'bundles', key: { bundle: 'text' }, changing: { data: 'text' } });
const BACKFILLS = new Versioned({
  ...{ table: 'backfills', key: { backfill: 'text' } },
  changing: { dag_id: 'text', is_under_way: 'boolean', created_at: 'double precision', data: 'text' },
});
const VERSIONS = new Appended('dag_versions', {
  ...{ dag_id: 'text', definition_version: 'integer', hash: 'text' },
  ...{ created_at: 'double precision', definition: 'text' },
});
const EVENTS = new Appended('asset_events', { n: 'bigint', asset: 'text', data: 'text' });
const NUMBER_EVENTS: Statement = {
  name: 'number events',
  text: "UPDATE numbering SET newest = greatest(newest, $1) WHERE what = 'asset_events'",
};
const FORGET_EVENTS: Statement = {
  name: 'forget events',
  text: 'DELETE FROM asset_events WHERE n IN (SELECT n FROM asset_events WHERE n <= $1 ORDER BY n LIMIT $2)',
};
const PINS = new Rows({ dag_id: 'text', definition_version: 'integer' });
const FORGET_VERSIONS: Statement = {
  name: 'forget versions',
  text: `DELETE FROM dag_versions AS v USING ${PINS.from}
    WHERE v.dag_id = p.dag_id AND v.definition_version = p.definition_version
      AND NOT EXISTS (SELECT 1 FROM runs r
        WHERE r.dag_id = v.dag_id AND r.definition_version = v.definition_version)
      AND NOT EXISTS (SELECT 1 FROM dags d
        WHERE d.dag_id = v.dag_id AND d.definition_version = v.definition_version)`,
};

/** Of DAGs, in the order that the contract of DagPuts asks for. */
export function dagSteps(puts: DagPuts): Step[] {
  return [
    ...RUNS.remove(puts.runRemovals.map(({ run, version }) => [run, version])),
    ...BACKFILLS.remove(puts.backfillRemovals.map(({ backfill, version }) => [backfill, version])),
    ...POOLS.remove(puts.poolRemovals.map(({ pool, version }) => [pool, version])),
    ...TRIGGERS.remove(puts.triggerRemovals.map(({ triggerId, version }) => [triggerId, version])),
    ...DAGS.put(puts.dags.map((row) => [row.dagId, row.version, row.definitionVersion, encodeDag(row)])),
    ...VERSIONS.put(
      puts.versions.map((row) => [row.dagId, row.definitionVersion, row.hash, row.createdAt, row.definition]),
    ),
    ...RUNS.put(puts.runs.map(runValues)),
    ...POOLS.put(puts.pools.map((row) => [row.pool, row.version, row.slots, toText(row.description)])),
    ...ASSETS.put(puts.assets.map((row) => [row.asset, row.version, row.lastEvent, row.lastEventAt])),
    ...eventSteps(puts),
    ...TRIGGERS.put(puts.triggers.map((row) => [row.triggerId, row.version, row.taskId, encodeTrigger(row)])),
    ...BUNDLES.put(puts.bundles.map((row) => [row.bundle, row.version, encodeBundle(row)])),
    ...BACKFILLS.put(puts.backfills.map(backfillValues)),
    ...(puts.assetEventsUpTo > 0
      ? [{ statement: FORGET_EVENTS, params: [puts.assetEventsUpTo, EVENTS_AT_ONCE] }]
      : []),
    ...versionRemovalSteps(puts.versionRemovals),
  ];
}

const runValues = (row: RunRow): Value[] => [
  ...[row.run, row.version, row.state, row.definitionVersion, row.endedAt, encodeRun(row)],
  ...[row.dagId, row.type, row.backfill, row.createdAt, row.logicalDate],
];

const backfillValues = (row: BackfillRow): Value[] => [
  ...[row.backfill, row.version, row.dagId, isUnderWay(row)],
  ...[row.createdAt, encodeBackfill(row)],
];

function eventSteps({ assetEvents }: DagPuts): Step[] {
  if (assetEvents.length === 0) return [];
  const newest = Math.max(...assetEvents.map(({ n }) => n));
  return [
    ...EVENTS.put(assetEvents.map((row) => [row.n, row.asset, encodeAssetEvent(row)])),
    { statement: NUMBER_EVENTS, params: [newest] },
  ];
}

function versionRemovalSteps(keys: readonly VersionKey[]): Step[] {
  if (keys.length === 0) return [];
  const rows = keys.map(({ dagId, definitionVersion }) => [dagId, definitionVersion]);
  return [{ statement: FORGET_VERSIONS, params: [PINS.param(rows)] }];
}
