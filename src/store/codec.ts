import type {
  AgentKind,
  AgentRow,
  ChargedLoss,
  HistoryRow,
  Loss,
  OpenPermit,
  PartitionPolicy,
  SessionRow,
  StopRequest,
  TaskRow,
  TaskSpecRow,
  TaskState,
  Work,
} from '../core/rows.js';
import type { AgentId, Epoch, InstanceId, Nonce, TaskId, Token } from '../kit/ids.js';
import type { ServiceMs, WallMs } from '../kit/time.js';
import { instanceTuple, readFixedInstance, readReady, readResumption } from './instance-codec.js';
import { StoreError } from './store.js';
import { TupleReader } from './tuple.js';

/*
 * Rows to their stored form and back, shared by the stores that keep text. A row is a JSON array without names: half
 * the size of an object and twice as fast, and this is the hottest code of a store. Each encoder stands beside its
 * decoder and both list the fields in one order; a field added later goes to the end, is read with a
 * default where it is missing, and needs a step of the schema, so that an older program does not open the file.
 */

const STATES: Readonly<Record<TaskState, true>> = {
  scheduled: true,
  queued: true,
  running: true,
  success: true,
  failed: true,
  up_for_retry: true,
  deferred: true,
  upstream_failed: true,
  skipped: true,
  cancelled: true,
};
const POLICIES: Readonly<Record<PartitionPolicy, true>> = { reassign: true, single_run: true, hold: true };
const KINDS: Readonly<Record<AgentKind, true>> = { worker: true, triggerer: true, dag_processor: true };

/** What was submitted, apart from what has a column of its own: encoded once, with version 1. */
export function encodeSubmitted(row: TaskRow): string {
  return JSON.stringify([
    row.requiredLabels,
    row.partitionPolicy,
    row.retries,
    row.retryBackoff.initialMs,
    row.retryBackoff.maxMs,
    row.executionTimeoutMs,
    row.queuedTimeoutMs,
    row.killGraceMs,
    row.holdTimeoutMs,
    row.contentHash,
    row.submittedAt,
    row.handler,
    row.startAfter,
    row.startBefore,
    row.concurrencyKey,
    row.concurrencyLimit,
    instanceTuple(row.instance),
  ]);
}

/** What changes while a task lives, apart from what has a column of its own. */
export function encodeProgress(row: TaskRow): string {
  return JSON.stringify([
    row.reason,
    row.message,
    row.tryNumber,
    row.retriesUsed,
    row.queuedSince,
    row.queuedMs,
    row.notBefore,
    row.neverStarted,
    row.open === null ? null : permitTuple(row.open),
    row.losses.map((loss) => [String(loss.token), loss.tryNumber, loss.agentId]),
    row.stopRequest === null ? null : [row.stopRequest.kind, row.stopRequest.reason, row.stopRequest.at],
    String(row.lastToken),
    row.lastAgentId,
    row.exitCode,
    row.resultType,
    row.endedAt,
    row.historyCount,
    row.retried,
    row.releaseAt,
    row.instance === null ? null : row.instance.ready,
    row.resume === null ? null : [row.resume.state, row.resume.event],
  ]);
}

function permitTuple(open: OpenPermit): readonly unknown[] {
  const { lost } = open;
  return [
    String(open.token),
    open.tryNumber,
    open.agentId,
    open.instanceId,
    String(open.epoch),
    String(open.nonce),
    open.permittedAt,
    open.permittedAtService,
    lost === null ? null : [lost.at, lost.heldUntil, lost.rule, lost.charged],
  ];
}

const readPermit = (r: TupleReader): OpenPermit => ({
  token: r.bigint() as Token,
  tryNumber: r.number(),
  agentId: r.text() as AgentId,
  instanceId: r.text() as InstanceId,
  epoch: r.bigint() as Epoch,
  nonce: r.bigint() as Nonce,
  permittedAt: r.number() as WallMs,
  permittedAtService: r.number() as ServiceMs,
  lost: r.tupleOrNull(readLoss),
});

const readLoss = (r: TupleReader): Loss => ({
  at: r.number() as WallMs,
  heldUntil: r.numberOrNull() as ServiceMs | null,
  rule: r.text(),
  charged: r.flag(),
});

const readChargedLoss = (r: TupleReader): ChargedLoss => ({
  token: r.bigint() as Token,
  tryNumber: r.number(),
  agentId: r.text() as AgentId,
});

const readStopRequest = (r: TupleReader): StopRequest => ({
  kind: r.word({ cancel: true, timeout: true, clear: true, mark_success: true, mark_failed: true }),
  reason: r.text(),
  at: r.number() as WallMs,
});

/** A task as its columns hold it. */
export interface StoredTask {
  readonly taskId: string;
  readonly version: number;
  readonly state: string;
  readonly queue: string;
  readonly priority: number;
  readonly rank: number;
  readonly idempotencyKey: string;
  readonly submitted: string;
  readonly progress: string;
  readonly result: Uint8Array | null;
}

/** Throws StoreError `corrupt` when the row does not have the form it was written in. */
export function decodeTask(stored: StoredTask): TaskRow {
  const what = `task ${stored.taskId}`;
  if (!Object.hasOwn(STATES, stored.state)) {
    throw new StoreError(
      'corrupt',
      `${what} has the unknown state ${stored.state}, so the row cannot be trusted`,
    );
  }
  // Two tuples, each read in the order of its encoder; one literal, because merging objects costs more than reading both.
  const s = new TupleReader(stored.submitted, what);
  const p = new TupleReader(stored.progress, what);
  return {
    taskId: stored.taskId as TaskId,
    version: stored.version,
    queue: stored.queue,
    priority: stored.priority,
    rank: stored.rank,
    idempotencyKey: stored.idempotencyKey,
    requiredLabels: s.textMap(),
    partitionPolicy: s.word(POLICIES),
    retries: s.number(),
    retryBackoff: { initialMs: s.number(), maxMs: s.number() },
    executionTimeoutMs: s.numberOrNull(),
    queuedTimeoutMs: s.number(),
    killGraceMs: s.number(),
    holdTimeoutMs: s.number(),
    contentHash: s.text(),
    submittedAt: s.number() as WallMs,
    handler: s.textOr(''),
    startAfter: s.numberOrNone() as WallMs | null,
    startBefore: s.numberOrNone() as WallMs | null,
    concurrencyKey: s.textOr(''),
    concurrencyLimit: s.numberOrNone() ?? 1,
    state: stored.state as TaskState,
    reason: p.text(),
    message: p.text(),
    tryNumber: p.number(),
    retriesUsed: p.number(),
    queuedSince: p.numberOrNull() as ServiceMs | null,
    queuedMs: p.number(),
    notBefore: p.numberOrNull() as ServiceMs | null,
    neverStarted: p.number(),
    open: p.tupleOrNull(readPermit),
    losses: p.tuples(readChargedLoss),
    stopRequest: p.tupleOrNull(readStopRequest),
    lastToken: p.bigint() as Token,
    lastAgentId: p.text() as AgentId | '',
    exitCode: p.numberOrNull(),
    resultType: p.text(),
    endedAt: p.numberOrNull() as WallMs | null,
    historyCount: p.number(),
    retried: p.numberOrNone() ?? 0,
    releaseAt: p.numberOrNone() as ServiceMs | null,
    instance: readReady(p, s.tupleOrNone(readFixedInstance)),
    resume: p.tupleOrNone(readResumption),
    result: stored.result,
  };
}

export function encodeSpec(row: TaskSpecRow): string {
  return JSON.stringify([...workTuple(row.work), row.traceparent, ...limitsTuple(row.work)]);
}

function workTuple(work: Work): readonly unknown[] {
  switch (work.kind) {
    case 'command':
      return [work.kind, work.argv, work.env, work.workingDirectory];
    case 'handler':
      return [work.kind, work.name, base64Of(work.input), work.inputType];
  }
}

export function decodeSpec(taskId: string, stored: string): TaskSpecRow {
  const r = new TupleReader(stored, `specification of task ${taskId}`);
  const work = readWork(r);
  const traceparent = r.text();
  // Beyond what rows of earlier schemas have.
  if (work.kind === 'handler') return { taskId: taskId as TaskId, work, traceparent };
  const limits = { memoryLimitBytes: r.numberOrNone(), cpuLimitMillis: r.numberOrNone() };
  return { taskId: taskId as TaskId, work: { ...work, ...limits }, traceparent };
}

const limitsTuple = (work: Work): readonly unknown[] =>
  work.kind === 'handler' ? [] : [work.memoryLimitBytes, work.cpuLimitMillis];

const UNLIMITED = { memoryLimitBytes: null, cpuLimitMillis: null };

function readWork(r: TupleReader): Work {
  const kind = r.word({ command: true, handler: true });
  switch (kind) {
    case 'command':
      return { kind, argv: r.texts(), env: r.textMap(), workingDirectory: r.text(), ...UNLIMITED };
    case 'handler':
      return { kind, name: r.text(), input: bytesOf(r.text()), inputType: r.text() };
  }
}

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
const base64Of = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');

export function encodeHistory(row: HistoryRow): string {
  return JSON.stringify([
    row.at,
    row.event,
    row.agentId,
    row.tryNumber,
    String(row.token),
    String(row.epoch),
    row.reason,
    row.message,
    row.offeredAt,
  ]);
}

export function decodeHistory(taskId: string, n: number, stored: string): HistoryRow {
  const r = new TupleReader(stored, `history ${n} of task ${taskId}`);
  return {
    taskId: taskId as TaskId,
    n,
    at: r.number() as WallMs,
    event: r.text(),
    agentId: r.text() as AgentId | '',
    tryNumber: r.number(),
    token: r.bigint() as Token,
    epoch: r.bigint() as Epoch,
    reason: r.text(),
    message: r.text(),
    offeredAt: r.numberOrNull() as WallMs | null,
  };
}

export function encodeAgent(row: AgentRow): string {
  return JSON.stringify([row.kind, String(row.epoch), row.cordoned, row.draining, row.drainUntil]);
}

export function decodeAgent(agentId: string, version: number, stored: string): AgentRow {
  const r = new TupleReader(stored, `agent ${agentId}`);
  return {
    agentId: agentId as AgentId,
    version,
    kind: r.word(KINDS),
    epoch: r.bigint() as Epoch,
    cordoned: r.flag(),
    draining: r.flag(),
    drainUntil: r.numberOrNull() as ServiceMs | null,
  };
}

export function encodeSession(row: SessionRow): string {
  const { bootId, lockDevice, lockInode, pid } = row.process;
  return JSON.stringify([
    String(row.epoch),
    row.agentId,
    row.instanceId,
    row.state,
    row.heartbeatMs,
    row.leaseMs,
    row.holder,
    String(row.streamNo),
    row.kind,
    row.queues,
    row.slots,
    row.labels,
    [bootId, String(lockDevice), String(lockInode), pid],
    row.hostname,
    row.software,
    row.grantedAt,
    row.endedAt,
    row.endReason,
    row.handlers,
    row.bundles,
    row.triggerKinds,
  ]);
}

export function decodeSession(version: number, stored: string): SessionRow {
  const r = new TupleReader(stored, 'a session');
  return {
    epoch: r.bigint() as Epoch,
    version,
    agentId: r.text() as AgentId,
    instanceId: r.text() as InstanceId,
    state: r.word({ live: true, failed: true, ended: true }),
    heartbeatMs: r.number(),
    leaseMs: r.number(),
    holder: r.text(),
    streamNo: r.bigint(),
    kind: r.word(KINDS),
    queues: r.texts(),
    slots: r.number(),
    labels: r.textMap(),
    process: r.tuple((p) => ({
      bootId: p.text(),
      lockDevice: p.bigint(),
      lockInode: p.bigint(),
      pid: p.number(),
    })),
    hostname: r.text(),
    software: r.text(),
    grantedAt: r.number() as WallMs,
    endedAt: r.numberOrNull() as WallMs | null,
    endReason: r.text(),
    handlers: r.textsOr([]),
    bundles: r.textsOr([]),
    triggerKinds: r.textsOr([]),
  };
}
