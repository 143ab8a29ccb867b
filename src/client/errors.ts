import { type Metadata, type ServiceError, status } from '@grpc/grpc-js';

/** What went wrong, why, and what to try; the only error that the client throws for answers of the coordinator. */
export class HoldfastError extends Error {
  override readonly name = 'HoldfastError';
  /** Stable, such as `TASK_NOT_FOUND`; the same in gRPC metadata, logs and the reference of errors. */
  readonly code: string;
  /** Number of the gRPC status. */
  readonly grpcStatus: number;
  readonly what: string;
  /** Empty when there is nothing to add. */
  readonly because: string;
  /** A suggestion; empty when there is none. */
  readonly try: string;

  constructor(fields: {
    code: string;
    grpcStatus: number;
    what: string;
    because?: string;
    try?: string;
    cause?: unknown;
  }) {
    super(fields.because ? `${fields.what}: ${fields.because}` : fields.what, { cause: fields.cause });
    this.code = fields.code;
    this.grpcStatus = fields.grpcStatus;
    this.what = fields.what;
    this.because = fields.because ?? '';
    this.try = fields.try ?? '';
  }
}

/** Whether a later attempt of the same call may succeed without anybody's doing. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof HoldfastError)) return false;
  const { grpcStatus, code } = error;
  return (
    grpcStatus === status.UNAVAILABLE || grpcStatus === status.DEADLINE_EXCEEDED || code === 'OVERLOADED'
  );
}

/** What the client knows about the call that failed. */
export interface FailedCall {
  readonly address: string;
  /** Whether the channel was connected when the call failed. */
  readonly connected: boolean;
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
      because: text(error.metadata, 'holdfast-because'),
      try: text(error.metadata, 'holdfast-try'),
      cause: error,
    });
  }
  const timedOut = error.code === status.DEADLINE_EXCEEDED;
  if (error.code === status.UNAVAILABLE || (timedOut && !call.connected)) {
    return new HoldfastError({
      code: 'COORDINATOR_UNREACHABLE',
      grpcStatus: status.UNAVAILABLE,
      what: `cannot reach the coordinator at ${call.address}`,
      because: timedOut ? `there was no answer within ${call.timeoutMs} ms` : plainReason(error.details),
      try: 'start one with `holdfast dev`, or name another with --coordinator HOST:PORT',
      cause: error,
    });
  }
  if (timedOut) {
    return new HoldfastError({
      code: 'DEADLINE_EXCEEDED',
      grpcStatus: error.code,
      what: `the coordinator at ${call.address} did not answer in time`,
      because: `the call had ${call.timeoutMs} ms`,
      try: 'ask again, or allow more time with --timeout',
      cause: error,
    });
  }
  if (error.code === status.UNIMPLEMENTED) {
    return new HoldfastError({
      code: 'UNIMPLEMENTED',
      grpcStatus: error.code,
      what: `the server at ${call.address} does not know this call`,
      because: error.details,
      try: 'check that it is a Holdfast coordinator, and no older than this program',
      cause: error,
    });
  }
  const name = status[error.code] ?? 'UNKNOWN';
  return new HoldfastError({ code: name, grpcStatus: error.code, what: error.details || name, cause: error });
}

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
