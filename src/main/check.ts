import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { EXIT, Failure } from '../cli/index.js';
import type { Checked } from '../store/sqlite/check.js';
import { storeFailure } from './faults.js';

/** Reads the database of a stopped coordinator through. Throws Failure: 4 when it is not there, 5 while it is in use. */
export async function checkFile(given: string): Promise<Checked> {
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
