import type * as fleet from '../wire/gen/holdfast/v1/fleet_service.js';
import type * as wire from '../wire/gen/holdfast/v1/task_service.js';
import type { Steering, TaskSelection } from './steering.js';
import {
  AGENT_KINDS,
  AGENT_STATES,
  type Agent,
  type AgentKind,
  type AgentState,
  type CommandSpec,
  type CoordinatorInfo,
  type Explanation,
  type HandlerSpec,
  type HeldRun,
  type HistoryEvent,
  type InstanceName,
  type LogPiece,
  PARTITION_POLICIES,
  type PartitionPolicy,
  TASK_STATES,
  type Task,
  type TaskSpec,
  type TaskState,
  type Verdict,
} from './types.js';

// The lists name the values in the order of their numbers, which start at 1: 0 is "unspecified" in every enum.
export const numberIn = <T>(list: readonly T[], name: T): number => list.indexOf(name) + 1;
// A newer coordinator may know more: its unknown values have a defined meaning here.
export const nameIn = <T>(list: readonly T[], value: number, unknown: T): T => list[value - 1] ?? unknown;

export const taskStateToWire = (state: TaskState): wire.TaskState =>
  numberIn(TASK_STATES, state) as wire.TaskState;
export const agentStateToWire = (state: AgentState): fleet.AgentState =>
  numberIn(AGENT_STATES, state) as fleet.AgentState;
export const agentKindToWire = (kind: AgentKind): fleet.Agent['kind'] =>
  numberIn(AGENT_KINDS, kind) as fleet.Agent['kind'];
const policyToWire = (policy: PartitionPolicy): wire.TaskSpec['partitionPolicy'] =>
  numberIn(PARTITION_POLICIES, policy) as wire.TaskSpec['partitionPolicy'];

const VERDICTS: readonly Verdict[] = ['reassign', 'fail', 'succeed'];
export const verdictToWire = (verdict: Verdict): wire.ResolveVerdict =>
  numberIn(VERDICTS, verdict) as wire.ResolveVerdict;

const ACTIONS: readonly Steering['action'][] = ['cancel', 'retry', 'move'];
export const steeringToWire = (steering: Steering): Pick<wire.SteerTasksRequest, 'action' | 'queue'> => ({
  action: numberIn(ACTIONS, steering.action) as wire.SteerAction,
  queue: steering.action === 'move' ? steering.queue : '',
});
export const selectionToWire = (selection: TaskSelection): wire.TaskSelection => ({
  states: (selection.states ?? []).map(taskStateToWire),
  queue: selection.queue ?? '',
  requiredLabels: mapFrom(selection.requiredLabels),
  concurrencyKey: selection.concurrencyKey ?? '',
  submittedAfter: selection.submittedAfter,
  submittedBefore: selection.submittedBefore,
  taskIds: [...(selection.taskIds ?? [])],
  dagId: selection.dagId ?? '',
  runId: selection.runId ?? '',
});

type WireDuration = NonNullable<wire.TaskSpec['killGrace']>;

/** Milliseconds to the well-known type. */
export function durationToWire(ms: number): WireDuration;
export function durationToWire(ms: number | undefined): WireDuration | undefined;
export function durationToWire(ms: number | undefined): WireDuration | undefined {
  if (ms === undefined) return undefined;
  const seconds = Math.trunc(ms / 1_000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1_000) * 1_000_000) };
}

/** Whole milliseconds of the well-known type. */
export function durationFromWire(duration: WireDuration): number;
export function durationFromWire(duration: WireDuration | undefined): number | undefined;
export function durationFromWire(duration: WireDuration | undefined): number | undefined {
  if (duration === undefined) return undefined;
  return Number(duration.seconds) * 1_000 + Math.round(duration.nanos / 1_000_000);
}

const mapFrom = (record: Readonly<Record<string, string>> | undefined): Map<string, string> =>
  new Map(Object.entries(record ?? {}));

export function specToWire(spec: TaskSpec): wire.TaskSpec {
  const backoff = spec.retryBackoff;
  return {
    queue: spec.queue ?? '',
    work: { work: workToWire(spec) },
    priority: spec.priority ?? 0,
    retries: spec.retries ?? 0,
    retryBackoff:
      backoff === undefined
        ? undefined
        : { initial: durationToWire(backoff.initialMs), max: durationToWire(backoff.maxMs) },
    executionTimeout: durationToWire(spec.executionTimeoutMs),
    queuedTimeout: durationToWire(spec.queuedTimeoutMs),
    partitionPolicy: spec.partitionPolicy === undefined ? 0 : policyToWire(spec.partitionPolicy),
    killGrace: durationToWire(spec.killGraceMs),
    holdTimeout: durationToWire(spec.holdTimeoutMs),
    requiredLabels: mapFrom(spec.requiredLabels),
    concurrencyKey: spec.concurrencyKey ?? '',
    concurrencyLimit: spec.concurrencyLimit ?? 0,
    startAfter: spec.startAfter,
    startBefore: spec.startBefore,
    idempotencyKey: spec.idempotencyKey ?? '',
    traceparent: spec.traceparent ?? '',
  };
}

type WireWork = NonNullable<wire.TaskSpec['work']>['work'];

function workToWire(spec: TaskSpec): WireWork {
  if (spec.handler !== undefined) {
    const { handler: name, input, inputType } = spec;
    return { $case: 'handler', value: { name, ...inputToWire(input, inputType) } };
  }
  const { command: argv, env, workingDirectory } = spec;
  return {
    $case: 'command',
    value: {
      argv,
      env: mapFrom(env),
      workingDirectory: workingDirectory ?? '',
      memoryLimitBytes: BigInt(spec.memoryLimitBytes ?? 0),
      cpuLimitMillis: spec.cpuLimitMillis ?? 0,
    },
  };
}

/** Throws TypeError for what JSON cannot hold: a bigint, a circle, a function. */
function inputToWire(input: unknown, inputType: string | undefined): { input: Buffer; inputType: string } {
  if (input === undefined) return { input: Buffer.alloc(0), inputType: '' };
  if (ArrayBuffer.isView(input)) {
    const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
    return { input: bytes, inputType: inputType ?? 'application/octet-stream' };
  }
  const text: unknown = JSON.stringify(input);
  if (typeof text !== 'string') throw new TypeError(`a handler cannot be given a ${typeof input}`);
  return { input: Buffer.from(text), inputType: inputType ?? JSON_TYPE };
}

const JSON_TYPE = 'application/json';

function workFromWire(work: WireWork): CommandSpec | HandlerSpec {
  if (work?.$case === 'handler') {
    const { name, input, inputType } = work.value;
    return { handler: name, input: inputFromWire(input, inputType), inputType: inputType || undefined };
  }
  const command = work?.value;
  return {
    command: command?.argv ?? [],
    env: Object.fromEntries(command?.env ?? []),
    workingDirectory: command?.workingDirectory || undefined,
    memoryLimitBytes: Number(command?.memoryLimitBytes ?? 0) || undefined,
    cpuLimitMillis: command?.cpuLimitMillis || undefined,
  };
}

function inputFromWire(input: Uint8Array, inputType: string): unknown {
  if (input.length === 0) return undefined;
  if (inputType !== JSON_TYPE) return input;
  try {
    return JSON.parse(new TextDecoder().decode(input)) as unknown;
  } catch {
    // Its submitter said JSON and sent something else: the handler will say so.
    return input;
  }
}

function specFromWire(spec: wire.TaskSpec | undefined): TaskSpec {
  const backoff = spec?.retryBackoff;
  return {
    ...workFromWire(spec?.work?.work),
    queue: spec?.queue,
    priority: spec?.priority,
    retries: spec?.retries,
    retryBackoff:
      backoff === undefined
        ? undefined
        : { initialMs: durationFromWire(backoff.initial), maxMs: durationFromWire(backoff.max) },
    executionTimeoutMs: durationFromWire(spec?.executionTimeout),
    queuedTimeoutMs: durationFromWire(spec?.queuedTimeout),
    partitionPolicy: nameIn(PARTITION_POLICIES, spec?.partitionPolicy ?? 0, 'reassign'),
    killGraceMs: durationFromWire(spec?.killGrace),
    holdTimeoutMs: durationFromWire(spec?.holdTimeout),
    requiredLabels: Object.fromEntries(spec?.requiredLabels ?? []),
    concurrencyKey: spec?.concurrencyKey || undefined,
    concurrencyLimit: spec?.concurrencyLimit || undefined,
    startAfter: spec?.startAfter,
    startBefore: spec?.startBefore,
    idempotencyKey: spec?.idempotencyKey || undefined,
    traceparent: spec?.traceparent || undefined,
  };
}

export function taskFromWire(task: wire.Task): Task {
  return {
    taskId: task.taskId,
    spec: specFromWire(task.spec),
    queue: task.spec?.queue ?? '',
    // A state unknown to this client waits for something that it does not know either.
    state: nameIn(TASK_STATES, task.state, 'scheduled'),
    tryNumber: task.tryNumber,
    fencingToken: task.fencingToken,
    agentId: task.agentId,
    reason: task.reason,
    message: task.message,
    result: task.result,
    resultType: task.resultType,
    exitCode: task.exitCode,
    submittedAt: task.submittedAt,
    endedAt: task.endedAt,
    lost: task.lost && {
      at: task.lost.at,
      agentId: task.lost.agentId,
      heldForMs: durationFromWire(task.lost.heldFor) ?? 0,
    },
    cancelRequested: task.cancelRequested,
    lostTries: task.lostTries,
    progress: task.progress && {
      fraction: task.progress.fraction,
      message: task.progress.message,
      at: task.progress.at,
    },
    instance: task.instance && instanceNameFromWire(task.instance),
    history: task.history.map(historyFromWire),
  };
}

export const instanceNameFromWire = ({ dagId, runId, task, mapIndex }: wire.InstanceName): InstanceName => ({
  ...{ dagId, runId, task, mapIndex },
});

const historyFromWire = (event: wire.HistoryEvent): HistoryEvent => ({
  at: event.at,
  event: event.event,
  agentId: event.agentId,
  tryNumber: event.tryNumber,
  fencingToken: event.fencingToken,
  sessionEpoch: event.sessionEpoch,
  reason: event.reason,
  message: event.message,
  offeredAt: event.offeredAt,
});

export const explanationFromWire = (answer: wire.ExplainTaskResponse, task: wire.Task): Explanation => ({
  task: taskFromWire(task),
  summary: answer.summary,
  findings: answer.findings,
  next: answer.next.map((step) => ({
    code: step.code,
    inMs: durationFromWire(step.in) ?? 0,
    message: step.message,
  })),
  guarantee: answer.guarantee,
});

export const logPieceFromWire = (piece: wire.ReadTaskLogsResponse): LogPiece => ({
  tryNumber: piece.tryNumber,
  fencingToken: piece.fencingToken,
  stream: nameIn(['stdout', 'stderr', 'system'] as const, piece.stream, 'stdout'),
  data: piece.data,
  at: piece.at,
});

export const agentFromWire = (agent: fleet.Agent): Agent => ({
  agentId: agent.agentId,
  kind: nameIn(AGENT_KINDS, agent.kind, 'worker'),
  state: nameIn(AGENT_STATES, agent.state, 'suspect'),
  instanceId: agent.instanceId,
  sessionEpoch: agent.sessionEpoch,
  leaseRemainingMs: durationFromWire(agent.leaseRemaining) ?? 0,
  queues: agent.queues,
  slots: agent.slots,
  running: agent.running,
  labels: Object.fromEntries(agent.labels),
  cordoned: agent.cordoned,
  draining: agent.draining,
  hostname: agent.hostname,
  software: agent.software,
  connectedAt: agent.connectedAt,
  rttMs: durationFromWire(agent.rtt),
  loopLagMs: durationFromWire(agent.loopLag),
  streamNo: agent.streamNo,
  handlers: agent.handlers,
});

export const heldRunFromWire = (run: fleet.HeldRun): HeldRun => ({
  taskId: run.taskId,
  fencingToken: run.fencingToken,
  tryNumber: run.tryNumber,
  phase: run.phase,
});

export const coordinatorFromWire = (info: fleet.GetCoordinatorResponse): CoordinatorInfo => ({
  coordinatorId: info.coordinatorId,
  version: info.version,
  startedAt: info.startedAt,
  heartbeatIntervalMs: durationFromWire(info.heartbeatInterval) ?? 0,
  queuedTimeoutMs: durationFromWire(info.queuedTimeout) ?? 0,
  counters: Object.fromEntries(info.counters),
  alarms: info.alarms,
});
