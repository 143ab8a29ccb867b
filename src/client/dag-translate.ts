import type * as wire from '../wire/gen/holdfast/v1/dag_service.js';
import {
  BACKFILL_STATES,
  type Backfill,
  type BackfillInstant,
  type BackfillStep,
  REPROCESS_POLICIES,
  type ReprocessPolicy,
} from './backfill-types.js';
import {
  type AssetEvents,
  type ChosenInstance,
  type Dag,
  type DagDescription,
  type DagParam,
  type DagSchedule,
  RUN_STATES,
  RUN_TYPES,
  type Run,
  type RunInstance,
  type RunState,
  type RunType,
} from './dag-types.js';
import type { Asset, AssetEvent, Bundle, Pool, Trigger } from './shared-types.js';
import { durationFromWire, instanceNameFromWire, nameIn, numberIn } from './translate.js';
import { TASK_STATES } from './types.js';

export const runStateToWire = (state: RunState): wire.RunState =>
  numberIn(RUN_STATES, state) as wire.RunState;
export const runTypeToWire = (type: RunType | undefined): wire.RunType =>
  (type === undefined ? 0 : numberIn(RUN_TYPES, type)) as wire.RunType;

const jsonOf = (text: string): unknown => (text === '' ? undefined : (JSON.parse(text) as unknown));
const paramsOf = (text: string): Readonly<Record<string, unknown>> =>
  (jsonOf(text) ?? {}) as Readonly<Record<string, unknown>>;

const eventsFromWire = ({ asset, count, first, last }: wire.AssetEvents): AssetEvents => ({
  ...{ asset, count, first, last },
});

export const dagFromWire = (dag: wire.Dag): Dag => ({
  dagId: dag.dagId,
  description: dag.description,
  tags: dag.tags,
  bundle: dag.bundle,
  file: dag.file,
  schedule: scheduleFromWire(dag.schedule),
  startDate: dag.startDate,
  endDate: dag.endDate,
  catchup: dag.catchup,
  maxActiveRuns: dag.maxActiveRuns,
  taskCount: dag.taskCount,
  definitionVersion: dag.definitionVersion,
  active: dag.active,
  paused: dag.paused,
  importError: dag.importError && { message: dag.importError.message, since: dag.importError.since },
  firstSeenAt: dag.firstSeenAt,
  changedAt: dag.changedAt,
  nextRunAt: dag.nextRunAt,
  lastRunAt: dag.lastRunAt,
  pendingAssets: dag.pendingAssets.map(eventsFromWire),
  queuedRuns: dag.queuedRuns,
  runningRuns: dag.runningRuns,
  bundleUnheardForMs: durationFromWire(dag.bundleUnheardFor),
});

function scheduleFromWire(schedule: wire.DagSchedule | undefined): DagSchedule {
  const of = schedule?.schedule;
  switch (of?.$case) {
    case 'cron':
      return { kind: 'cron', expression: of.value.expression, timezone: of.value.timezone };
    case 'interval':
      return { kind: 'interval', everyMs: durationFromWire(of.value) };
    case 'assets':
      return { kind: 'assets', condition: of.value.condition, assets: of.value.assets };
    case undefined:
      return { kind: 'none' };
  }
}

const paramFromWire = (param: wire.DagParam): DagParam => ({
  name: param.name,
  type: param.type,
  required: param.defaultValue === undefined,
  default: param.defaultValue === undefined ? undefined : jsonOf(param.defaultValue),
  description: param.description,
  oneOf: param.oneOf.map(jsonOf),
  minimum: param.minimum,
  maximum: param.maximum,
});

export const descriptionFromWire = (answer: wire.GetDagResponse, dag: wire.Dag): DagDescription => ({
  dag: dagFromWire(dag),
  definitionVersion: answer.definitionVersion,
  params: answer.params.map(paramFromWire),
  tasks: answer.tasks,
  versions: answer.versions,
  definition: jsonOf(answer.definition),
  maxActiveTasks: answer.maxActiveTasks,
  dagrunTimeoutMs: answer.dagrunTimeout && durationFromWire(answer.dagrunTimeout),
});

export const runFromWire = (run: wire.Run): Run => ({
  dagId: run.dagId,
  runId: run.runId,
  type: nameIn(RUN_TYPES, run.type, 'manual'),
  // A state unknown to this client is one that has not ended.
  state: nameIn(RUN_STATES, run.state, 'running'),
  reason: run.reason,
  definitionVersion: run.definitionVersion,
  logicalDate: run.logicalDate,
  intervalStart: run.intervalStart,
  intervalEnd: run.intervalEnd,
  params: paramsOf(run.params),
  consumed: run.consumed.map(eventsFromWire),
  backfill: run.backfill,
  createdAt: run.createdAt,
  startedAt: run.startedAt,
  endedAt: run.endedAt,
});

export const instanceFromWire = (instance: wire.RunInstance): RunInstance => ({
  task: instance.task,
  mapIndex: instance.mapIndex,
  taskId: instance.taskId,
  state: nameIn(TASK_STATES, instance.state, 'scheduled'),
  waitsForRoom: instance.waitsForRoom,
  tryNumber: instance.tryNumber,
  queue: instance.queue,
  pool: instance.pool,
  poolSlots: instance.poolSlots,
  agentId: instance.agentId,
  reason: instance.reason,
  message: instance.message,
  createdAt: instance.createdAt,
  startedAt: instance.startedAt,
  endedAt: instance.endedAt,
  lost: instance.lost,
});

export const chosenFromWire = (chosen: wire.ChosenInstance): ChosenInstance => ({
  task: chosen.task,
  mapIndex: chosen.mapIndex,
  taskId: chosen.taskId,
  state: TASK_STATES[chosen.state - 1],
  requested: chosen.requested,
});

const STEPS: readonly BackfillStep[] = ['create', 'clear', 'skip'];
export const instantFromWire = (instant: wire.BackfillInstant): BackfillInstant => ({
  logicalDate: instant.logicalDate,
  step: nameIn(STEPS, instant.step, 'skip'),
  runId: instant.runId,
  runState: RUN_STATES[instant.runState - 1],
});

export const reprocessToWire = (policy: ReprocessPolicy): wire.ReprocessPolicy =>
  numberIn(REPROCESS_POLICIES, policy) as wire.ReprocessPolicy;
export const steeringToWire = (steering: 'resume' | 'pause' | 'cancel'): wire.BackfillSteering =>
  numberIn(['resume', 'pause', 'cancel'], steering) as wire.BackfillSteering;
export const markToWire = (as: 'success' | 'failed'): wire.MarkAs =>
  numberIn(['success', 'failed'], as) as wire.MarkAs;

export const backfillFromWire = (backfill: wire.Backfill): Backfill => ({
  backfillId: backfill.backfillId,
  dagId: backfill.dagId,
  from: backfill.from,
  to: backfill.to,
  next: backfill.next,
  params: paramsOf(backfill.params),
  maxActiveRuns: backfill.maxActiveRuns,
  reprocess: nameIn(REPROCESS_POLICIES, backfill.reprocess, 'none'),
  state: nameIn(BACKFILL_STATES, backfill.state, 'running'),
  createdAt: backfill.createdAt,
});

export const assetFromWire = ({ asset, lastEvent, lastEventAt, dagIds }: wire.Asset): Asset => ({
  ...{ asset, lastEvent, lastEventAt, dagIds },
});

export const assetEventFromWire = ({ n, asset, at, source, extra }: wire.AssetEvent): AssetEvent => ({
  ...{ n, asset, at, source: source && instanceNameFromWire(source), extra: jsonOf(extra) },
});

export const poolFromWire = ({ pool, slots, used, waiting, description, known }: wire.Pool): Pool => ({
  ...{ pool, slots, used, waiting, description, known },
});

export const triggerFromWire = (trigger: wire.Trigger): Trigger => ({
  triggerId: trigger.triggerId,
  taskId: trigger.taskId,
  instance: trigger.instance && instanceNameFromWire(trigger.instance),
  kind: trigger.kind,
  input: jsonOf(trigger.input),
  createdAt: trigger.createdAt,
  timesOutInMs: durationFromWire(trigger.timesOutIn),
  agentId: trigger.agentId,
  fencingToken: trigger.fencingToken,
});

export const bundleFromWire = (bundle: wire.Bundle): Bundle => ({
  bundle: bundle.bundle,
  agentId: bundle.agentId,
  receivedAt: bundle.receivedAt,
  unheardForMs: durationFromWire(bundle.unheardFor),
  dagCount: bundle.dagCount,
  importErrors: bundle.importErrors.map(({ file, message, since }) => ({ file, message, since })),
});
