import * as sqlite from 'node:sqlite';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { StoreError } from '../store.js';
import { resultCode, storeError } from './errors.js';

/** What may be bound to a `?`. Anything else (a boolean, undefined, a date) is a bug that SQLite would swallow. */
export type Param = number | bigint | string | Uint8Array | null;

/** A row by column name. */
export type Columns = Readonly<Record<string, Param>>;

const TRANSACTION_NOT_OPEN = 1; // SQLITE_ERROR
/** Pages copied in one go: for so long a commit may have to wait for the copy, a millisecond or two. */
const BACKUP_STEP_PAGES = 64;
/** A copy whose first step meets an open transaction is begun again, so often at most. */
const BACKUP_BEGINNINGS = 1_000;
const NO_ERROR = 0; // SQLITE_OK
const STOPPED = new StoreError(
  'other',
  'the copy was not finished, because the store is closed; make it again',
);

/** How far a copy has come, in pages. */
export interface CopyProgress {
  readonly copied: number;
  readonly total: number;
}

/**
 * The one connection to the one file, and the only code that knows node:sqlite.
 *
 * POSIX locks belong to the process: should any other code of this process open the file and close it again (to copy
 * it, to look at it), the lock would silently be gone and a second coordinator could start. So nothing else may open
 * the file. Other connections of SQLite's own are safe, because SQLite keeps count of them.
 *
 * After a fault of the disk (`io`, `corrupt`) the connection refuses everything: what it holds in memory may be newer
 * than what the disk has, and a later success would prove nothing.
 */
export class Driver {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, Statement>();
  #fatal: StoreError | null = null;
  #closed = false;
  #stopping = false;

  /** `file` is a path; it is created if missing. Throws StoreError. */
  constructor(file: string, options: { readonly readOnly?: boolean } = {}) {
    try {
      this.#db = new DatabaseSync(file, { readOnly: options.readOnly ?? false });
    } catch (error) {
      throw storeError(`opening ${file}`, error);
    }
  }

  /** Whether it may still be used: neither closed nor given up. */
  get isUsable(): boolean {
    return !this.#closed && this.#fatal === null;
  }

  /** The prepared statement of this text, compiled once. */
  statement(sql: string, options: { readonly bigints?: boolean } = {}): Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const fresh = this.attempt('compiling a statement', () => {
      const prepared = this.#db.prepare(sql);
      if (options.bigints) prepared.setReadBigInts(true);
      return new Statement(this, prepared, sql);
    });
    this.#statements.set(sql, fresh);
    return fresh;
  }

  /** Runs statements without parameters. */
  exec(sql: string): void {
    this.attempt('a statement', () => this.#db.exec(sql));
  }

  /** Sets a pragma if a value is given, and returns what is in force. */
  pragma(name: string, value?: string | number): Param {
    const setting = value === undefined ? '' : ` = ${value}`;
    return this.attempt(`pragma ${name}`, () => {
      if (setting !== '') this.#db.prepare(`PRAGMA ${name}${setting}`).all();
      const row = this.#db.prepare(`PRAGMA ${name}`).get();
      return (row === undefined ? null : Object.values(row)[0]) as Param;
    });
  }

  /**
   * Runs `work` as one transaction: all of it is durable when this returns, nothing of it is there when this throws,
   * except after the fault `io` in COMMIT, when only the next opening tells.
   */
  transaction<T>(work: () => T): T {
    this.statement('BEGIN IMMEDIATE').run();
    try {
      const value = work();
      this.statement('COMMIT').run();
      return value;
    } catch (error) {
      this.#rollback();
      throw error;
    }
  }

  /** Runs a call of the driver; every error comes out as StoreError. */
  attempt<T>(what: string, call: () => T): T {
    this.check();
    try {
      return call();
    } catch (error) {
      throw this.note(storeError(what, error));
    }
  }

  /**
   * Copies everything committed to `file`, an empty file or none, while the connection goes on being used: a few pages at
   * a time, on another thread. Pages that change meanwhile are copied again as they are written, because it is this very
   * connection that writes them; so the copy is the state at its end. Whatever `tell` throws ends it. Throws StoreError.
   */
  async backup(file: string, tell: (progress: CopyProgress) => void): Promise<void> {
    this.check();
    if (typeof sqlite.backup !== 'function') {
      const because = `Node ${process.versions.node} cannot copy a database in use`;
      throw new StoreError('other', `the copy was not made, because ${because}; use Node 22.16 or newer`);
    }
    for (let beginning = 1; ; beginning++) {
      try {
        await sqlite.backup(this.#db, file, {
          rate: BACKUP_STEP_PAGES,
          progress: ({ totalPages, remainingPages }) => {
            if (this.#stopping) throw STOPPED;
            tell({ copied: totalPages - remainingPages, total: totalPages });
          },
        });
        return;
      } catch (error) {
        if (resultCode(error) !== NO_ERROR || beginning === BACKUP_BEGINNINGS || this.#stopping)
          throw storeError(`copying to ${file}`, error);
      }
    }
  }

  /** Ends a copy under way at its next step. */
  stopBackup(): void {
    this.#stopping = true;
  }

  /** Closes the file. Idempotent; never throws for a file that was given up. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#statements.clear();
    try {
      this.#db.close();
    } catch (error) {
      if (this.#fatal === null) throw storeError('closing the store', error);
    }
  }

  /** Throws the fault that it was given up for, or that it is closed. */
  check(): void {
    if (this.#closed)
      throw new StoreError('other', 'the store was used after it was closed; this is a bug, report it');
    if (this.#fatal === null) return;
    const { fault, message } = this.#fatal;
    throw new StoreError(fault, `the store was given up earlier, because ${message}`, { cause: this.#fatal });
  }

  /** Gives the connection up if the fault is one of the disk. */
  note(error: StoreError): StoreError {
    if (error.fault === 'io' || error.fault === 'corrupt') this.#fatal ??= error;
    return error;
  }

  /** SQLite has rolled back by itself after some errors; then there is no transaction left, and that is fine. */
  #rollback(): void {
    try {
      this.#db.exec('ROLLBACK');
    } catch (error) {
      if (resultCode(error) !== TRANSACTION_NOT_OPEN) this.#fatal ??= storeError('rolling back', error);
    }
  }
}

/** A prepared statement with positional parameters: one value for each `?`. Throws StoreError. */
export class Statement {
  readonly #driver: Driver;
  readonly #prepared: StatementSync;
  readonly #sql: string;
  readonly #count: number;

  constructor(driver: Driver, prepared: StatementSync, sql: string) {
    this.#driver = driver;
    this.#prepared = prepared;
    this.#sql = sql;
    this.#count = sql.split('?').length - 1;
  }

  // Each of these is called several times for every task: no closure for the error that never comes.

  /** Runs it and returns how many rows it changed. */
  run(...params: readonly Param[]): number {
    this.#checkParams(params);
    this.#driver.check();
    try {
      return Number(this.#prepared.run(...params).changes);
    } catch (error) {
      throw this.#driver.note(storeError('a write', error));
    }
  }

  /** The first row, if any. */
  get(...params: readonly Param[]): Columns | undefined {
    this.#checkParams(params);
    this.#driver.check();
    try {
      return this.#prepared.get(...params) as Columns | undefined;
    } catch (error) {
      throw this.#driver.note(storeError('a read', error));
    }
  }

  all(...params: readonly Param[]): readonly Columns[] {
    this.#checkParams(params);
    this.#driver.check();
    try {
      return this.#prepared.all(...params) as readonly Columns[];
    } catch (error) {
      throw this.#driver.note(storeError('a read', error));
    }
  }

  /**
   * All rows as lists of their columns, which costs half of what objects with names do. A statement is asked for these or
   * for the others, never for both.
   */
  lists(...params: readonly Param[]): readonly (readonly Param[])[] {
    const isAble = typeof this.#prepared.setReturnArrays === 'function';
    if (isAble) this.#prepared.setReturnArrays(true);
    const rows: readonly unknown[] = this.all(...params);
    // Node 22.14 and 22.15 know objects only.
    return isAble ? (rows as Param[][]) : rows.map((row) => Object.values(row as Columns));
  }

  /** node:sqlite binds NULL for what is missing and 1 for true; NaN would become NULL. */
  #checkParams(params: readonly Param[]): void {
    if (params.length !== this.#count)
      throw this.#wrong(`${params.length} parameters for ${this.#count} places`);
    for (const param of params) {
      if (param === null || typeof param === 'string' || typeof param === 'bigint') continue;
      if (typeof param === 'number' ? !Number.isFinite(param) : !ArrayBuffer.isView(param)) {
        throw this.#wrong(`a parameter of type ${typeof param} (${String(param)})`);
      }
    }
  }

  #wrong(how: string): StoreError {
    return new StoreError('other', `a statement got ${how}; this is a bug, report it: ${this.#sql}`);
  }
}
