import { isAbsolute } from 'node:path';
import type { Clock } from '../engine/clock.js';
import type { Log } from '../kit/log.js';
import { between } from '../kit/time.js';
import { type Store, StoreError } from '../store/store.js';
import { Fault } from './fault.js';

/** A finished copy of the database. */
export interface BackupMade {
  readonly file: string;
  readonly pages: number;
  readonly elapsedMs: number;
}

/** Backups of the store in use, one at a time: each reads the whole file, and two would be twice as slow. */
export class Backups {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Log;
  #underWay: string | null = null;

  constructor(store: Store, clock: Clock, log: Log) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
  }

  /** Writes a copy to `file`. Throws Fault. */
  async make(file: string): Promise<BackupMade> {
    if (!isAbsolute(file)) {
      const because = 'the coordinator has a working directory of its own';
      throw new Fault(
        'INVALID_REQUEST',
        `the path ${JSON.stringify(file)} is not absolute`,
        because,
        'start it with /',
      );
    }
    if (this.#underWay !== null) {
      const because = `the copy to ${this.#underWay} is not finished`;
      throw new Fault('BACKUP_UNDER_WAY', 'no second backup is begun', because, 'wait for it to end');
    }
    this.#underWay = file;
    const begin = this.#clock.mono();
    let pages = 0;
    try {
      await this.#store.backup(file, ({ total }) => (pages = total));
    } catch (error) {
      throw faultOfBackup(error, file);
    } finally {
      this.#underWay = null;
    }
    const made = { file, pages, elapsedMs: Math.round(between(begin, this.#clock.mono())) };
    this.#log.info({ event: 'backup_made', ...made }, 'the database was copied');
    return made;
  }
}

function faultOfBackup(error: unknown, file: string): unknown {
  if (!(error instanceof StoreError)) return error;
  const what = `the backup ${file} was not made`;
  if (error.fault === 'conflict') {
    return new Fault(
      'BACKUP_EXISTS',
      what,
      'the file is there already',
      'name another file, or move it away',
    );
  }
  if (error.fault === 'full') {
    return new Fault('STORE_FULL', what, 'there is no space left where it should be', 'name another place');
  }
  return new Fault(
    'BACKUP_FAILED',
    what,
    error.message,
    'check the folder and its rights on the coordinator',
  );
}
