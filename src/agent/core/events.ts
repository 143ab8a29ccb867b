import type { Epoch, TaskId, Token } from '../../kit/ids.js';
import type { MonoMs } from '../../kit/time.js';
import type { Ack, Permit, Refused, Report, TriggerOutcome, TriggerStart, Up, Welcome } from './messages.js';

/** What can happen to an agent. Stream events carry the stream's number: those of an older stream are ignored (P5). */
export type AgentEvent =
  | { readonly kind: 'stream_opened'; readonly streamNo: bigint }
  | { readonly kind: 'welcome'; readonly streamNo: bigint; readonly welcome: Welcome }
  | { readonly kind: 'ack'; readonly streamNo: bigint; readonly ack: Ack }
  | { readonly kind: 'refused'; readonly streamNo: bigint; readonly refused: Refused }
  | { readonly kind: 'reconnect'; readonly streamNo: bigint; readonly delayMs: number }
  | { readonly kind: 'farewell'; readonly streamNo: bigint }
  | {
      readonly kind: 'stream_lost';
      readonly streamNo: bigint;
      readonly denied: boolean;
      readonly why: string;
    }
  /** A timer that the agent asked for has come, or just time to look. */
  | { readonly kind: 'tick' }
  /** A run's whole process group is reaped. */
  | { readonly kind: 'run_ended'; readonly report: Report }
  /** A trigger has fired, or cannot go on. */
  | { readonly kind: 'trigger_fired'; readonly event: TriggerOutcome }
  /** SIGTERM, or the operator's drain: the gate closes for good, runs may finish. */
  | { readonly kind: 'drain'; readonly timeoutMs: number | null }
  /** Whether task output still waits to be acknowledged: the goodbye waits for it. */
  | { readonly kind: 'output'; readonly pending: boolean };

/** What an agent wants done, in order. */
export type Effect =
  | { readonly kind: 'dial'; readonly streamNo: bigint; readonly afterMs: number; readonly why: string }
  | { readonly kind: 'hang_up'; readonly streamNo: bigint; readonly why: string }
  | { readonly kind: 'send'; readonly streamNo: bigint; readonly message: Up }
  /** Journal first, then start: the last check of the gate was just now. */
  | { readonly kind: 'start'; readonly permit: Permit }
  | {
      readonly kind: 'stop_run';
      readonly token: Token;
      readonly reason: RunStopReason;
      readonly graceMs: number;
    }
  | { readonly kind: 'forget_report'; readonly token: Token; readonly disposition: string }
  /** Remember the highest token and epoch ever seen (P18). */
  | { readonly kind: 'remember'; readonly highestToken: Token; readonly highestEpoch: Epoch }
  /** P11: when the guardian kills single_run work unless it is told a later instant. */
  | { readonly kind: 'renew_guardian'; readonly deadline: MonoMs }
  | { readonly kind: 'start_trigger'; readonly trigger: TriggerStart }
  | { readonly kind: 'stop_trigger'; readonly triggerId: string }
  /** P16: all of them, at once. */
  | { readonly kind: 'stop_triggers' }
  | { readonly kind: 'note'; readonly note: AgentNote }
  | { readonly kind: 'exit' };

export type RunStopReason = 'superseded' | 'cancelled' | 'timeout' | 'gate' | 'drain';

/** What people should hear of; nothing is decided on it. */
export type AgentNote =
  | { readonly kind: 'session'; readonly epoch: Epoch; readonly isNew: boolean; readonly heartbeatMs: number }
  | { readonly kind: 'gate_closed'; readonly running: number }
  | { readonly kind: 'gate_open' }
  | { readonly kind: 'stream_lost'; readonly why: string; readonly running: number }
  /**
   * A dial has failed; told at the first attempt, the second, the fourth, and so on. One that somebody has to do something
   * about (`denied`) is told each time: it is tried every half minute (P9).
   */
  | {
      readonly kind: 'unreachable';
      readonly why: string;
      readonly attempt: number;
      readonly denied: boolean;
    }
  | { readonly kind: 'refused'; readonly reason: string; readonly message: string; readonly delayMs: number }
  | { readonly kind: 'permit_void'; readonly taskId: TaskId; readonly token: Token; readonly why: string }
  | { readonly kind: 'stop_told'; readonly token: Token; readonly reason: string }
  | { readonly kind: 'late_report'; readonly token: Token; readonly disposition: string }
  | { readonly kind: 'triggers_stopped'; readonly count: number }
  | { readonly kind: 'event_refused'; readonly triggerId: string }
  | { readonly kind: 'inventory_asked' }
  | { readonly kind: 'draining'; readonly running: number }
  | { readonly kind: 'drained' };
