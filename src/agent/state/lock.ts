import { existsSync, mkdirSync, readFileSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/*
 * Node has no flock, but SQLite locks files: a tiny database, opened in exclusive mode, holds an OS lock that ends with
 * the process, however it ends. The holder's pid is the database's user_version, so that others can name it.
 *
 * POSIX lock trap: when any descriptor of the file is closed in the process that holds the lock, the lock is gone. So the
 * file is opened here only, never by a process that already holds it.
 */

/** What tells a state directory from every other (P5): the same lock file, on the same start of the same host. */
export interface LockIdentity {
  /** Of the host's present start; '' where the system tells none. */
  readonly bootId: string;
  readonly device: bigint;
  readonly inode: bigint;
}

/** A lock held until it is released or the process ends. */
export interface StateLock extends LockIdentity {
  readonly file: string;
  release(): void;
}

export type LockAttempt =
  | { readonly kind: 'held'; readonly lock: StateLock }
  | { readonly kind: 'inUse'; readonly pid: number | null; readonly text: string }
  | { readonly kind: 'failed'; readonly text: string };

/**
 * Files locked by this very process: a second attempt would open, and closing it would drop the first one's lock. The
 * databases are kept here too: one that nobody holds on to is collected, and its lock with it.
 */
const heldHere = new Map<string, DatabaseSync>();

/** SQLite's primary result codes that we tell apart. */
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;

/** The user_version's place in the header of a database file. */
const USER_VERSION_OFFSET = 60;

/** Takes the lock now or says who has it; makes the folder (only its owner may enter) and the file as needed. */
export function tryLock(lockFile: string): LockAttempt {
  let file = lockFile;
  try {
    const folder = dirname(resolve(lockFile));
    makeFolder(folder);
    file = join(realpathSync(folder), basename(lockFile));
  } catch (error) {
    return refuse(file, error);
  }
  if (heldHere.has(file)) return inUse(file, process.pid);
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(file);
    // No journal file beside it: there is nothing in the database that a crash could spoil.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; PRAGMA busy_timeout = 0');
    // Exclusive mode keeps the lock of this transaction beyond its end.
    database.exec(`BEGIN EXCLUSIVE; PRAGMA user_version = ${process.pid}; COMMIT`);
    return { kind: 'held', lock: held(file, database) };
  } catch (error) {
    closeQuietly(database);
    const code = (error as { errcode?: number }).errcode ?? 0;
    const primary = code & 0xff;
    return primary === SQLITE_BUSY || primary === SQLITE_LOCKED
      ? inUse(file, readHolder(file))
      : refuse(file, error);
  }
}

/**
 * Makes the folder and those above it; only its owner may enter. By hand: mkdir's own `recursive` never returns where a
 * file system answers ENOENT below a folder that exists (/proc does).
 */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) makeFolder(dirname(folder));
  mkdirSync(folder, { mode: 0o700 });
}

/** Of the host's present start: a pid of another start, or of another host, means nothing here. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** On these file systems a lock may not be seen by another host, and a dead host's lock may linger (P5: local only). */
const REMOTE_FILE_SYSTEMS = new Set([
  0x6969, // NFS
  0x517b, // SMB
  0xfe534d42, // SMB2
  0xff534d42, // CIFS
  0x01021997, // 9p
  0x00c36400, // Ceph
  0x0bd00bd0, // Lustre
  0x01161970, // GFS2
  0x7461636f, // OCFS2
  0x5346414f, // AFS
]);

export function isLocalFileSystem(path: string): boolean {
  return !REMOTE_FILE_SYSTEMS.has(statfsSync(path).type);
}

function held(file: string, database: DatabaseSync): StateLock {
  heldHere.set(file, database);
  // By name: stat opens nothing.
  const { dev, ino } = statSync(file, { bigint: true });
  const release = (): void => {
    if (!heldHere.delete(file)) return;
    database.close();
  };
  return { file, bootId: bootId(), device: dev, inode: ino, release };
}

function inUse(file: string, pid: number | null): LockAttempt {
  const by = pid === null ? '' : ` (pid ${pid})`;
  const text =
    `state directory ${dirname(file)} is in use by another agent${by}, which holds ${basename(file)}: ` +
    'stop that agent, or give this one a state directory of its own';
  return { kind: 'inUse', pid, text };
}

function refuse(file: string, error: unknown): LockAttempt {
  const text =
    `the lock ${file} cannot be taken: ${(error as Error).message}. ` +
    'The state directory must be writable, and on a local disk; a damaged lock file may be removed while no agent runs';
  return { kind: 'failed', text };
}

/** Only by a process that does not hold it. */
function readHolder(file: string): number | null {
  try {
    const header = readFileSync(file);
    return header.length < USER_VERSION_OFFSET + 4 ? null : header.readUInt32BE(USER_VERSION_OFFSET) || null;
  } catch {
    return null;
  }
}

function closeQuietly(database: DatabaseSync | null): void {
  try {
    database?.close();
  } catch {
    // It was never open.
  }
}
