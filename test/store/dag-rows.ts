import {
  type AssetEventRow,
  type AssetRow,
  type BackfillRow,
  type BundleRow,
  type DagRow,
  type DagVersionRow,
  type Instance,
  type PoolRow,
  type RunRow,
  runKeyOf,
  type TriggerRow,
} from '../../src/core/dag/rows.js';
import type { Epoch, Token } from '../../src/kit/ids.js';
import type { WallMs } from '../../src/kit/time.js';
import type { DagPuts, LoadedDags } from '../../src/store/dags.js';
import { taskId } from './rows.js';

const NOON = 1_700_000_000_000 as WallMs;

/** What a store without DAGs loads of them. */
export const NO_DAGS: LoadedDags = {
  dags: [],
  runs: [],
  instances: [],
  pools: [],
  assets: [],
  triggers: [],
  bundles: [],
  backfills: [],
};

export const dagPuts = (changes: Partial<DagPuts>): DagPuts => ({
  dags: [],
  versions: [],
  runs: [],
  pools: [],
  poolRemovals: [],
  assets: [],
  assetEvents: [],
  triggers: [],
  triggerRemovals: [],
  bundles: [],
  backfills: [],
  runRemovals: [],
  versionRemovals: [],
  backfillRemovals: [],
  assetEventsUpTo: 0,
  ...changes,
});

export const dag = (dagId: string, changes: Partial<DagRow> = {}): DagRow => ({
  dagId,
  version: 1,
  bundle: 'main',
  file: `${dagId}.yaml`,
  definitionVersion: 1,
  definitionHash: 'c0ffee',
  schedule: { kind: 'none' },
  startDate: null,
  endDate: null,
  catchup: false,
  maxActiveRuns: 16,
  description: '',
  tags: [],
  taskCount: 1,
  defaultParams: '{}',
  active: true,
  paused: false,
  importError: null,
  firstSeenAt: NOON,
  changedAt: NOON,
  nextInstant: null,
  lastInstant: null,
  pendingAssets: [],
  ...changes,
});

export const dagVersion = (dagId: string, definitionVersion = 1): DagVersionRow => ({
  dagId,
  definitionVersion,
  hash: `hash ${definitionVersion}`,
  definition: `{"dagId":"${dagId}","description":"line\\n☃ ${definitionVersion}"}`,
  createdAt: NOON,
});

/** A run that waits, created at `n`. */
export const run = (dagId: string, n: number, changes: Partial<RunRow> = {}): RunRow => ({
  run: runKeyOf(dagId, `manual__${n}`),
  version: 1,
  dagId,
  runId: `manual__${n}`,
  type: 'manual',
  state: 'queued',
  reason: '',
  definitionVersion: 1,
  logicalDate: null,
  intervalStart: null,
  intervalEnd: null,
  params: '{}',
  consumed: [],
  backfill: '',
  createdAt: n as WallMs,
  startedAt: null,
  endedAt: null,
  timeoutAt: null,
  rerunBy: '',
  sweeps: [],
  instancesAtEnd: null,
  ...changes,
});

export const instanceOf = ({ run: key }: Pick<RunRow, 'run'>, changes: Partial<Instance> = {}): Instance => ({
  ...{ run: key, task: 'load', mapIndex: -1, pool: 'default_pool', poolSlots: 1, ready: false },
  ...changes,
});

export const pool = (name: string, changes: Partial<PoolRow> = {}): PoolRow => ({
  ...{ pool: name, version: 1, slots: 4, description: 'of the warehouse' },
  ...changes,
});

export const asset = (name: string, changes: Partial<AssetRow> = {}): AssetRow => ({
  ...{ asset: name, version: 1, lastEvent: 0, lastEventAt: null },
  ...changes,
});

export const assetEvent = (n: number, name: string, changes: Partial<AssetEventRow> = {}): AssetEventRow => ({
  ...{ n, asset: name, at: NOON, source: null, extra: '' },
  ...changes,
});

/** The trigger of task `n`, which nobody holds. */
export const trigger = (n: number, changes: Partial<TriggerRow> = {}): TriggerRow => ({
  triggerId: `trigger-${n}`,
  version: 1,
  taskId: taskId(n),
  kind: 'file',
  input: '{"path":"/a ☃"}',
  state: '',
  createdAt: NOON,
  timeoutAt: null,
  token: 0n as Token,
  epoch: 0n as Epoch,
  agentId: '',
  ...changes,
});

export const bundle = (name: string, changes: Partial<BundleRow> = {}): BundleRow => ({
  bundle: name,
  version: 1,
  epoch: 0n as Epoch,
  sequence: 0n,
  agentId: '',
  receivedAt: null,
  hash: '',
  importErrors: [],
  ...changes,
});

export const backfill = (name: string, changes: Partial<BackfillRow> = {}): BackfillRow => ({
  backfill: name,
  version: 1,
  dagId: 'etl',
  from: 100 as WallMs,
  to: 900 as WallMs,
  next: 100 as WallMs,
  params: '{}',
  maxActiveRuns: 4,
  reprocess: 'none',
  state: 'running',
  createdAt: NOON,
  ...changes,
});
