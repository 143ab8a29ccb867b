import type { AgentId, Epoch, InstanceId, Nonce, StreamId, TaskId, Token } from '../kit/ids.js';
import type { Entry } from '../kit/inventory.js';
import type { MonoMs, ServiceMs, WallMs } from '../kit/time.js';
import type { SnapshotInput } from './dag/bundles.js';
import type { DagCall, DagFaultCode, DagReply } from './dag/calls.js';
import type { RunKey } from './dag/rows.js';
import type { Timetable } from './dag/timetable.js';
import type { Policy } from './policy.js';
import type { AgentKind, ProcessIdentity, QueueRow, TaskRow, TaskSpecRow } from './rows.js';
import type { Tally } from './rules.js';
import type { Selection, Steering, SteerSkip } from './steer.js';

/** Everything that can happen to the coordinator. `at` is when it was received, on the monotonic clock. */
export type Input =
  | StreamInput
  | CallInput
  | { readonly kind: 'tick' }
  /** Something of these runs has changed, and the rows that decisions on them need are read. */
  | { readonly kind: 'advance'; readonly runs: readonly RunKey[] }
  /** A step of retention: finished tasks were read, those over the limits are removed. */
  | { readonly kind: 'prune' }
  | { readonly kind: 'stall'; readonly ms: number };

export type StreamInput =
  | { readonly kind: 'hello'; readonly streamId: StreamId; readonly at: MonoMs; readonly hello: Hello }
  | { readonly kind: 'heartbeat'; readonly streamId: StreamId; readonly at: MonoMs; readonly beat: Heartbeat }
  | {
      readonly kind: 'goodbye';
      readonly streamId: StreamId;
      readonly endsSession: boolean;
      readonly reason: string;
    }
  | { readonly kind: 'stream_closed'; readonly streamId: StreamId }
  | SnapshotInput;

export interface Hello {
  readonly agentId: AgentId;
  readonly instanceId: InstanceId;
  readonly streamNo: bigint;
  readonly kind: AgentKind;
  readonly queues: readonly string[];
  readonly slots: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly handlers: readonly string[];
  /** Bundles that a DAG processor reads. */
  readonly bundles: readonly string[];
  /** Kinds of triggers that a triggerer can wait for. */
  readonly triggerKinds: readonly string[];
  readonly software: string;
  readonly hostname: string;
  readonly highestToken: Token;
  readonly highestEpoch: Epoch;
  readonly inventory: readonly Entry[];
  readonly reports: readonly Report[];
  readonly process: ProcessIdentity;
  readonly proof: PredecessorProof | null;
}

export interface PredecessorProof {
  readonly instanceId: InstanceId;
  readonly bootId: string;
  readonly lockDevice: bigint;
  readonly lockInode: bigint;
}

export interface Heartbeat {
  readonly seq: number;
  readonly applied: number;
  readonly reports: readonly Report[];
  readonly inventoryChanges: readonly Entry[];
  readonly inventoryCount: number;
  readonly inventoryHash: number;
  readonly startRequests: readonly StartRequest[];
  readonly freeSlots: number;
  readonly health: Health | null;
  /** The whole inventory instead of changes, chunks put together. */
  readonly fullInventory: readonly Entry[] | null;
  /** What a triggerer's triggers have come to; unset means nothing. */
  readonly triggerEvents?: readonly TriggerEvent[];
}

/** A trigger has fired, or cannot go on (P16). */
export interface TriggerEvent {
  readonly triggerId: string;
  readonly token: Token;
  /** Drawn by the triggerer; repetitions bear the same. */
  readonly eventId: string;
  /** JSON text. */
  readonly payload: string;
  /** Set instead of a payload when it cannot go on: the task's try fails with it. */
  readonly failure: TriggerFailure | null;
}

export interface TriggerFailure {
  /** A stable code. */
  readonly reason: string;
  readonly message: string;
}

export interface Health {
  readonly loopLagMs: number;
  readonly rttMs: number;
}

export interface StartRequest {
  readonly nonce: Nonce;
  readonly taskId: TaskId;
}

export type ReportKind = 'success' | 'skipped' | 'deferred' | 'failed' | 'killed' | 'never_started' | 'lost';

export interface Report {
  readonly token: Token;
  readonly taskId: TaskId;
  readonly kind: ReportKind;
  readonly exitCode: number | null;
  readonly reason: string;
  readonly message: string;
  readonly result: Uint8Array | null;
  readonly resultType: string;
  /** Of a failure: another try would fail the same way. */
  readonly final: boolean;
  /** How long the run lasted by its agent's clock, in milliseconds; unset when the agent does not say. */
  readonly ranMs?: number | undefined;
  /** Of a deferral: what the task waits for. */
  readonly deferral?: Deferral | undefined;
}

/** What a task waits for before its next segment starts (P16). */
export interface Deferral {
  /** Kind of the trigger. */
  readonly kind: string;
  /** JSON text. */
  readonly input: string;
  /** What the task's code wants to see again; JSON text, empty means nothing. */
  readonly state: string;
  /** From the deferral on, on the service clock; null means for ever. */
  readonly timeoutMs: number | null;
}

/** A call of the public API that changes something; answered once its effects are durable. */
export type CallInput =
  | { readonly kind: 'dag'; readonly callId: number; readonly call: DagCall }
  | { readonly kind: 'submit'; readonly callId: number; readonly tasks: readonly NewTask[] }
  | { readonly kind: 'cancel'; readonly callId: number; readonly taskId: TaskId; readonly reason: string }
  | {
      readonly kind: 'resolve';
      readonly callId: number;
      readonly taskId: TaskId;
      readonly verdict: ResolveVerdict;
      readonly reason: string;
    }
  | { readonly kind: 'retry'; readonly callId: number; readonly taskId: TaskId; readonly reason: string }
  | {
      readonly kind: 'steer';
      readonly callId: number;
      readonly steering: Steering;
      readonly chosen: Selection;
      /** Those that were found. */
      readonly taskIds: readonly TaskId[];
      readonly reason: string;
      /** Says what would be done, and does nothing. */
      readonly dryRun: boolean;
    }
  | {
      readonly kind: 'limit_queue';
      readonly callId: number;
      readonly queue: string;
      readonly limit: number | null;
    }
  | { readonly kind: 'cordon'; readonly callId: number; readonly agentId: AgentId }
  | { readonly kind: 'uncordon'; readonly callId: number; readonly agentId: AgentId }
  | {
      readonly kind: 'drain';
      readonly callId: number;
      readonly agentId: AgentId;
      readonly timeoutMs: number | null;
    };

export type ResolveVerdict = 'reassign' | 'fail' | 'succeed';

/** A checked submission: what the submitter chose, defaults filled in, with an id drawn for it. */
export type NewTask = Pick<
  TaskRow,
  | 'taskId'
  | 'queue'
  | 'priority'
  | 'requiredLabels'
  | 'handler'
  | 'partitionPolicy'
  | 'retries'
  | 'retryBackoff'
  | 'executionTimeoutMs'
  | 'queuedTimeoutMs'
  | 'killGraceMs'
  | 'holdTimeoutMs'
  | 'concurrencyKey'
  | 'concurrencyLimit'
  | 'startAfter'
  | 'startBefore'
  | 'idempotencyKey'
  | 'contentHash'
> & { readonly spec: TaskSpecRow };

/** What a call is answered. */
export type Reply =
  | {
      readonly kind: 'submitted';
      readonly tasks: readonly { readonly taskId: TaskId; readonly existing: boolean }[];
    }
  | { readonly kind: 'task'; readonly task: TaskRow }
  | { readonly kind: 'agent'; readonly agentId: AgentId }
  | { readonly kind: 'queue'; readonly queue: QueueRow }
  | {
      readonly kind: 'steered';
      readonly done: readonly TaskId[];
      readonly skipped: ReadonlyMap<SteerSkip, number>;
    }
  | DagReply
  | { readonly kind: 'refused'; readonly fault: CallFault };

export interface CallFault {
  readonly code:
    | DagFaultCode
    | 'TASK_NOT_FOUND'
    | 'AGENT_NOT_FOUND'
    | 'NO_LOST_TRY'
    | 'TASK_NOT_ENDED'
    | 'IDEMPOTENCY_CONFLICT'
    | 'TOO_MANY_LANES'
    | 'START_BEFORE_PASSED'
    | 'TOO_MANY_KEYS'
    | 'TOO_MANY_QUEUES';
  readonly what: string;
  readonly because: string;
  readonly try: string;
}

/** The world at the moment of a decision: clocks, policy and randomness come in from outside. */
export interface Context {
  readonly now: MonoMs;
  readonly wall: WallMs;
  readonly service: ServiceMs;
  /** Service clock at this coordinator's start or take-over (P11: an unknown last heartbeat counts as that). */
  readonly serviceStart: ServiceMs;
  readonly policy: Policy;
  readonly random: () => number;
  /** Draws the id of a task that the core makes; they sort in the order in which they are drawn. */
  readonly newTaskId: () => TaskId;
  /** When schedules are due. */
  readonly timetable: Timetable;
  /** Identity of this coordinator process: the holder of the sessions it grants. */
  readonly coordinatorId: string;
  /** Hears which row of a rule table decides; nothing depends on it. Default nobody. */
  readonly tally?: Tally | undefined;
}
