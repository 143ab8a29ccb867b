import { type Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { CallCode } from '../wire/status.js';
import { type TlsFault, tlsFaultOf } from '../wire/tls/faults.js';

/** Codes that this library gives itself, when no coordinator has said one, and the gRPC status nearest to each. */
export const CLIENT_STATUS = {
  COORDINATOR_UNREACHABLE: status.UNAVAILABLE,
  TLS_FAILED: status.UNAUTHENTICATED,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  CANCELLED: status.CANCELLED,
  UNIMPLEMENTED: status.UNIMPLEMENTED,
  INCOMPLETE_ANSWER: status.INTERNAL,
  INVALID_OPTIONS: status.INVALID_ARGUMENT,
  NOT_RUNNING: status.FAILED_PRECONDITION,
  STORE_LOCKED: status.FAILED_PRECONDITION,
  STORE_CORRUPT: status.DATA_LOSS,
  STORE_NEWER: status.FAILED_PRECONDITION,
  STORE_OLDER: status.FAILED_PRECONDITION,
  STORE_UNUSABLE: status.UNAVAILABLE,
  PORT_IN_USE: status.ALREADY_EXISTS,
  PORT_DENIED: status.PERMISSION_DENIED,
  HOST_UNKNOWN: status.INVALID_ARGUMENT,
  START_FAILED: status.INTERNAL,
} as const;

/** Every code of an error that this version knows; `docs/reference/errors.md` says when each is given. */
export type ErrorCode = CallCode | keyof typeof CLIENT_STATUS;

/** What a HoldfastError is made of. */
export interface HoldfastErrorFields {
  /** A code of `docs/reference/errors.md`, or one that only a newer coordinator knows. */
  readonly code: ErrorCode | (string & {});
  /** Number of the gRPC status. Default: that of the code, else 2 (unknown). */
  readonly grpcStatus?: number | undefined;
  /** What went wrong, in one sentence without a full stop. */
  readonly what: string;
  /** Why. Default empty. */
  readonly reason?: string | undefined;
  /** What to try. Default empty. */
  readonly advice?: string | undefined;
  /** The error behind this one, if any. */
  readonly cause?: unknown;
}

/** What went wrong, why, and what to try: the one error that this library throws for anything that a program may meet. */
export class HoldfastError extends Error {
  /** Always `HoldfastError`. */
  override readonly name = 'HoldfastError';
  /** Stable, such as `TASK_NOT_FOUND`; the same in gRPC metadata, logs and the reference of errors. */
  readonly code: ErrorCode | (string & {});
  /** Number of the gRPC status; the nearest one for an error that no coordinator has sent. */
  readonly grpcStatus: number;
  /** What went wrong, in one sentence. */
  readonly what: string;
  /** Why; empty when there is nothing to add. */
  readonly reason: string;
  /** What to try; empty when there is nothing to suggest. */
  readonly advice: string;

  /** An error of these fields; its `message` is what and why. */
  constructor(fields: HoldfastErrorFields) {
    super(fields.reason ? `${fields.what}: ${fields.reason}` : fields.what, { cause: fields.cause });
    const known = fields.code as keyof typeof CLIENT_STATUS;
    this.code = fields.code;
    this.grpcStatus = fields.grpcStatus ?? CLIENT_STATUS[known] ?? status.UNKNOWN;
    this.what = fields.what;
    this.reason = fields.reason ?? '';
    this.advice = fields.advice ?? '';
  }
}

/** Whether a later attempt of the same call may succeed without anybody's doing. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof HoldfastError)) return false;
  return isUnavailable(error) || error.grpcStatus === status.DEADLINE_EXCEEDED;
}

/** Whether the coordinator was not there, or said that it has too much to do just now. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof HoldfastError)) return false;
  return error.grpcStatus === status.UNAVAILABLE || error.code === 'OVERLOADED';
}

/** What the client knows about the call that failed. */
export interface FailedCall {
  readonly address: string;
  /** Whether the channel was connected when the call failed. */
  readonly connected: boolean;
  /** Whether the connection is to be secured by TLS. */
  readonly secured: boolean;
  /** The call's deadline in milliseconds; undefined without one. */
  readonly timeoutMs: number | undefined;
}

/** The error as this library throws it: the server's own words first, else what the status says. */
export function toHoldfastError(error: ServiceError, call: FailedCall): HoldfastError {
  const code = text(error.metadata, 'holdfast-code');
  if (code !== '') {
    return new HoldfastError({
      code,
      grpcStatus: error.code,
      what: error.details,
      reason: text(error.metadata, 'holdfast-because'),
      advice: text(error.metadata, 'holdfast-try'),
      cause: error,
    });
  }
  const timedOut = error.code === status.DEADLINE_EXCEEDED;
  const fault = error.code === status.UNAVAILABLE ? tlsFaultOf(error.details, call.secured) : null;
  if (fault !== null) return insecure(call, fault, error);
  if (error.code === status.UNAVAILABLE || (timedOut && !call.connected)) {
    return new HoldfastError({
      code: 'COORDINATOR_UNREACHABLE',
      what: `cannot reach the coordinator at ${call.address}`,
      reason: timedOut ? `there was no answer within ${call.timeoutMs} ms` : plainReason(error.details),
      advice: 'start one with `holdfast dev`, or name another with --coordinator HOST:PORT',
      cause: error,
    });
  }
  if (timedOut) return lateAnswer(call, error);
  if (error.code === status.UNIMPLEMENTED) {
    return new HoldfastError({
      code: 'UNIMPLEMENTED',
      what: `the server at ${call.address} does not know this call`,
      reason: error.details,
      advice: 'check that it is a Holdfast coordinator, and no older than this program',
      cause: error,
    });
  }
  const name = status[error.code] ?? 'UNKNOWN';
  return new HoldfastError({ code: name, grpcStatus: error.code, what: error.details || name, cause: error });
}

/** A connection that could not be secured; while its cause may pass by itself, the coordinator counts as out of reach. */
function insecure({ address }: FailedCall, fault: TlsFault, cause: ServiceError): HoldfastError {
  return new HoldfastError({
    code: fault.lasting ? 'TLS_FAILED' : 'COORDINATOR_UNREACHABLE',
    what: `cannot reach the coordinator at ${address}`,
    reason: fault.because,
    advice: fault.try,
    cause,
  });
}

/** The deadline of a call has passed. */
export function lateAnswer(call: Pick<FailedCall, 'address' | 'timeoutMs'>, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'DEADLINE_EXCEEDED',
    what: `the coordinator at ${call.address} did not answer in time`,
    reason: `the call had ${call.timeoutMs} ms`,
    advice: 'ask again, or allow more time with --timeout',
    cause,
  });
}

/** The caller's own signal has ended the call. */
export const cancelled = (): HoldfastError =>
  new HoldfastError({ code: 'CANCELLED', what: 'the call was cancelled by its caller' });

/** An answer without the `what` that was asked for: a bug of the coordinator. */
export const incomplete = (what: string): HoldfastError =>
  new HoldfastError({
    code: 'INCOMPLETE_ANSWER',
    what: `the coordinator answered without the ${what} that was asked for`,
  });

/** One trailing value. Metadata is ASCII, so sentences travel percent-encoded. */
function text(metadata: Metadata | undefined, name: string): string {
  const value = metadata?.get(name)[0]?.toString() ?? '';
  try {
    return decodeURIComponent(value);
  } catch {
    // Not encoded after all: a percent sign of its own.
    return value;
  }
}

/** grpc-js wraps the system's word into several layers; people need only the innermost. */
function plainReason(details: string): string {
  if (details.includes('ECONNREFUSED')) return 'the connection was refused: nothing listens there';
  if (
    details.includes('ENOTFOUND') ||
    details.includes('EAI_AGAIN') ||
    details.startsWith('Name resolution')
  ) {
    return 'the name of the host is not known';
  }
  if (details.includes('EHOSTUNREACH') || details.includes('ENETUNREACH'))
    return 'there is no route to the host';
  if (details.includes('ETIMEDOUT')) return 'the connection timed out';
  if (details.includes('ECONNRESET') || details.includes('Connection dropped'))
    return 'the connection was lost';
  return details;
}
