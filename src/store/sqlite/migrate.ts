import { StoreError } from '../store.js';
import type { Driver } from './driver.js';
import { beginCopy, isThere, publishCopy, removeCopy } from './files.js';
import { APPLICATION_ID, MIGRATIONS, type Migration } from './schema.js';

/** The copy that is kept of a file before it is brought from this schema to a newer one. */
export const copyBeforeUpgrade = (file: string, schema: number): string => `${file}.schema-${schema}.backup`;

/** The schema of the file: 0 when it is new. Throws StoreError `newer` when this program does not know it. */
export function schemaOf(
  driver: Driver,
  file: string,
  migrations: readonly Migration[] = MIGRATIONS,
): number {
  const found = Number(driver.pragma('user_version'));
  const newest = newestOf(migrations);
  if (found <= newest) return found;
  const copy = copyBeforeUpgrade(file, newest);
  const back = isThere(copy)
    ? `go back to what it was before its upgrade: move it away and start with --restore ${copy}`
    : `restore a backup with schema ${newest} or older (--restore)`;
  throw new StoreError(
    'newer',
    `${file} is not opened, because it has schema ${found} and this program knows only up to ${newest}; ` +
      `start the newer program, or ${back}`,
  );
}

/**
 * Brings the file to the newest schema, each step in a transaction of its own. A file with data is copied first: the
 * copy is the way back, since no step can be undone. Throws StoreError `full` when there is no room for the copy.
 */
export function migrate(driver: Driver, file: string, migrations: readonly Migration[] = MIGRATIONS): void {
  const found = schemaOf(driver, file, migrations);
  if (found > 0 && found < newestOf(migrations)) keepCopy(driver, copyBeforeUpgrade(file, found));
  for (const migration of migrations) {
    if (migration.version <= found) continue;
    driver.transaction(() => {
      driver.exec(migration.up);
      driver.pragma('user_version', migration.version);
      driver.pragma('application_id', APPLICATION_ID);
    });
  }
}

/** The schema that this program reads and writes. */
export const schemaOfProgram = (): number => newestOf(MIGRATIONS);

const newestOf = (migrations: readonly Migration[]): number => migrations.at(-1)?.version ?? 0;

/** Under another name until it is whole: a copy with the final name can be trusted, whenever the process died. */
function keepCopy(driver: Driver, copy: string): void {
  const unfinished = `${copy}.unfinished`;
  beginCopy(unfinished);
  try {
    driver.statement('VACUUM INTO ?').run(unfinished);
    publishCopy(unfinished, copy);
  } catch (error) {
    removeCopy(unfinished);
    throw error;
  }
}
