import { StoreError, type StoreFault } from '../store.js';

/** SQLite's extended result codes that say more than their primary code (the lowest byte) does. */
const EXTENDED: Readonly<Record<number, StoreFault>> = {
  1555: 'conflict', // SQLITE_CONSTRAINT_PRIMARYKEY
  2067: 'conflict', // SQLITE_CONSTRAINT_UNIQUE
  2579: 'conflict', // SQLITE_CONSTRAINT_ROWID
  3082: 'other', // SQLITE_IOERR_NOMEM: memory, not the disk
};

const PRIMARY: Readonly<Record<number, StoreFault>> = {
  3: 'io', // SQLITE_PERM
  5: 'busy', // SQLITE_BUSY
  6: 'busy', // SQLITE_LOCKED
  8: 'io', // SQLITE_READONLY
  10: 'io', // SQLITE_IOERR
  11: 'corrupt', // SQLITE_CORRUPT
  13: 'full', // SQLITE_FULL
  14: 'io', // SQLITE_CANTOPEN
  15: 'busy', // SQLITE_PROTOCOL
  24: 'corrupt', // SQLITE_FORMAT
  26: 'corrupt', // SQLITE_NOTADB
};

/**
 * The extended result code of an error thrown by the driver; null when it is not SQLite's. Asks for the field, not for
 * the class: under a test runner the driver's errors are of another realm's class.
 */
export function resultCode(error: unknown): number | null {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return null;
  return typeof error.errcode === 'number' ? error.errcode : null;
}

/** The fault that an extended result code stands for. */
export function faultOf(code: number): StoreFault {
  return EXTENDED[code] ?? PRIMARY[code & 0xff] ?? 'other';
}

const ADVICE: Readonly<Record<StoreFault, string>> = {
  conflict: 'read the rows again and decide again',
  busy: 'try again',
  full: 'free some disk space; nothing was written',
  io: 'check the disk, the folder and its permissions, then start again',
  corrupt: 'keep the file as it is and restore a backup',
  locked: 'stop the other coordinator, or use another file',
  newer: 'start the newer version of the program',
  older: 'start the coordinator on it once, which upgrades it',
  unknown: 'read the rows again before deciding',
  other: 'report it with this message',
};

/** Wraps whatever the driver threw. `what` says what was being done. */
export function storeError(what: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const code = resultCode(error);
  const fault = code === null ? 'other' : faultOf(code);
  const because = String(error);
  const number = code === null ? '' : ` (SQLite result ${code})`;
  return new StoreError(fault, `${what} failed, because: ${because}${number}; ${ADVICE[fault]}`, {
    cause: error,
  });
}

/** The row is not stored with the version that the write was decided on. */
export function conflict(what: string, version: number): StoreError {
  return new StoreError(
    'conflict',
    `${what} is not written, because it is not stored with version ${version}; read it again and decide again`,
  );
}
