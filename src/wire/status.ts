import { status } from '@grpc/grpc-js';

/** How each reason ends a stream. Refusals are messages; the status is for clients that look no further. */
export const HELLO_STATUS = {
  invalid: status.INVALID_ARGUMENT,
  unsupported: status.FAILED_PRECONDITION,
  in_use: status.ALREADY_EXISTS,
  old_stream: status.ABORTED,
  full: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  denied: status.PERMISSION_DENIED,
} as const;

export const CLOSE_STATUS = {
  replaced: { code: status.ABORTED, details: 'a newer stream of this instance has taken over' },
  session_ended: { code: status.ABORTED, details: 'the session is over; dial again for a new one' },
  silent: { code: status.DEADLINE_EXCEEDED, details: 'no heartbeat for 1.5 intervals; dial again' },
  permit_unanswered: {
    code: status.ABORTED,
    details: 'a void token was not answered; dial again with an inventory',
  },
  inventory_too_large: {
    code: status.RESOURCE_EXHAUSTED,
    details: 'the inventory has more entries than the limit',
  },
  slow: { code: status.RESOURCE_EXHAUSTED, details: 'SESSION_SLOW: the agent does not read what it is sent' },
  no_hello: { code: status.DEADLINE_EXCEEDED, details: 'no complete Hello in time' },
  malformed: { code: status.INVALID_ARGUMENT, details: 'a message makes no sense here' },
  stopping: { code: status.UNAVAILABLE, details: 'the coordinator is stopping; dial again' },
} as const;

export type StreamEnd = keyof typeof CLOSE_STATUS;

/** Stable codes of calls that are refused, and their gRPC status. */
export const CALL_STATUS = {
  TASK_NOT_FOUND: status.NOT_FOUND,
  AGENT_NOT_FOUND: status.NOT_FOUND,
  NO_LOST_TRY: status.FAILED_PRECONDITION,
  TASK_NOT_ENDED: status.FAILED_PRECONDITION,
  IDEMPOTENCY_CONFLICT: status.ALREADY_EXISTS,
  TOO_MANY_LANES: status.RESOURCE_EXHAUSTED,
  START_BEFORE_PASSED: status.FAILED_PRECONDITION,
  TOO_MANY_KEYS: status.RESOURCE_EXHAUSTED,
  TOO_MANY_QUEUES: status.RESOURCE_EXHAUSTED,
  DAG_NOT_FOUND: status.NOT_FOUND,
  DAG_PAUSED: status.FAILED_PRECONDITION,
  DAG_VERSION_NOT_FOUND: status.NOT_FOUND,
  RUN_NOT_FOUND: status.NOT_FOUND,
  RUN_EXISTS: status.ALREADY_EXISTS,
  INVALID_PARAMS: status.INVALID_ARGUMENT,
  TRIGGER_NOT_FOUND: status.NOT_FOUND,
  RUN_ENDED: status.FAILED_PRECONDITION,
  RUN_PRUNED: status.FAILED_PRECONDITION,
  TASK_NOT_IN_DAG: status.NOT_FOUND,
  POOL_NOT_FOUND: status.NOT_FOUND,
  ASSET_NOT_FOUND: status.NOT_FOUND,
  RUN_BUSY: status.RESOURCE_EXHAUSTED,
  EXTRA_TOO_LARGE: status.INVALID_ARGUMENT,
  BACKFILL_NOT_FOUND: status.NOT_FOUND,
  BACKFILL_ENDED: status.FAILED_PRECONDITION,
  BACKFILL_EXISTS: status.ALREADY_EXISTS,
  NO_INSTANTS: status.FAILED_PRECONDITION,
  TOO_MANY_INSTANTS: status.INVALID_ARGUMENT,
  INVALID_REQUEST: status.INVALID_ARGUMENT,
  INVALID_TASK: status.INVALID_ARGUMENT,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  STORE_FULL: status.RESOURCE_EXHAUSTED,
  BACKUP_EXISTS: status.ALREADY_EXISTS,
  BACKUP_UNDER_WAY: status.ABORTED,
  BACKUP_FAILED: status.FAILED_PRECONDITION,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  STOPPING: status.UNAVAILABLE,
  INTERNAL: status.INTERNAL,
} as const;

export type CallCode = keyof typeof CALL_STATUS;
