import type { AssetCondition, Schedule } from '../core/dag/definition.js';
import type {
  AssetEventRow,
  BackfillRow,
  BundleRow,
  DagRow,
  ImportError,
  PendingAsset,
  RunKey,
  RunRow,
  RunState,
  RunType,
  SweepOfRun,
  TriggerRow,
} from '../core/dag/rows.js';
import type { AgentId, Epoch, TaskId, Token } from '../kit/ids.js';
import type { ServiceMs, WallMs } from '../kit/time.js';
import { TupleReader } from './tuple.js';

/* Rows of DAGs to their stored form and back; see codec.ts for the form. Each leaves out what has a column of its own. */

const RUN_STATES: Readonly<Record<RunState, true>> = {
  queued: true,
  running: true,
  success: true,
  failed: true,
  cancelled: true,
};
const RUN_TYPES: Readonly<Record<RunType, true>> = {
  scheduled: true,
  manual: true,
  asset_triggered: true,
  backfill: true,
};

export function encodeDag(row: DagRow): string {
  const { importError } = row;
  return JSON.stringify([
    row.bundle,
    row.file,
    row.definitionHash,
    scheduleTuple(row.schedule),
    row.startDate,
    row.endDate,
    row.catchup,
    row.maxActiveRuns,
    row.description,
    row.tags,
    row.taskCount,
    row.defaultParams,
    row.active,
    row.paused,
    importError === null ? null : [importError.message, importError.since],
    row.firstSeenAt,
    row.changedAt,
    row.nextInstant,
    row.lastInstant,
    row.pendingAssets.map(pendingTuple),
  ]);
}

export function decodeDag(
  { dagId, version, definitionVersion }: Pick<DagRow, 'dagId' | 'version' | 'definitionVersion'>,
  stored: string,
): DagRow {
  const r = new TupleReader(stored, `DAG ${dagId}`);
  return {
    dagId,
    version,
    definitionVersion,
    bundle: r.text(),
    file: r.text(),
    definitionHash: r.text(),
    schedule: r.tuple(readSchedule),
    startDate: r.numberOrNull() as WallMs | null,
    endDate: r.numberOrNull() as WallMs | null,
    catchup: r.flag(),
    maxActiveRuns: r.number(),
    description: r.text(),
    tags: r.texts(),
    taskCount: r.number(),
    defaultParams: r.text(),
    active: r.flag(),
    paused: r.flag(),
    importError: r.tupleOrNull((e) => ({ message: e.text(), since: e.number() as WallMs })),
    firstSeenAt: r.number() as WallMs,
    changedAt: r.number() as WallMs,
    nextInstant: r.numberOrNull() as WallMs | null,
    lastInstant: r.numberOrNull() as WallMs | null,
    pendingAssets: r.tuples(readPending),
  };
}

function scheduleTuple(schedule: Schedule): readonly unknown[] {
  switch (schedule.kind) {
    case 'none':
      return [schedule.kind];
    case 'cron':
      return [schedule.kind, schedule.expression, schedule.timezone];
    case 'interval':
      return [schedule.kind, schedule.everyMs];
    case 'assets':
      return [schedule.kind, conditionTuple(schedule.condition)];
  }
}

function readSchedule(r: TupleReader): Schedule {
  const kind = r.word({ none: true, cron: true, interval: true, assets: true });
  switch (kind) {
    case 'none':
      return { kind };
    case 'cron':
      return { kind, expression: r.text(), timezone: r.text() };
    case 'interval':
      return { kind, everyMs: r.number() };
    case 'assets':
      return { kind, condition: r.tuple(readCondition) };
  }
}

function conditionTuple(condition: AssetCondition): readonly unknown[] {
  if (condition.kind === 'asset') return [condition.kind, condition.asset];
  return [condition.kind, condition.of.map(conditionTuple)];
}

function readCondition(r: TupleReader): AssetCondition {
  const kind = r.word({ asset: true, all: true, any: true });
  if (kind === 'asset') return { kind, asset: r.text() };
  return { kind, of: r.tuples(readCondition) };
}

const pendingTuple = ({ asset, count, first, last }: PendingAsset) => [asset, count, first, last];
const readPending = (r: TupleReader): PendingAsset => ({
  asset: r.text(),
  count: r.number(),
  first: r.number(),
  last: r.number(),
});

export function encodeRun(row: RunRow): string {
  return JSON.stringify([
    row.runId,
    row.reason,
    row.logicalDate,
    row.intervalStart,
    row.intervalEnd,
    row.params,
    row.consumed.map(pendingTuple),
    row.startedAt,
    row.timeoutAt,
    row.rerunBy,
    row.sweeps.map(sweepTuple),
    row.instancesAtEnd,
  ]);
}

/** A run as its columns hold it. */
export interface StoredRun {
  readonly run: string;
  readonly version: number;
  readonly dagId: string;
  readonly type: string;
  readonly state: string;
  readonly definitionVersion: number;
  readonly backfill: string;
  readonly createdAt: number;
  readonly endedAt: number | null;
  readonly data: string;
}

/** Throws StoreError `corrupt` when the row does not have the form it was written in. */
export function decodeRun({ data, ...stored }: StoredRun): RunRow {
  const r = new TupleReader(data, `run ${stored.run}`);
  const words = new TupleReader([stored.type, stored.state], `run ${stored.run}`);
  return {
    run: stored.run as RunKey,
    version: stored.version,
    dagId: stored.dagId,
    type: words.word(RUN_TYPES),
    state: words.word(RUN_STATES),
    definitionVersion: stored.definitionVersion,
    backfill: stored.backfill,
    createdAt: stored.createdAt as WallMs,
    endedAt: stored.endedAt as WallMs | null,
    runId: r.text(),
    reason: r.text(),
    logicalDate: r.numberOrNull() as WallMs | null,
    intervalStart: r.numberOrNull() as WallMs | null,
    intervalEnd: r.numberOrNull() as WallMs | null,
    params: r.text(),
    consumed: r.tuples(readPending),
    startedAt: r.numberOrNull() as WallMs | null,
    timeoutAt: r.numberOrNone() as ServiceMs | null,
    rerunBy: r.textOr(''),
    sweeps: r.tuplesOr([], readSweep),
    instancesAtEnd: r.numberOrNone(),
  };
}

const sweepTuple = (sweep: SweepOfRun) => [
  sweep.kind,
  sweep.tasks.map(({ task, mapIndex }) => [task, mapIndex]),
  sweep.own,
  sweep.upstream,
  sweep.downstream,
  sweep.only,
  sweep.reason,
];

function readSweep(r: TupleReader): SweepOfRun {
  return {
    kind: r.word({ clear: true, mark_success: true, mark_failed: true }),
    tasks: r.tuples((choice) => ({ task: choice.text(), mapIndex: choice.numberOrNull() })),
    own: r.flag(),
    upstream: r.flag(),
    downstream: r.flag(),
    only: r.word({ any: true, failed: true, blocked: true }),
    reason: r.text(),
  };
}

export function encodeAssetEvent({ at, source, extra }: AssetEventRow): string {
  return JSON.stringify([at, source === null ? null : [source.run, source.task, source.mapIndex], extra]);
}

export function decodeAssetEvent(n: number, asset: string, stored: string): AssetEventRow {
  const r = new TupleReader(stored, `asset event ${n}`);
  return {
    n,
    asset,
    at: r.number() as WallMs,
    source: r.tupleOrNull((s) => ({ run: s.text() as RunKey, task: s.text(), mapIndex: s.number() })),
    extra: r.text(),
  };
}

export function encodeTrigger(row: TriggerRow): string {
  return JSON.stringify([
    row.kind,
    row.input,
    row.state,
    row.createdAt,
    row.timeoutAt,
    String(row.token),
    String(row.epoch),
    row.agentId,
  ]);
}

export function decodeTrigger(
  key: Pick<TriggerRow, 'triggerId' | 'version' | 'taskId'>,
  stored: string,
): TriggerRow {
  const r = new TupleReader(stored, `trigger ${key.triggerId}`);
  return {
    triggerId: key.triggerId,
    version: key.version,
    taskId: key.taskId as TaskId,
    kind: r.text(),
    input: r.text(),
    state: r.text(),
    createdAt: r.number() as WallMs,
    timeoutAt: r.numberOrNull() as ServiceMs | null,
    token: r.bigint() as Token,
    epoch: r.bigint() as Epoch,
    agentId: r.text() as AgentId | '',
  };
}

export function encodeBundle(row: BundleRow): string {
  return JSON.stringify([
    String(row.epoch),
    String(row.sequence),
    row.agentId,
    row.receivedAt,
    row.importErrors.map(({ file, message, since }) => [file, message, since]),
    row.hash,
  ]);
}

export function decodeBundle(bundle: string, version: number, stored: string): BundleRow {
  const r = new TupleReader(stored, `bundle ${bundle}`);
  return {
    bundle,
    version,
    epoch: r.bigint() as Epoch,
    sequence: r.bigint(),
    agentId: r.text() as AgentId | '',
    receivedAt: r.numberOrNull() as WallMs | null,
    importErrors: r.tuples(readImportError),
    hash: r.textOr(''),
  };
}

const readImportError = (r: TupleReader): ImportError => ({
  file: r.text(),
  message: r.text(),
  since: r.number() as WallMs,
});

export function encodeBackfill(row: BackfillRow): string {
  return JSON.stringify([
    row.from,
    row.to,
    row.next,
    row.params,
    row.maxActiveRuns,
    row.reprocess,
    row.state,
  ]);
}

export function decodeBackfill(
  key: Pick<BackfillRow, 'backfill' | 'version' | 'dagId' | 'createdAt'>,
  stored: string,
): BackfillRow {
  const r = new TupleReader(stored, `backfill ${key.backfill}`);
  return {
    ...key,
    from: r.number() as WallMs,
    to: r.number() as WallMs,
    next: r.numberOrNull() as WallMs | null,
    params: r.text(),
    maxActiveRuns: r.number(),
    reprocess: r.word({ none: true, failed: true, completed: true }),
    state: r.word({ running: true, paused: true, completed: true, cancelled: true }),
  };
}
