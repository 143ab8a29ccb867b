import type {
  Agent,
  AgentDescription,
  CoordinatorInfo,
  Explanation,
  InstanceName,
  Task,
} from '../client/index.js';

/**
 * The documented JSON of the command line: camelCase, RFC 3339 times, 64-bit numbers as strings. A text that is not
 * there is null; a number or token that is not there yet is 0.
 */
export type Shape = Readonly<Record<string, unknown>>;

export const orNull = (text: string | undefined): string | null =>
  text === undefined || text === '' ? null : text;
export const time = (at: Date | undefined): string | null => at?.toISOString() ?? null;

/** A task; `complete` adds what only a single read carries. */
export function taskShape(task: Task, complete: boolean): Shape {
  const { spec } = task;
  return {
    taskId: task.taskId,
    state: task.state,
    queue: task.queue,
    priority: spec.priority ?? 0,
    agentId: orNull(task.agentId),
    tryNumber: task.tryNumber,
    fencingToken: String(task.fencingToken),
    reason: orNull(task.reason),
    message: orNull(task.message),
    exitCode: task.exitCode ?? null,
    submittedAt: time(task.submittedAt),
    endedAt: time(task.endedAt),
    lost:
      task.lost === undefined
        ? null
        : { at: time(task.lost.at), agentId: orNull(task.lost.agentId), heldForMs: task.lost.heldForMs },
    lostTries: task.lostTries,
    cancelRequested: task.cancelRequested,
    instance: task.instance === undefined ? null : instanceNameShape(task.instance),
    progress:
      task.progress === undefined
        ? null
        : {
            fraction: task.progress.fraction ?? null,
            message: orNull(task.progress.message),
            at: time(task.progress.at),
          },
    command: spec.command ?? null,
    handler: spec.handler ?? null,
    ...inputShape(spec),
    env: spec.env ?? {},
    workingDirectory: orNull(spec.workingDirectory),
    memoryLimitBytes: spec.memoryLimitBytes ?? null,
    cpuLimitMillis: spec.cpuLimitMillis ?? null,
    retries: spec.retries ?? 0,
    retryBackoff: {
      initialMs: spec.retryBackoff?.initialMs ?? null,
      maxMs: spec.retryBackoff?.maxMs ?? null,
    },
    executionTimeoutMs: spec.executionTimeoutMs ?? null,
    queuedTimeoutMs: spec.queuedTimeoutMs ?? null,
    partitionPolicy: spec.partitionPolicy ?? 'reassign',
    killGraceMs: spec.killGraceMs ?? null,
    holdTimeoutMs: spec.holdTimeoutMs ?? null,
    concurrencyKey: orNull(spec.concurrencyKey),
    concurrencyLimit: spec.concurrencyLimit ?? null,
    startAfter: time(spec.startAfter),
    startBefore: time(spec.startBefore),
    requiredLabels: spec.requiredLabels ?? {},
    idempotencyKey: orNull(spec.idempotencyKey),
    traceparent: orNull(spec.traceparent),
    ...(complete ? { ...resultShape(task), history: task.history.map(historyShape) } : {}),
  };
}

/** Which instance of which run something is. */
export const instanceNameShape = ({ dagId, runId, task, mapIndex }: InstanceName): Shape => ({
  ...{ dagId, runId, task, mapIndex: mapIndex ?? null },
});

/** A handler's input: JSON as it is, bytes in base64. */
function inputShape({ input, inputType }: Task['spec']): Shape {
  if (!ArrayBuffer.isView(input)) return { input: input ?? null, inputType: orNull(inputType) };
  return { ...base64Of(input), inputType: orNull(inputType) };
}

const base64Of = (bytes: ArrayBufferView): Shape => ({
  input: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
  inputEncoding: 'base64',
});

const historyShape = (event: Task['history'][number]): Shape => ({
  at: time(event.at),
  event: event.event,
  agentId: orNull(event.agentId),
  tryNumber: event.tryNumber,
  fencingToken: String(event.fencingToken),
  sessionEpoch: String(event.sessionEpoch),
  reason: orNull(event.reason),
  message: orNull(event.message),
  offeredAt: time(event.offeredAt),
});

/** The result as JSON when it is JSON, else as text when it is text, else in base64 with `resultEncoding`. */
export function resultShape(task: Pick<Task, 'result' | 'resultType'>): Shape {
  if (task.resultType === '') return { result: null, resultType: null };
  const { resultType } = task;
  const text = textOf(task.result);
  if (text === undefined) {
    return { result: Buffer.from(task.result).toString('base64'), resultType, resultEncoding: 'base64' };
  }
  if (/^application\/([\w.+-]+\+)?json\b/i.test(resultType)) {
    try {
      return { result: JSON.parse(text) as unknown, resultType };
    } catch {
      // Its author said JSON and wrote something else: the text is still worth showing.
    }
  }
  return { result: text, resultType };
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export const explanationShape = (explanation: Explanation): Shape => ({
  taskId: orNull(explanation.task.taskId),
  state: explanation.task.state,
  summary: explanation.summary,
  findings: explanation.findings.map((finding) => ({
    code: finding.code,
    message: finding.message,
    try: orNull(finding.try),
  })),
  next: explanation.next.map((step) => ({ code: step.code, inMs: step.inMs, message: step.message })),
  guarantee: explanation.guarantee,
});

export const agentShape = (agent: Agent): Shape => ({
  agentId: agent.agentId,
  kind: agent.kind,
  state: agent.state,
  instanceId: orNull(agent.instanceId),
  sessionEpoch: String(agent.sessionEpoch),
  leaseRemainingMs: agent.leaseRemainingMs,
  queues: agent.queues,
  slots: agent.slots,
  running: agent.running,
  labels: agent.labels,
  cordoned: agent.cordoned,
  draining: agent.draining,
  hostname: orNull(agent.hostname),
  software: orNull(agent.software),
  connectedAt: time(agent.connectedAt),
  rttMs: agent.rttMs ?? null,
  loopLagMs: agent.loopLagMs ?? null,
  streamNo: String(agent.streamNo),
  handlers: agent.handlers,
});

export const agentDescriptionShape = ({ agent, runs }: AgentDescription): Shape => ({
  ...agentShape(agent),
  runs: runs.map((run) => ({
    taskId: run.taskId,
    fencingToken: String(run.fencingToken),
    tryNumber: run.tryNumber,
    phase: run.phase,
  })),
});

export const coordinatorShape = (address: string, info: CoordinatorInfo): Shape => ({
  status: 'serving',
  address,
  coordinatorId: info.coordinatorId,
  version: info.version,
  startedAt: time(info.startedAt),
  heartbeatIntervalMs: info.heartbeatIntervalMs,
  queuedTimeoutMs: info.queuedTimeoutMs,
  counters: Object.fromEntries(Object.entries(info.counters).map(([name, value]) => [name, String(value)])),
  alarms: info.alarms,
});
