import {
  HelloRefusal,
  InventoryPhase,
  RefusalReason,
  ReportDisposition,
  ReportKind,
  SnapshotState,
  StopReason,
  VerdictKind,
} from './gen/holdfast/v1/agent_service.js';
import {
  BackfillState,
  BackfillSteering,
  BackfillStep,
  MarkAs,
  ReprocessPolicy,
  RunState,
  RunType,
} from './gen/holdfast/v1/dag_service.js';
import { AgentState } from './gen/holdfast/v1/fleet_service.js';
import { ResolveVerdict, SteerAction, TaskState } from './gen/holdfast/v1/task_service.js';
import { AgentKind, PartitionPolicy } from './gen/holdfast/v1/types.js';

/**
 * Our words and the protos' enum numbers, both ways. Generated code hands on numbers that it does not know: `from` then
 * gives the fallback that the enum's comment names, or undefined where there is none, and the caller refuses.
 */
export interface Names<Name extends string, Value extends number> {
  to(name: Name): Value;
  from(value: number): Name | undefined;
  readonly all: readonly Name[];
}

function names<Name extends string, Value extends number>(
  table: Readonly<Record<Name, Value>>,
  fallback?: NoInfer<Name>,
): Names<Name, Value> {
  const back = new Map<number, Name>();
  for (const name in table) back.set(table[name], name);
  const all = Object.keys(table) as Name[];
  return { to: (name) => table[name], from: (value) => back.get(value) ?? fallback, all };
}

export const agentKinds = names({
  worker: AgentKind.WORKER,
  triggerer: AgentKind.TRIGGERER,
  dag_processor: AgentKind.DAG_PROCESSOR,
});

export const partitionPolicies = names({
  reassign: PartitionPolicy.REASSIGN,
  single_run: PartitionPolicy.SINGLE_RUN,
  hold: PartitionPolicy.HOLD,
});

export const phases = names({
  asked: InventoryPhase.ASKED,
  running: InventoryPhase.RUNNING,
  stopping: InventoryPhase.STOPPING,
  finished: InventoryPhase.FINISHED,
  void: InventoryPhase.VOID,
  lost: InventoryPhase.LOST,
});

export const reportKinds = names({
  success: ReportKind.SUCCESS,
  failed: ReportKind.FAILED,
  killed: ReportKind.KILLED,
  never_started: ReportKind.NEVER_STARTED,
  lost: ReportKind.LOST,
  deferred: ReportKind.DEFERRED,
  skipped: ReportKind.SKIPPED,
});

export const stopReasons = names(
  {
    superseded: StopReason.SUPERSEDED,
    cancelled: StopReason.CANCELLED,
    timeout: StopReason.TIMEOUT,
    unknown: StopReason.UNKNOWN,
  },
  'superseded',
);

export const dispositions = names(
  {
    recorded: ReportDisposition.RECORDED,
    already_recorded: ReportDisposition.ALREADY_RECORDED,
    stale: ReportDisposition.STALE,
    foreign: ReportDisposition.FOREIGN,
    unknown: ReportDisposition.UNKNOWN,
  },
  'recorded',
);

/** An unknown state waits for a known one. */
export const snapshotStates = names(
  {
    receiving: SnapshotState.RECEIVING,
    in_force: SnapshotState.IN_FORCE,
    refused: SnapshotState.REFUSED,
    not_held: SnapshotState.NOT_HELD,
  },
  'receiving',
);

export const verdictKinds = names({
  keep: VerdictKind.KEEP,
  stop: VerdictKind.STOP,
  recorded: VerdictKind.RECORDED,
  never_start: VerdictKind.NEVER_START,
});

export const refusalReasons = names(
  {
    task_unknown: RefusalReason.TASK_UNKNOWN,
    not_offered: RefusalReason.NOT_OFFERED,
    offered_elsewhere: RefusalReason.OFFERED_ELSEWHERE,
    already_permitted: RefusalReason.ALREADY_PERMITTED,
    not_queued: RefusalReason.NOT_QUEUED,
    no_free_slot: RefusalReason.NO_FREE_SLOT,
    concurrency_limit: RefusalReason.CONCURRENCY_LIMIT,
    cordoned: RefusalReason.CORDONED,
    suspect: RefusalReason.SUSPECT,
    inventory_unresolved: RefusalReason.INVENTORY_UNRESOLVED,
    recovering: RefusalReason.RECOVERING,
    closed: RefusalReason.CLOSED,
  },
  'not_offered',
);

export const helloRefusals = names(
  {
    invalid: HelloRefusal.INVALID,
    unsupported: HelloRefusal.UNSUPPORTED,
    in_use: HelloRefusal.IN_USE,
    old_stream: HelloRefusal.OLD_STREAM,
    full: HelloRefusal.FULL,
    unavailable: HelloRefusal.UNAVAILABLE,
    denied: HelloRefusal.DENIED,
  },
  'unavailable',
);

export const taskStates = names({
  scheduled: TaskState.SCHEDULED,
  queued: TaskState.QUEUED,
  running: TaskState.RUNNING,
  success: TaskState.SUCCESS,
  failed: TaskState.FAILED,
  up_for_retry: TaskState.UP_FOR_RETRY,
  deferred: TaskState.DEFERRED,
  upstream_failed: TaskState.UPSTREAM_FAILED,
  skipped: TaskState.SKIPPED,
  cancelled: TaskState.CANCELLED,
});

export const agentStates = names({
  healthy: AgentState.HEALTHY,
  suspect: AgentState.SUSPECT,
  failed: AgentState.FAILED,
  gone: AgentState.GONE,
});

export const steerActions = names({
  cancel: SteerAction.CANCEL,
  retry: SteerAction.RETRY,
  move: SteerAction.MOVE,
});

export const resolveVerdicts = names({
  reassign: ResolveVerdict.REASSIGN,
  fail: ResolveVerdict.FAIL,
  succeed: ResolveVerdict.SUCCEED,
});

export const runTypes = names({
  scheduled: RunType.SCHEDULED,
  manual: RunType.MANUAL,
  asset_triggered: RunType.ASSET_TRIGGERED,
  backfill: RunType.BACKFILL,
});

export const runStates = names({
  queued: RunState.QUEUED,
  running: RunState.RUNNING,
  success: RunState.SUCCESS,
  failed: RunState.FAILED,
  cancelled: RunState.CANCELLED,
});

export const backfillStates = names({
  running: BackfillState.RUNNING,
  paused: BackfillState.PAUSED,
  completed: BackfillState.COMPLETED,
  cancelled: BackfillState.CANCELLED,
});

export const reprocessPolicies = names({
  none: ReprocessPolicy.NONE,
  failed: ReprocessPolicy.FAILED,
  completed: ReprocessPolicy.COMPLETED,
});

export const marks = names({ success: MarkAs.SUCCESS, failed: MarkAs.FAILED });

export const backfillSteerings = names({
  running: BackfillSteering.RESUME,
  paused: BackfillSteering.PAUSE,
  cancelled: BackfillSteering.CANCEL,
});

export const backfillSteps = names({
  create: BackfillStep.CREATE,
  clear: BackfillStep.CLEAR,
  skip: BackfillStep.SKIP,
});
