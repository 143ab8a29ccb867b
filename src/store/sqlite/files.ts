import { closeSync, existsSync, fdatasync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

/*
 * Whole copies of the database, never the database itself: closing that file here would end the lock that keeps a
 * second coordinator out (see driver.ts).
 */

/** Whether there is such a file. */
export const isThere = (file: string): boolean => existsSync(file);

/**
 * An empty file for a copy to be written to, for its owner only whatever the umask. One that was begun and not finished
 * makes room.
 */
export function beginCopy(file: string): void {
  removeCopy(file);
  closeSync(openSync(file, 'wx', 0o600));
}

export function removeCopy(file: string): void {
  rmSync(file, { force: true });
}

/** Gives a finished copy its name, replacing what had it; on disk when this returns. */
export function publishCopy(from: string, to: string): void {
  sync(from);
  renameSync(from, to);
  sync(dirname(to));
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Pages between two syncs of a copy: 4 MiB. */
const SYNC_EVERY_PAGES = 1_024;

/** Brings a file that is being written to its disk a piece at a time, on another thread. A sync that fails is left to SQLite. */
export class SyncBehind {
  readonly #fd: number;
  #synced = 0;
  #underWay: Promise<void> | null = null;

  constructor(file: string) {
    this.#fd = openSync(file, 'r+');
  }

  /** So many pages are written. */
  reached(pages: number): void {
    if (this.#underWay !== null || pages - this.#synced < SYNC_EVERY_PAGES) return;
    this.#synced = pages;
    this.#underWay = new Promise((resolve) => {
      fdatasync(this.#fd, () => {
        this.#underWay = null;
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    await this.#underWay;
    closeSync(this.#fd);
  }
}
