import type { AssetCondition, DagDefinition, Schedule, TaskDefinition } from '../core/dag/definition.js';
import type { BackfillRow, DagRow, PendingAsset, RunRow } from '../core/dag/rows.js';
import { assetsOf } from '../core/dag/state.js';
import type { TaskRow } from '../core/rows.js';
import type { State } from '../core/state.js';
import type {
  AssetEvents,
  Backfill,
  Dag,
  DagParam,
  DagSchedule,
  DagTask,
  Run,
  RunInstance,
} from '../wire/gen/holdfast/v1/dag_service.js';
import { backfillStates, reprocessPolicies, runStates, runTypes, taskStates } from '../wire/names.js';
import { durationOf } from '../wire/time.js';
import { type Moment, unheardOf } from './bundle-views.js';
import { dateOf } from './views.js';

const dateOrNone = (at: number | null): Date | undefined => (at === null ? undefined : dateOf(at));

/** A DAG as the public API shows it, with what memory knows of its runs and its bundle. */
export function dagOf(state: State, row: DagRow, moment: Moment): Dag {
  let queuedRuns = 0;
  let runningRuns = 0;
  for (const run of state.dags.runsOf.get(row.dagId) ?? []) {
    if (state.dags.runs.get(run)?.row.state === 'running') runningRuns++;
    else queuedRuns++;
  }
  const unheardMs = unheardOf(state, row.bundle, moment);
  return {
    dagId: row.dagId,
    description: row.description,
    tags: [...row.tags],
    bundle: row.bundle,
    file: row.file,
    schedule: scheduleOf(row),
    startDate: dateOrNone(row.startDate),
    endDate: dateOrNone(row.endDate),
    catchup: row.catchup,
    maxActiveRuns: row.maxActiveRuns,
    taskCount: row.taskCount,
    definitionVersion: BigInt(row.definitionVersion),
    active: row.active,
    paused: row.paused,
    importError: row.importError
      ? { message: row.importError.message, since: dateOf(row.importError.since) }
      : undefined,
    firstSeenAt: dateOf(row.firstSeenAt),
    changedAt: dateOf(row.changedAt),
    nextRunAt: row.active ? dateOrNone(row.nextInstant) : undefined,
    lastRunAt: dateOrNone(row.lastInstant),
    pendingAssets: row.pendingAssets.map(eventsOf),
    queuedRuns,
    runningRuns,
    bundleUnheardFor: unheardMs === null ? undefined : durationOf(unheardMs),
  };
}

const eventsOf = ({ asset, count, first, last }: PendingAsset): AssetEvents => ({
  ...{ asset, count, first: BigInt(first), last: BigInt(last) },
});

function scheduleOf(row: DagRow): DagSchedule {
  const schedule: Schedule = row.schedule;
  switch (schedule.kind) {
    case 'none':
      return { schedule: undefined };
    case 'cron': {
      const { expression, timezone } = schedule;
      return { schedule: { $case: 'cron', value: { expression, timezone } } };
    }
    case 'interval':
      return { schedule: { $case: 'interval', value: durationOf(schedule.everyMs) } };
    case 'assets':
      return {
        schedule: {
          $case: 'assets',
          value: { condition: conditionWords(schedule.condition), assets: assetsOf(row) },
        },
      };
  }
}

/** `a & (b | c)`; a condition within another one has brackets. */
function conditionWords(condition: AssetCondition, nested = false): string {
  if (condition.kind === 'asset') return condition.asset;
  const words = condition.of
    .map((one) => conditionWords(one, true))
    .join(condition.kind === 'all' ? ' & ' : ' | ');
  return nested && condition.of.length > 1 ? `(${words})` : words;
}

export function paramsOf({ params }: DagDefinition): DagParam[] {
  return Object.entries(params).map(([name, param]) => ({
    name,
    type: param.type,
    defaultValue: param.default === undefined ? undefined : JSON.stringify(param.default),
    description: param.description,
    oneOf: param.oneOf.map((value) => JSON.stringify(value)),
    minimum: param.minimum ?? undefined,
    maximum: param.maximum ?? undefined,
  }));
}

export function definedTaskOf(task: TaskDefinition): DagTask {
  return {
    task: task.taskId,
    needs: [...task.needs],
    triggerRule: task.triggerRule,
    work: task.work.kind,
    handler: task.work.kind === 'handler' ? task.work.name : '',
    mapped: task.expand !== '',
    waitsFor: task.wait?.kind ?? '',
    queue: task.queue,
    pool: task.pool,
    poolSlots: task.poolSlots,
    retries: task.retries,
    inlets: [...task.inlets],
    outlets: [...task.outlets],
  };
}

export function runOf(row: RunRow): Run {
  return {
    dagId: row.dagId,
    runId: row.runId,
    type: runTypes.to(row.type),
    state: runStates.to(row.state),
    reason: row.reason,
    definitionVersion: BigInt(row.definitionVersion),
    logicalDate: dateOrNone(row.logicalDate),
    intervalStart: dateOrNone(row.intervalStart),
    intervalEnd: dateOrNone(row.intervalEnd),
    params: row.params,
    consumed: row.consumed.map(eventsOf),
    backfill: row.backfill,
    createdAt: dateOf(row.createdAt),
    startedAt: dateOrNone(row.startedAt),
    endedAt: dateOrNone(row.endedAt),
  };
}

/** An instance as its run shows it; null for a task that is none. */
export function instanceOf(row: TaskRow): RunInstance | null {
  const { instance } = row;
  if (instance === null) return null;
  return {
    task: instance.task,
    mapIndex: instance.mapIndex < 0 ? undefined : instance.mapIndex,
    taskId: row.taskId,
    state: taskStates.to(row.state),
    waitsForRoom: row.state === 'scheduled' && instance.ready,
    tryNumber: row.tryNumber,
    queue: row.queue,
    pool: instance.pool,
    poolSlots: instance.poolSlots,
    agentId: row.lastAgentId,
    reason: row.reason,
    message: row.message,
    createdAt: dateOf(row.submittedAt),
    startedAt: row.open === null ? undefined : dateOf(row.open.permittedAt),
    endedAt: dateOrNone(row.endedAt),
    lost: row.open?.lost != null,
  };
}

export function backfillOf(row: BackfillRow): Backfill {
  return {
    backfillId: row.backfill,
    dagId: row.dagId,
    from: dateOf(row.from),
    to: dateOf(row.to),
    next: dateOrNone(row.next),
    params: row.params,
    maxActiveRuns: row.maxActiveRuns,
    reprocess: reprocessPolicies.to(row.reprocess),
    state: backfillStates.to(row.state),
    createdAt: dateOf(row.createdAt),
  };
}
