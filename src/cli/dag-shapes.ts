import type {
  Backfill,
  BackfillPlan,
  ChosenInstance,
  Dag,
  DagDescription,
  DagSchedule,
  Run,
  RunDescription,
  RunInstance,
} from '../client/index.js';
import { orNull, type Shape, time } from './shapes.js';

/** The documented JSON of DAGs and runs; see shapes.ts for what is the same everywhere. */

type Events = Dag['pendingAssets'];
const eventsShape = (events: Events): readonly Shape[] =>
  events.map(({ asset, count, first, last }) => ({ asset, count, first: String(first), last: String(last) }));

const scheduleShape = (schedule: DagSchedule): Shape | null =>
  schedule.kind === 'none' ? null : { ...schedule };

export const dagShape = (dag: Dag): Shape => ({
  dagId: dag.dagId,
  description: orNull(dag.description),
  tags: dag.tags,
  bundle: dag.bundle,
  file: dag.file,
  schedule: scheduleShape(dag.schedule),
  startDate: time(dag.startDate),
  endDate: time(dag.endDate),
  catchup: dag.catchup,
  maxActiveRuns: dag.maxActiveRuns,
  taskCount: dag.taskCount,
  definitionVersion: String(dag.definitionVersion),
  active: dag.active,
  paused: dag.paused,
  importError:
    dag.importError === undefined
      ? null
      : { message: dag.importError.message, since: time(dag.importError.since) },
  firstSeenAt: time(dag.firstSeenAt),
  changedAt: time(dag.changedAt),
  nextRunAt: time(dag.nextRunAt),
  lastRunAt: time(dag.lastRunAt),
  pendingAssets: eventsShape(dag.pendingAssets),
  queuedRuns: dag.queuedRuns,
  runningRuns: dag.runningRuns,
  bundleUnheardForMs: dag.bundleUnheardForMs ?? null,
});

export const dagDescriptionShape = ({
  dag,
  definitionVersion,
  params,
  tasks,
  versions,
  maxActiveTasks,
  dagrunTimeoutMs,
}: DagDescription): Shape => ({
  ...dagShape(dag),
  maxActiveTasks,
  dagrunTimeoutMs: dagrunTimeoutMs ?? null,
  definitionVersion: String(definitionVersion),
  params: params.map((param) => ({
    ...param,
    default: param.default ?? null,
    description: orNull(param.description),
    minimum: param.minimum ?? null,
    maximum: param.maximum ?? null,
  })),
  tasks: tasks.map((task) => ({
    ...task,
    handler: orNull(task.handler),
    waitsFor: orNull(task.waitsFor),
  })),
  versions: versions.map((version) => ({
    definitionVersion: String(version.definitionVersion),
    hash: version.hash,
    createdAt: time(version.createdAt),
  })),
});

export const runShape = (run: Run): Shape => ({
  dagId: run.dagId,
  runId: run.runId,
  type: run.type,
  state: run.state,
  reason: orNull(run.reason),
  definitionVersion: String(run.definitionVersion),
  logicalDate: time(run.logicalDate),
  intervalStart: time(run.intervalStart),
  intervalEnd: time(run.intervalEnd),
  params: run.params,
  consumed: eventsShape(run.consumed),
  backfill: orNull(run.backfill),
  createdAt: time(run.createdAt),
  startedAt: time(run.startedAt),
  endedAt: time(run.endedAt),
});

export const instanceShape = (instance: RunInstance): Shape => ({
  task: instance.task,
  mapIndex: instance.mapIndex ?? null,
  taskId: instance.taskId,
  state: instance.state,
  waitsForRoom: instance.waitsForRoom,
  tryNumber: instance.tryNumber,
  queue: instance.queue,
  pool: instance.pool,
  poolSlots: instance.poolSlots,
  agentId: orNull(instance.agentId),
  reason: orNull(instance.reason),
  message: orNull(instance.message),
  createdAt: time(instance.createdAt),
  startedAt: time(instance.startedAt),
  endedAt: time(instance.endedAt),
  lost: instance.lost,
});

export const runDescriptionShape = ({ run, tasks, instances }: RunDescription): Shape => ({
  ...runShape(run),
  tasks: tasks.map(({ task, needs, triggerRule, mapped }) => ({ task, needs, triggerRule, mapped })),
  instances: instances.map(instanceShape),
});

export const chosenShape = ({ task, mapIndex, taskId, state, requested }: ChosenInstance): Shape => ({
  ...{ task, mapIndex: mapIndex ?? null, taskId: orNull(taskId), state: state ?? null, requested },
});

export const backfillPlanShape = ({ backfill, instants }: BackfillPlan): Shape => ({
  ...backfillShape(backfill),
  instants: instants.map(({ logicalDate, step, runId, runState }) => ({
    ...{ logicalDate: time(logicalDate), step, runId: orNull(runId), runState: runState ?? null },
  })),
});

export const backfillShape = (backfill: Backfill): Shape => ({
  backfillId: backfill.backfillId,
  dagId: backfill.dagId,
  from: time(backfill.from),
  to: time(backfill.to),
  next: time(backfill.next),
  params: backfill.params,
  maxActiveRuns: backfill.maxActiveRuns,
  reprocess: backfill.reprocess,
  state: backfill.state,
  createdAt: time(backfill.createdAt),
});
