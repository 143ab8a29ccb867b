import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { EXIT, Failure } from '../cli/index.js';
import type { Config } from '../config/resolve.js';
import type { Checked } from '../store/check-rules.js';
import { placeFailure, storeFailure } from './faults.js';
import { databaseAt } from './store-place.js';

/** Reads through what a stopped coordinator keeps: the file, or the database of the configuration. Throws Failure. */
export async function checkStored(
  file: string | undefined,
  config: Config,
): Promise<Checked & { file: string }> {
  if (file !== undefined) return { file, ...(await checkFile(file)) };
  const url = config.find('server.store');
  if (url === null) {
    throw new Failure(EXIT.usage, 'STORE_NOT_FOUND', [
      {
        what: 'nothing is checked',
        because: 'neither a file nor a database is named',
        try: 'name the database file, or set HOLDFAST_STORE',
      },
    ]);
  }
  return checkDatabase(url, config.get('server.storeSchema'));
}

async function checkDatabase(url: string, schema: string): Promise<Checked & { file: string }> {
  const place = databaseAt(url, schema);
  const { REAL_CLOCK: clock } = await import('../engine/clock.js');
  const { REAL_TIMERS: timers } = await import('../engine/timers.js');
  const { checkPostgres } = await import('../store/postgres/open.js');
  const outside = {
    mono: () => clock.mono(),
    after: (ms: number, task: () => void) => timers.after(ms, task),
  };
  try {
    return { file: place.shown, ...(await checkPostgres({ url, schema, outside })) };
  } catch (error) {
    throw placeFailure(place, error);
  }
}

/** Reads the database of a stopped coordinator through. Throws Failure: 4 when it is not there, 5 while it is in use. */
async function checkFile(given: string): Promise<Checked> {
  const file = resolve(given);
  if (!existsSync(file)) {
    throw new Failure(EXIT.notFound, 'STORE_NOT_FOUND', [
      { what: `no database ${file}`, because: 'there is no such file', try: 'name one with --db-file' },
    ]);
  }
  const { checkDatabase } = await import('../store/sqlite/check.js');
  try {
    return checkDatabase(file);
  } catch (error) {
    const failure = storeFailure(file, error);
    if (failure.code !== 'STORE_LOCKED') throw failure;
    const [problem] = failure.problems;
    throw new Failure(EXIT.conflict, failure.code, [
      {
        what: `the database ${file} is not checked`,
        because: problem?.because ?? '',
        try: 'make a copy with `holdfast server backup FILE` and check that, or stop the coordinator first',
      },
    ]);
  }
}
