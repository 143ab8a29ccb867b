import type { Backoff } from '../kit/backoff.js';
import type { AgentId, Epoch, InstanceId, Nonce, TaskId, Token } from '../kit/ids.js';
import type { ServiceMs, WallMs } from '../kit/time.js';
import type { Instance, Resumption } from './dag/rows.js';

/**
 * The durable rows. They are immutable values: a change is a new row with `version` one higher, and the store refuses
 * it unless the stored row still has the version it was decided on.
 */

export type AgentKind = 'worker' | 'triggerer' | 'dag_processor';

/** Airflow's names. `running` with `open.lost` set means that its agent is lost (P11). */
export type TaskState =
  | 'scheduled'
  | 'queued'
  | 'running'
  | 'success'
  | 'failed'
  | 'up_for_retry'
  | 'deferred'
  | 'upstream_failed'
  | 'skipped'
  | 'cancelled';

export type PartitionPolicy = 'reassign' | 'single_run' | 'hold';

/** What a worker does; opaque to the core. */
export interface CommandWork {
  readonly kind: 'command';
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Empty means a directory of the run's own. */
  readonly workingDirectory: string;
  /** Memory of all its processes together, in bytes; null for no limit. */
  readonly memoryLimitBytes: number | null;
  /** In thousandths of a CPU; null for no limit. */
  readonly cpuLimitMillis: number | null;
}

/** A function of the worker's own program, called by name. */
export interface HandlerWork {
  readonly kind: 'handler';
  readonly name: string;
  readonly input: Uint8Array;
  /** Content type of the input; empty when there is none. */
  readonly inputType: string;
}
export type Work = CommandWork | HandlerWork;

/** The part of a task that never changes and only its worker needs; stored once, apart from the hot row. */
export interface TaskSpecRow {
  readonly taskId: TaskId;
  readonly work: Work;
  readonly traceparent: string;
}

/** A task instance. */
export interface TaskRow {
  readonly taskId: TaskId;
  readonly version: number;

  readonly queue: string;
  readonly priority: number;
  readonly requiredLabels: Readonly<Record<string, string>>;
  /** Name of the handler that the worker must have; empty for a command. */
  readonly handler: string;
  readonly partitionPolicy: PartitionPolicy;
  readonly retries: number;
  readonly retryBackoff: Backoff;
  readonly executionTimeoutMs: number | null;
  readonly queuedTimeoutMs: number;
  readonly killGraceMs: number;
  readonly holdTimeoutMs: number;
  /** Tasks that share it run at most `concurrencyLimit` at once, in whichever queue; empty means none. */
  readonly concurrencyKey: string;
  /** At least 1. Where tasks of a key differ, the smallest limit of those that run, and of the one to start, counts. */
  readonly concurrencyLimit: number;
  /** Scheduled until then, by the coordinator's wall clock; null means queued at once. */
  readonly startAfter: WallMs | null;
  /** Fails unless its first try is permitted before this, by the coordinator's wall clock; null means no limit. */
  readonly startBefore: WallMs | null;
  /** Empty means none. */
  readonly idempotencyKey: string;
  /** SHA-256 of the submitted content, hex: tells a repeated submission from a different one; empty without a key. */
  readonly contentHash: string;
  readonly submittedAt: WallMs;

  readonly state: TaskState;
  /** Stable code of why the state is what it is; empty when there is nothing to say. */
  readonly reason: string;
  readonly message: string;
  /** 0 before the first permit. */
  readonly tryNumber: number;
  /** Its place among ready tasks, lowest first (rankOf); kept when it loses an agent, drawn anew for a retry. */
  readonly rank: number;
  /** Tries that failed by themselves and were retried for the user's sake. */
  readonly retriesUsed: number;
  /** While queued: since when (P12); else null. */
  readonly queuedSince: ServiceMs | null;
  /** Queued time gathered before `queuedSince` that still counts (P12), in milliseconds. */
  readonly queuedMs: number;
  /**
   * When a back-off ends: of a retry, or of a permit that was never started; while deferred, when the wait times out. Null
   * means neither.
   */
  readonly notBefore: ServiceMs | null;
  /** How often an operator has had it tried again after its end. */
  readonly retried: number;
  /** P11: a `single_run` try that an operator has ended may be alive until then; null when none is. */
  readonly releaseAt: ServiceMs | null;
  /** Permits never started since the last run that was; decides the back-off (P14). */
  readonly neverStarted: number;
  /** The open token, if any (P10). At most one (I1). */
  readonly open: OpenPermit | null;
  /** Charged losses: tries seen running that were lost with their agents (P14). */
  readonly losses: readonly ChargedLoss[];
  /** What was asked of it and waits for the agent's answer (P15). */
  readonly stopRequest: StopRequest | null;
  /** Newest token ever drawn for the task; 0 before the first permit. */
  readonly lastToken: Token;
  /** Agent of that token; empty before the first permit. */
  readonly lastAgentId: AgentId | '';
  readonly exitCode: number | null;
  readonly result: Uint8Array | null;
  readonly resultType: string;
  readonly endedAt: WallMs | null;
  /** How many history rows the task has: the next one's number. */
  readonly historyCount: number;
  /** What makes it an instance of a DAG run; null for a submitted task. All but `ready` is fixed. */
  readonly instance: Instance | null;
  /** The event that its next segment starts with; null for none. */
  readonly resume: Resumption | null;
}

/** A permit whose token is open. */
export interface OpenPermit {
  readonly token: Token;
  readonly tryNumber: number;
  readonly agentId: AgentId;
  readonly instanceId: InstanceId;
  /** The session it belongs to now: the granting one, or the one that adopted it (P10). */
  readonly epoch: Epoch;
  readonly nonce: Nonce;
  readonly permittedAt: WallMs;
  readonly permittedAtService: ServiceMs;
  /** Set when its agent is lost and the token is still open. */
  readonly lost: Loss | null;
}

/** The loss of an open permit's agent. */
export interface Loss {
  readonly at: WallMs;
  /** P11: until then no newer permit may be given; null when released. */
  readonly heldUntil: ServiceMs | null;
  /** Which row of P11's table decided. */
  readonly rule: string;
  /** Whether it counts for P14's budget when released. */
  readonly charged: boolean;
}

export interface ChargedLoss {
  readonly token: Token;
  readonly tryNumber: number;
  readonly agentId: AgentId;
}

export interface StopRequest {
  readonly kind: 'cancel' | 'timeout' | 'clear' | 'mark_success' | 'mark_failed';
  readonly reason: string;
  readonly at: WallMs;
}

/** One thing that happened to a task; append-only. */
export interface HistoryRow {
  readonly taskId: TaskId;
  /** From 0, without gaps. */
  readonly n: number;
  readonly at: WallMs;
  /** A stable name from the table in history.ts. */
  readonly event: string;
  readonly agentId: AgentId | '';
  readonly tryNumber: number;
  readonly token: Token;
  readonly epoch: Epoch;
  readonly reason: string;
  readonly message: string;
  readonly offeredAt: WallMs | null;
}

/** One unbroken lease of one instance. Written when granted, attached, ended; never per heartbeat. */
export interface SessionRow {
  readonly epoch: Epoch;
  readonly version: number;
  readonly agentId: AgentId;
  readonly instanceId: InstanceId;
  readonly state: 'live' | 'failed' | 'ended';
  /** H granted, in milliseconds. */
  readonly heartbeatMs: number;
  /** L granted, in milliseconds. */
  readonly leaseMs: number;
  /** The coordinator process that holds it. */
  readonly holder: string;
  readonly streamNo: bigint;
  readonly kind: AgentKind;
  readonly queues: readonly string[];
  readonly slots: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Names of the functions that it can call. */
  readonly handlers: readonly string[];
  /** Bundles that a DAG processor reads; empty for the other kinds. */
  readonly bundles: readonly string[];
  /** Kinds of triggers that a triggerer can wait for; empty for the other kinds. */
  readonly triggerKinds: readonly string[];
  readonly process: ProcessIdentity;
  readonly hostname: string;
  readonly software: string;
  readonly grantedAt: WallMs;
  readonly endedAt: WallMs | null;
  readonly endReason: string;
}

/** P5: what makes a process provably dead to its successor. An empty bootId proves nothing. */
export interface ProcessIdentity {
  readonly bootId: string;
  readonly lockDevice: bigint;
  readonly lockInode: bigint;
  readonly pid: number;
}

/** An agent by its configured name: what outlives its sessions. */
export interface AgentRow {
  readonly agentId: AgentId;
  readonly version: number;
  readonly kind: AgentKind;
  /** Its newest session. */
  readonly epoch: Epoch;
  readonly cordoned: boolean;
  readonly draining: boolean;
  /** While draining with a deadline: when runs are stopped. */
  readonly drainUntil: ServiceMs | null;
}

/** What an operator has said of a queue. */
export interface QueueRow {
  readonly queue: string;
  readonly version: number;
  /** Tasks that run at once; null means as many as there are slots. */
  readonly limit: number | null;
}

/**
 * What a store that has lost commits still has to go through (P18): a lease without permits, and for what a restore has
 * lost a leap of each counter, when it is next drawn from.
 */
export type RecoveryStep = 'wait' | 'leap_token' | 'leap_epoch';

/** Store-wide counters: the last value drawn of each, and the service clock as last written. */
export interface Counters {
  readonly token: Token;
  readonly epoch: Epoch;
  readonly serviceMs: ServiceMs;
  /** Absent or empty in a store that has lost nothing. */
  readonly recovery?: readonly RecoveryStep[];
}

/** What a webhook may be told of; the names are part of the public API. */
export type NotificationEvent = 'task.failed' | 'task.poison' | 'agent.failed' | 'storm.brake';

/** Every event, in the order in which those of one commit are told. */
export const NOTIFICATION_EVENTS: readonly NotificationEvent[] = [
  'task.failed',
  'task.poison',
  'agent.failed',
  'storm.brake',
];

/** Something that the outside is told of; written in the commit that it tells of, numbered by the store. */
export interface NotificationRow {
  /** The same each time it is sent: a receiver that has seen it ignores it. */
  readonly id: string;
  readonly event: NotificationEvent;
  readonly at: WallMs;
  readonly atService: ServiceMs;
  /** What it is about; delivered in order of their numbers among those of one subject. */
  readonly subject: string;
  readonly data: Readonly<Record<string, string | number | null | readonly string[]>>;
}

const FINAL: ReadonlySet<TaskState> = new Set([
  'success',
  'failed',
  'upstream_failed',
  'skipped',
  'cancelled',
]);

/** Whether a state is terminal: nothing leaves it but an operator's retry or clear. */
export function isFinal(state: TaskState): boolean {
  return FINAL.has(state);
}

/** What a task asks of the agent that runs it. */
export type Needs = Pick<TaskRow, 'queue' | 'requiredLabels' | 'handler'>;

function isEmpty(labels: Readonly<Record<string, string>>): boolean {
  for (const _ in labels) return false;
  return true;
}

/** What a task needs, in one canonical string: tasks of one group can be run by the same agents. */
export function groupOf({ queue, requiredLabels, handler }: Needs): string {
  if (handler === '' && isEmpty(requiredLabels)) return queue;
  const names = Object.keys(requiredLabels).sort();
  const pairs = names.map(
    (name) => `${encodeURIComponent(name)}=${encodeURIComponent(requiredLabels[name] ?? '')}`,
  );
  // Neither a queue's name nor an encoded label contains ? or #.
  return `${queue}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}${handler === '' ? '' : `#${handler}`}`;
}

/**
 * The lane of a task: its group and its concurrency key. What may run of one task of a lane, where and when, holds of all
 * of them, so the head of a lane never blocks another lane.
 */
export function laneOf(task: Needs & Pick<TaskRow, 'concurrencyKey'>): string {
  // No part of a group contains @.
  return groupOf(task) + (task.concurrencyKey === '' ? '' : `@${encodeURIComponent(task.concurrencyKey)}`);
}

/** What the tasks of a lane need, and their concurrency key, from its name. */
export function laneKeyParts(key: string): Needs & Pick<TaskRow, 'concurrencyKey'> {
  const [group = '', concurrencyKey = ''] = key.split('@');
  const [lane = '', handler = ''] = group.split('#');
  const [queue = '', query] = lane.split('?');
  const requiredLabels: Record<string, string> = {};
  for (const pair of query?.split('&') ?? []) {
    const [name = '', value = ''] = pair.split('=');
    requiredLabels[decodeURIComponent(name)] = decodeURIComponent(value);
  }
  return { queue, requiredLabels, handler, concurrencyKey: decodeURIComponent(concurrencyKey) };
}

/** Whether the task waits for an agent now: queued, and in no back-off. */
export function isReady({ state, notBefore }: Pick<TaskRow, 'state' | 'notBefore'>): boolean {
  return state === 'queued' && notBefore === null;
}

/** The lane in which the task waits for an agent now; null while it does not. */
export function readyLane(task: TaskRow): string | null {
  return isReady(task) ? laneOf(task) : null;
}
