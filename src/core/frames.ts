import type { AgentId, Epoch, Nonce, StreamId, TaskId, Token } from '../kit/ids.js';
import type { BundleHold, SnapshotAnswer } from './dag/draft.js';
import type { Instance, Resumption } from './dag/rows.js';
import type { AgentKind, PartitionPolicy } from './rows.js';

/** What the coordinator says on a stream, as the core decides it; server/translate turns it into the proto's messages. */
export type Frame =
  | { readonly kind: 'welcome'; readonly streamId: StreamId; readonly welcome: Welcome }
  | { readonly kind: 'ack'; readonly streamId: StreamId; readonly ack: Ack }
  | { readonly kind: 'refused'; readonly streamId: StreamId; readonly refused: Refused }
  | { readonly kind: 'farewell'; readonly streamId: StreamId }
  | { readonly kind: 'bundle_hold'; readonly streamId: StreamId; readonly hold: BundleHold }
  | { readonly kind: 'bundle_answer'; readonly streamId: StreamId; readonly answer: SnapshotAnswer }
  | { readonly kind: 'close'; readonly streamId: StreamId; readonly reason: CloseReason };

/** Why the coordinator ends a stream; the status of each stands in wire/status.ts. */
export type CloseReason =
  | 'replaced'
  | 'session_ended'
  | 'silent'
  | 'permit_unanswered'
  | 'inventory_too_large';

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
  | { readonly kind: 'keep'; readonly token: Token; readonly nonce: Nonce }
  | { readonly kind: 'stop'; readonly token: Token; readonly reason: StopReason }
  | { readonly kind: 'recorded'; readonly token: Token }
  | { readonly kind: 'never_start'; readonly token: Token; readonly nonce: Nonce };

export type StopReason = 'superseded' | 'cancelled' | 'timeout' | 'unknown';

export interface Stop {
  readonly token: Token;
  readonly reason: StopReason;
}

export type Disposition = 'recorded' | 'already_recorded' | 'stale' | 'foreign' | 'unknown';

export interface Acknowledgement {
  readonly token: Token;
  readonly disposition: Disposition;
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
  /** The event that the task has waited for; null at the start of a try. */
  readonly resumption: Resumption | null;
  readonly instance: Instance | null;
}

export type RefusalReason =
  | 'task_unknown'
  | 'not_offered'
  | 'offered_elsewhere'
  | 'already_permitted'
  | 'not_queued'
  | 'no_free_slot'
  | 'concurrency_limit'
  | 'cordoned'
  | 'suspect'
  | 'inventory_unresolved'
  | 'recovering'
  | 'closed';

export interface Refusal {
  readonly nonce: Nonce;
  readonly reason: RefusalReason;
}

export interface Offer {
  readonly taskId: TaskId;
  readonly queue: string;
}

export interface Directive {
  readonly cordoned: boolean;
  readonly draining: boolean;
  /** From now; null means no deadline. */
  readonly drainTimeoutMs: number | null;
}

/** One acknowledgement with all there is to say, in the order in which the agent applies it. */
export interface Ack {
  readonly number: number;
  readonly received: number;
  readonly stops: readonly Stop[];
  readonly cancellations: readonly Stop[];
  readonly acknowledgements: readonly Acknowledgement[];
  readonly permits: readonly Permit[];
  readonly refusals: readonly Refusal[];
  readonly voidTokens: readonly Token[];
  readonly offers: readonly Offer[];
  readonly withdrawals: readonly TaskId[];
  readonly directive: Directive | null;
  readonly sendFullInventory: boolean;
  readonly triggerStarts: readonly TriggerStart[];
  readonly triggerStops: readonly string[];
  readonly triggerAcks: readonly TriggerAck[];
}

/** Assigns a trigger (P16). */
export interface TriggerStart {
  readonly triggerId: string;
  readonly token: Token;
  readonly epoch: Epoch;
  readonly kind: string;
  /** JSON text. */
  readonly input: string;
  readonly taskId: TaskId;
  /** How long it has waited by now, in milliseconds by the coordinator's wall clock. */
  readonly waitedMs: number;
}

/** Answers a trigger event. */
export interface TriggerAck {
  readonly triggerId: string;
  readonly eventId: string;
  /** False: it has changed nothing. */
  readonly taken: boolean;
}

export type HelloRefusal = 'unsupported' | 'in_use' | 'old_stream' | 'full' | 'unavailable';

export interface Refused {
  readonly reason: HelloRefusal;
  readonly message: string;
  readonly delayMs: number;
  readonly acknowledgements: readonly Acknowledgement[];
}

/** Something that operators and logs should hear of; nothing is decided on it. */
export type Note =
  | {
      readonly kind: 'session_granted';
      readonly agentId: AgentId;
      readonly epoch: Epoch;
      readonly agentKind: AgentKind;
    }
  | {
      readonly kind: 'stream_attached';
      readonly agentId: AgentId;
      readonly epoch: Epoch;
      readonly streamNo: bigint;
    }
  | { readonly kind: 'agent_suspect'; readonly agentId: AgentId; readonly epoch: Epoch }
  | {
      readonly kind: 'agent_failed';
      readonly agentId: AgentId;
      readonly epoch: Epoch;
      readonly lostRuns: number;
      /** Since its last heartbeat; since the coordinator's start when it has heard none. */
      readonly silentMs: number;
    }
  | {
      readonly kind: 'session_ended';
      readonly agentId: AgentId;
      readonly epoch: Epoch;
      readonly reason: string;
    }
  | { readonly kind: 'agent_forgotten'; readonly agentId: AgentId }
  | { readonly kind: 'storm_brake'; readonly failed: number; readonly alive: number }
  | {
      readonly kind: 'late_report';
      readonly agentId: AgentId;
      readonly taskId: TaskId;
      readonly token: Token;
      readonly disposition: Disposition;
      readonly reported: string;
    }
  | {
      /** A run was seen to have gone on beside a newer one of its task. */
      readonly kind: 'overlap';
      readonly agentId: AgentId;
      readonly taskId: TaskId;
      readonly token: Token;
      readonly newer: Token;
      readonly partitionPolicy: PartitionPolicy;
      readonly atMostMs: number;
    }
  | {
      readonly kind: 'run_adopted';
      readonly agentId: AgentId;
      readonly taskId: TaskId;
      readonly token: Token;
    }
  | { readonly kind: 'inventory_mismatch'; readonly agentId: AgentId; readonly epoch: Epoch }
  | { readonly kind: 'poison'; readonly taskId: TaskId; readonly agentIds: readonly AgentId[] }
  | {
      readonly kind: 'bundle_held';
      readonly bundle: string;
      readonly agentId: AgentId;
      readonly epoch: Epoch;
    }
  | {
      readonly kind: 'snapshot_in_force';
      readonly bundle: string;
      readonly agentId: AgentId;
      readonly epoch: Epoch;
      readonly sequence: bigint;
      readonly dags: number;
      readonly changed: number;
      readonly gone: number;
      readonly importErrors: number;
      /** Pools without slots that its new definitions name: tasks wait until somebody gives them some. At most ten. */
      readonly closedPools: readonly string[];
    }
  | {
      readonly kind: 'snapshot_refused';
      readonly bundle: string;
      readonly agentId: AgentId;
      readonly sequence: bigint;
      readonly message: string;
    }
  | { readonly kind: 'commits_lost'; readonly agentId: AgentId; readonly highestToken: Token };
