import { StoreError } from '../store.js';
import { Driver, type Param } from './driver.js';
import { migrate, schemaOf, schemaOfProgram } from './migrate.js';
import { noteOwner, readOwner } from './owner.js';
import { checkOurs } from './schema.js';
import { SqliteStore } from './store.js';

export interface SqliteOptions {
  /** Path of the database file; its folder must exist. `-wal`, `-journal` and `.owner` stand beside it. */
  readonly file: string;
  /**
   * The largest file, in bytes, that is read through for damage when it was not closed in good order. Default 256 MiB,
   * half a second, or three from a cold disk; a larger one is only checked row by row as it is read. 0 turns it off.
   */
  readonly checkLimitBytes?: number;
}

const CHECK_LIMIT_BYTES = 256 * 1024 ** 2;

/**
 * In force for as long as the store is open, each read back at the start: [name, value to set, value in force].
 * Exclusive locking comes before everything else: it keeps a second coordinator out, and the WAL index in our own
 * memory. FULL syncs the WAL in each commit; what was acknowledged survives a power cut.
 */
const PRAGMAS: readonly (readonly [name: string, set: string | number, inForce: Param])[] = [
  ['locking_mode', 'EXCLUSIVE', 'exclusive'],
  ['journal_mode', 'WAL', 'wal'],
  ['synchronous', 'FULL', 2],
  // macOS: a plain fsync leaves the data in the drive's cache.
  ['fullfsync', 1, 1],
  // Pages; 4 MiB. A larger WAL folds more writes of one page into one, which saves no CPU that could be measured; a smaller
  // one makes shorter pauses, and every task that is on its way waits for them.
  ['wal_autocheckpoint', 1_024, 1_024],
  // Bytes; a WAL that a burst has blown up is cut back to this.
  ['journal_size_limit', 64 * 1024 ** 2, 64 * 1024 ** 2],
  // KiB, when negative. No larger: whenever an index was balanced, COMMIT looks through the whole cache. What is written
  // lies close together however much there is, and the rest is in the kernel's cache.
  ['cache_size', -8_192, -8_192],
  // Notices damaged pages when they are loaded instead of following wild offsets.
  ['cell_size_check', 1, 1],
  ['trusted_schema', 0, 0],
];

/**
 * Opens the store, creating or upgrading it. Throws StoreError: `locked` when another process (or this one) has it,
 * `newer`, `corrupt` (also for a file that is no database), `io`, `full`.
 */
export function openSqliteStore(options: SqliteOptions): SqliteStore {
  return new SqliteStore(openDriver(options));
}

/** The locked, checked and upgraded file, without the rows' meaning: for openSqliteStore() and tests of the file. */
export function openDriver(options: SqliteOptions): Driver {
  const { file } = options;
  const driver = new Driver(file);
  try {
    lock(driver, file);
    checkOurs(driver, file);
    for (const [name, set, inForce] of PRAGMAS) setPragma(driver, name, set, inForce);
    // Damage is found before the upgrade: neither the copy nor the new schema may be made of damaged pages.
    const isNew = schemaOf(driver, file) === 0;
    if (!isNew) checkAfterCrash(driver, file, options.checkLimitBytes ?? CHECK_LIMIT_BYTES);
    migrate(driver, file);
    driver.transaction(() => driver.exec('UPDATE opening SET closed_cleanly = 0'));
    noteOwner(file, process.pid);
    return driver;
  } catch (error) {
    driver.close();
    throw error;
  }
}

/**
 * A file that is there, as it is: locked, known to be ours and of the newest schema, with nothing upgraded and nobody
 * noted. For those who look at a stopped coordinator's data. Throws StoreError.
 */
export function openExisting(file: string): Driver {
  const driver = new Driver(file);
  try {
    lock(driver, file);
    checkOurs(driver, file);
    const found = schemaOf(driver, file);
    const newest = schemaOfProgram();
    if (found === newest) return driver;
    throw new StoreError(
      'older',
      `${file} is not read, because it has schema ${found} and this program reads ${newest}; ` +
        'start the coordinator on it once: it keeps a copy and upgrades',
    );
  } catch (error) {
    driver.close();
    throw error;
  }
}

/** The first write lock is never given back (locking_mode): from here on the file is ours or we have thrown. */
function lock(driver: Driver, file: string): void {
  try {
    driver.pragma('locking_mode', 'EXCLUSIVE');
    driver.transaction(() => driver.pragma('user_version'));
  } catch (error) {
    if (!(error instanceof StoreError) || error.fault !== 'busy') throw error;
    const pid = readOwner(file);
    const who =
      pid === null ? 'another process' : pid === process.pid ? 'this process itself' : `process ${pid}`;
    throw new StoreError(
      'locked',
      `${file} is not opened, because ${who} has it open; stop that coordinator first, or name another file`,
      { cause: error },
    );
  }
}

function setPragma(driver: Driver, name: string, set: string | number, inForce: Param): void {
  const found = driver.pragma(name, set);
  if (found === inForce) return;
  throw new StoreError(
    'other',
    `the store is not opened, because pragma ${name} is ${String(found)} and should be ${String(inForce)}; ` +
      'the file system may not support it: use a local disk',
  );
}

/**
 * A crash is when files get damaged, and closing in good order proves that the last owner saw no fault: so only after
 * a crash is the file read through. The mark is taken away once it is open and set again by close().
 */
function checkAfterCrash(driver: Driver, file: string, limitBytes: number): void {
  const clean = driver.statement('SELECT closed_cleanly FROM opening').get()?.closed_cleanly === 1;
  const bytes = Number(driver.pragma('page_count')) * Number(driver.pragma('page_size'));
  if (!clean && bytes <= limitBytes) {
    const found = driver.pragma('quick_check(1)');
    if (found !== 'ok') {
      throw new StoreError(
        'corrupt',
        `${file} is not opened, because it is damaged: ${String(found)}; keep it as it is and restore a backup`,
      );
    }
  }
}
