import type { AgentId, Epoch, InstanceId, Nonce, TaskId, Token } from '../../kit/ids.js';
import type { Entry } from '../../kit/inventory.js';

/** What travels on the stream, as the agent's pure half knows it; agent/translate turns it into the proto's messages. */

export type AgentKind = 'worker' | 'triggerer' | 'dag_processor';
export type PartitionPolicy = 'reassign' | 'single_run' | 'hold';
export type ReportKind = 'success' | 'skipped' | 'deferred' | 'failed' | 'killed' | 'never_started' | 'lost';
export type StopReason = 'superseded' | 'cancelled' | 'timeout' | 'unknown';

/** Who the agent is; drawn once per process. */
export interface Identity {
  readonly agentId: AgentId;
  readonly instanceId: InstanceId;
  readonly kind: AgentKind;
  readonly queues: readonly string[];
  readonly slots: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly handlers: readonly string[];
  /** Bundles that a DAG processor reads; empty for the other kinds. */
  readonly bundles: readonly string[];
  /** Kinds of triggers that a triggerer can wait for; empty for the other kinds. */
  readonly triggerKinds: readonly string[];
  readonly software: string;
  readonly hostname: string;
  readonly process: ProcessIdentity;
  /** P5: set when the predecessor is proven dead. */
  readonly proof: (Omit<ProcessIdentity, 'pid'> & { readonly instanceId: InstanceId }) | null;
}

export interface ProcessIdentity {
  readonly bootId: string;
  readonly lockDevice: bigint;
  readonly lockInode: bigint;
  readonly pid: number;
}

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
  /** By the agent's wall clock, for people; null when it never started. */
  readonly startedAtMs: number | null;
  readonly endedAtMs: number;
  /** Of a deferral: what the task waits for. */
  readonly deferral?: Deferral | undefined;
}

/** What a task waits for before its next segment. */
export interface Deferral {
  /** Kind of the trigger. */
  readonly kind: string;
  /** JSON text. */
  readonly input: string;
  /** What the task's code wants to see again; JSON text, empty means nothing. */
  readonly state: string;
  /** In milliseconds; null means for ever. */
  readonly timeoutMs: number | null;
}

/** What a deferred task goes on with. */
export interface Resumption {
  /** JSON text. */
  readonly event: string;
  /** JSON text; empty means nothing. */
  readonly state: string;
}

/** A trigger to wait for, valid in its session while the gate is open (P16). */
export interface TriggerStart {
  readonly triggerId: string;
  readonly token: Token;
  readonly epoch: Epoch;
  readonly kind: string;
  /** JSON text. */
  readonly input: string;
  readonly taskId: TaskId;
  /** For how long the task had waited when this was said, in milliseconds. */
  readonly waitedMs: number;
}

/** What a trigger has come to. */
export interface TriggerOutcome {
  readonly triggerId: string;
  readonly token: Token;
  /** JSON text; ignored with a failure. */
  readonly payload: string;
  readonly failure: { readonly reason: string; readonly message: string } | null;
}

export type TriggerEvent = TriggerOutcome & { readonly eventId: string };

/** Which part of which DAG run a task is. */
export interface TaskInstance {
  readonly dagId: string;
  readonly runId: string;
  readonly taskId: string;
  /** -1 when it is not mapped. */
  readonly mapIndex: number;
}

export interface StartRequest {
  readonly nonce: Nonce;
  readonly taskId: TaskId;
}

export type Up =
  | { readonly kind: 'hello'; readonly hello: Hello }
  | { readonly kind: 'heartbeat'; readonly beat: Beat }
  | { readonly kind: 'goodbye'; readonly endsSession: boolean; readonly reason: string };

export interface Hello {
  readonly identity: Identity;
  readonly streamNo: bigint;
  readonly highestToken: Token;
  readonly highestEpoch: Epoch;
  readonly inventory: readonly Entry[];
  readonly reports: readonly Report[];
}

export interface Beat {
  readonly seq: number;
  readonly applied: number;
  readonly reports: readonly Report[];
  readonly inventoryChanges: readonly Entry[];
  readonly inventoryCount: number;
  readonly inventoryHash: number;
  readonly startRequests: readonly StartRequest[];
  readonly freeSlots: number;
  /** Round trip of the newest acknowledged heartbeat, in milliseconds; null when unknown. */
  readonly rttMs: number | null;
  readonly fullInventory: readonly Entry[] | null;
  readonly triggerEvents: readonly TriggerEvent[];
}

export interface Welcome {
  readonly epoch: Epoch;
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly gateMs: number;
  readonly verdicts: readonly Verdict[];
  readonly acknowledgements: readonly Acknowledgement[];
  readonly directive: Directive;
}

export type Verdict =
  | { readonly kind: 'keep' }
  | { readonly kind: 'stop'; readonly token: Token; readonly reason: StopReason }
  | { readonly kind: 'recorded'; readonly token: Token }
  | { readonly kind: 'never_start'; readonly token: Token; readonly nonce: Nonce };

export interface Acknowledgement {
  readonly token: Token;
  readonly disposition: 'recorded' | 'already_recorded' | 'stale' | 'foreign' | 'unknown';
}

export interface Permit {
  readonly nonce: Nonce;
  readonly token: Token;
  readonly epoch: Epoch;
  readonly taskId: TaskId;
  readonly tryNumber: number;
  readonly queue: string;
  readonly partitionPolicy: PartitionPolicy;
  readonly executionTimeoutMs: number | null;
  readonly killGraceMs: number;
  /** What to run; opaque to the agent's core. */
  readonly work: Work | null;
  readonly traceparent: string;
  /** Null at the start of a try. */
  readonly resumption: Resumption | null;
  /** Null for a task that belongs to no run. */
  readonly instance: TaskInstance | null;
}

export type Work = CommandWork | HandlerWork;

export interface CommandWork {
  readonly kind: 'command';
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  /** Memory of all its processes together, in bytes; null for no limit. */
  readonly memoryLimitBytes: number | null;
  /** In thousandths of a CPU; null for no limit. */
  readonly cpuLimitMillis: number | null;
}

export interface HandlerWork {
  readonly kind: 'handler';
  readonly name: string;
  readonly input: Uint8Array;
  /** Content type of the input; empty when there is none. */
  readonly inputType: string;
}

export interface Ack {
  readonly number: number;
  readonly received: number;
  readonly stops: readonly { readonly token: Token; readonly reason: StopReason }[];
  readonly cancellations: readonly { readonly token: Token; readonly reason: StopReason }[];
  readonly acknowledgements: readonly Acknowledgement[];
  readonly permits: readonly Permit[];
  readonly refusals: readonly { readonly nonce: Nonce; readonly reason: string }[];
  readonly voidTokens: readonly Token[];
  readonly offers: readonly { readonly taskId: TaskId; readonly queue: string }[];
  readonly withdrawals: readonly TaskId[];
  readonly directive: Directive | null;
  readonly sendFullInventory: boolean;
  readonly triggerStarts: readonly TriggerStart[];
  readonly triggerStops: readonly string[];
  readonly triggerAcks: readonly {
    readonly triggerId: string;
    readonly eventId: string;
    readonly taken: boolean;
  }[];
}

export interface Directive {
  readonly cordoned: boolean;
  readonly draining: boolean;
  readonly drainTimeoutMs: number | null;
}

export interface Refused {
  readonly reason: string;
  readonly message: string;
  readonly delayMs: number;
  readonly acknowledgements: readonly Acknowledgement[];
}
