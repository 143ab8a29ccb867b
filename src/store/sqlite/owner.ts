import { Driver } from './driver.js';

/**
 * Who has the store, for the message of those who are refused. It stands in a file of its own beside the store,
 * because nobody can read the store while its owner holds the lock. A hint for people: the lock decides.
 */
const ownerFile = (file: string): string => `${file}.owner`;

/** Notes this process as the owner. Best effort: without the note only the message is poorer. */
export function noteOwner(file: string, pid: number): void {
  try {
    const driver = new Driver(ownerFile(file));
    try {
      driver.pragma('synchronous', 'OFF');
      driver.exec(
        'CREATE TABLE IF NOT EXISTS owner (id INTEGER PRIMARY KEY CHECK (id = 1), pid INTEGER NOT NULL)',
      );
      driver.statement('INSERT OR REPLACE INTO owner VALUES (1, ?)').run(pid);
    } finally {
      driver.close();
    }
  } catch {
    // A read-only or full disk is reported by the store itself, with a better message.
  }
}

/** The process that noted itself last; null when there is no note or it cannot be read. */
export function readOwner(file: string): number | null {
  try {
    const driver = new Driver(ownerFile(file), { readOnly: true });
    try {
      const pid = driver.statement('SELECT pid FROM owner').get()?.pid;
      return typeof pid === 'number' ? pid : null;
    } finally {
      driver.close();
    }
  } catch {
    return null;
  }
}
