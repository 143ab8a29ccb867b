import { closeSync, existsSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';

/** The folder for data that has to last: XDG's, else `~/.local/share/holdfast`. */
export function dataFolder(env: NodeJS.ProcessEnv, home: string): string {
  return resolve(env.XDG_DATA_HOME || resolve(home, '.local/share'), 'holdfast');
}

/** Task output lies beside the database. */
export const logFolderOf = (dbFile: string): string => `${dbFile}.logs`;

/** The state of an agent that `dev` starts lies beside the database as well, so that a trial leaves one place. */
export const devStateFolderOf = (dbFile: string, agentId: string): string => `${dbFile}.agents/${agentId}`;

/**
 * Makes the folder of a file, readable by its owner only: commands and results are nobody else's business. By hand:
 * mkdir's own `recursive` never returns below some folders that nothing can be made in, such as /proc.
 */
export function makeFolderOf(file: string): void {
  makeFolder(dirname(resolve(file)));
}

/** Makes the folder and those above it, each readable by its owner only whatever the umask; what exists stays. */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Somebody else was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/**
 * Makes the database file and the note of its owner for the owner only, whatever the umask: tasks carry secrets in their
 * environment. SQLite gives `-wal` and `-journal` the mode of the database. A file that exists is left as it is, and not
 * even opened: closing it could end a lock of this process.
 */
export function makePrivateDatabase(dbFile: string): void {
  for (const file of [dbFile, `${dbFile}.owner`]) {
    try {
      closeSync(openSync(file, 'wx', 0o600));
    } catch {
      // It exists, or cannot be made: the store says so, with a better message.
    }
  }
}

/** Whether it is a folder that can be read. */
export function isFolder(path: string): boolean {
  try {
    return readdirSync(path, { withFileTypes: true }) !== null;
  } catch {
    return false;
  }
}

/** The host's name in the form of an agent id. */
export function hostAgentId(): string {
  const name = hostname()
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 128);
  return name === '' ? 'agent' : name;
}
