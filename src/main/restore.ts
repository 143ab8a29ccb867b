import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { EXIT, Failure } from '../cli/index.js';
import { storeFailure } from './faults.js';
import { makeFolderOf } from './paths.js';

/**
 * Puts a backup where a new coordinator will find it. It is copied under another name and read through first; what is there
 * already is never touched. Throws Failure.
 */
export async function restoreBackup(backup: string, dbFile: string): Promise<void> {
  const from = resolve(backup);
  const present = [dbFile, `${dbFile}-wal`, `${dbFile}-journal`].find((file) => existsSync(file));
  if (present !== undefined) {
    throw refused(EXIT.conflict, 'RESTORE_REFUSED', {
      what: `${from} is not restored`,
      because: `${present} is there already, and may have more in it`,
      try: `move ${present} away (and what stands beside it), or name another file with --db-file`,
    });
  }
  if (!existsSync(from)) {
    throw refused(EXIT.notFound, 'STORE_NOT_FOUND', {
      what: `no backup ${from}`,
      because: 'there is no such file',
      try: 'name the file that `holdfast server backup` wrote',
    });
  }
  const unfinished = `${dbFile}.restoring`;
  try {
    makeFolderOf(dbFile);
    rmSync(unfinished, { force: true });
    closeSync(openSync(unfinished, 'wx', 0o600));
    copyFileSync(from, unfinished, constants.COPYFILE_FICLONE);
    await readThrough(from, unfinished);
    (await import('../store/sqlite/restored.js')).markRestored(unfinished);
    for (const path of [unfinished, dirname(dbFile)]) sync(path);
    renameSync(unfinished, dbFile);
    sync(dirname(dbFile));
  } catch (error) {
    for (const file of [unfinished, `${unfinished}-wal`, `${unfinished}-journal`])
      rmSync(file, { force: true });
    throw error instanceof Failure ? error : storeFailure(from, error);
  }
}

/** An older schema is upgraded by the start; whatever else is wrong with a backup is found before it is used. */
async function readThrough(from: string, copy: string): Promise<void> {
  const { checkDatabase } = await import('../store/sqlite/check.js');
  try {
    const { findings } = checkDatabase(copy);
    const [first] = findings;
    if (first === undefined) return;
    throw refused(EXIT.unexpected, 'STORE_CORRUPT', {
      what: `${from} is not restored`,
      because: first,
      try: 'restore an older backup; `holdfast server check` tells all that is wrong with this one',
    });
  } catch (error) {
    const fault = (error as { fault?: unknown }).fault;
    if (fault !== 'older') throw error;
  }
}

const refused = (exitCode: number, code: string, problem: Failure['problems'][number]): Failure =>
  new Failure(exitCode, code, [problem]);

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
