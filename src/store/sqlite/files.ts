import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
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
