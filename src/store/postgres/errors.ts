import { StoreError, type StoreFault } from '../store.js';

/** Raised by our own functions in the database. */
export const WRONG_COUNT = 'HF409';
export const NOT_OWNER = 'HF403';

/** What PostgreSQL's SQLSTATE means for us: by the code, else by its class. `lost`: the connection is of no use any more. */
const CODES: Readonly<Record<string, StoreFault | 'lost'>> = {
  [WRONG_COUNT]: 'conflict',
  [NOT_OWNER]: 'locked',
  '23505': 'conflict', // unique_violation
  '40001': 'busy', // serialization_failure
  '40P01': 'busy', // deadlock_detected
  '55P03': 'busy', // lock_not_available
  '57014': 'busy', // query_canceled: a timeout of the server's, all is rolled back
  '53100': 'full', // disk_full
  '25006': 'lost', // read_only_sql_transaction: a standby, or a primary that was demoted
  '25P03': 'lost', // idle_in_transaction_session_timeout
  '26000': 'lost', // a statement that this session never came to know
  '57P01': 'lost', // admin_shutdown
  '57P02': 'lost', // crash_shutdown
  '57P03': 'lost', // cannot_connect_now
  '57P05': 'lost', // idle_session_timeout
  '53300': 'lost', // too_many_connections
  '58030': 'io', // io_error
};

const CLASSES: Readonly<Record<string, StoreFault | 'lost'>> = {
  '08': 'lost', // connection exceptions
  XX: 'corrupt', // internal_error, data_corrupted, index_corrupted
};

const ADVICE: Readonly<Record<StoreFault, string>> = {
  conflict: 'read the rows again and decide again',
  busy: 'try again',
  full: 'free some disk space of the database server; nothing was written',
  io: 'check the database server and the way to it, then start again',
  corrupt: 'look at the log of the database server, and restore a backup',
  locked: 'stop the other coordinator, or name another database or schema',
  newer: 'start the newer version of the program',
  older: 'start the coordinator on it once, which upgrades it',
  unknown: 'start again: it reads what is really there',
  other: 'report it with this message',
};

/** A connection that ended, or that may never answer: what was asked on it may have been done or not. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** The SQLSTATE of an error that the server sent; null when it came from this side. */
function sqlState(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  const { code } = error;
  // Errors of sockets have codes in words.
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code) ? code : null;
}

/** What the driver threw, as ours. `what` says what was being done. */
export function databaseError(what: string, error: unknown): StoreError | ConnectionLost {
  if (error instanceof StoreError || error instanceof ConnectionLost) return error;
  const code = sqlState(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === null) return new ConnectionLost(message, { cause: error });
  const fault = CODES[code] ?? CLASSES[code.slice(0, 2)] ?? 'other';
  if (fault === 'lost') return new ConnectionLost(message, { cause: error });
  return storeError(fault, what, `${message} (SQLSTATE ${code})`, error);
}

/** What, because, try: in one sentence. */
export function storeError(
  fault: StoreFault,
  what: string,
  because: string,
  cause?: unknown,
  advice = ADVICE[fault],
): StoreError {
  return new StoreError(fault, `${what} failed, because: ${because}; ${advice}`, { cause });
}
