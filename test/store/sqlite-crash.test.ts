import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import type { TaskId } from '../../src/kit/ids.js';
import { seededRandom } from '../../src/kit/random.js';
import { openSqliteStore } from '../../src/store/sqlite/open.js';
import { StoreError } from '../../src/store/store.js';
import { Committer, folder, killCommitters } from './files.js';
import { put, puts, task } from './rows.js';

const files = folder();
afterAll(() => files.end());
afterEach(killCommitters);

const ROUNDS = 8;

/** What a killed committer left: every commit is whole, and none of the acknowledged is missing. */
async function inspect(file: string, first: number, acknowledged: number): Promise<number> {
  const store = openSqliteStore({ file });
  const last = Number((await store.load()).counters.token);
  // The one commit that was under way may be there too; its acknowledgement was never printed.
  expect([acknowledged, acknowledged + 1]).toContain(last);
  for (let n = first; n <= last; n++) {
    const id = `kill-${n}` as TaskId;
    const [row] = await store.readTasks([id]);
    const notes = await store.readHistory(id);
    const found = { version: row?.version, state: row?.state, token: row?.lastToken, notes: notes.length };
    const ended = n < last;
    expect(found).toEqual({
      version: ended ? 2 : 1,
      state: ended ? 'success' : 'queued',
      token: BigInt(n),
      notes: ended ? 2 : 1,
    });
  }
  expect(await store.readTasks([`kill-${last + 1}` as TaskId])).toEqual([]);
  await store.close();
  return last;
}

describe('a coordinator on an SQLite file', () => {
  test('that is killed at any moment loses nothing it acknowledged', async () => {
    // How far each child gets; where within a commit the signal meets it is up to the machine.
    const random = seededRandom(1);
    for (let round = 0; round < ROUNDS; round++) {
      const file = files.file(`killed-${round}.db`);
      let last = 0;
      // Twice on one file: the second time it starts from what a crash left.
      for (const first of [1, 0]) {
        const from = first === 1 ? 1 : last + 1;
        const committer = new Committer(file, from);
        expect(await committer.line()).toBe('open');
        const lines: string[] = [];
        for (let left = 1 + Math.floor(random() * 60); left > 0; left--)
          lines.push((await committer.line()) ?? '');
        lines.push(...(await committer.kill()));
        last = await inspect(file, from, Number(lines.at(-1)));
      }
    }
  });

  test('keeps another process out, also after it opened the file a second time or copied it', async () => {
    const file = files.file('locked.db');
    const store = openSqliteStore({ file });
    await store.commit(puts({ tasks: [put(task(1))] }));
    const first = new Committer(file);
    expect(await first.line()).toBe('locked');
    expect(() => openSqliteStore({ file })).toThrow(StoreError);
    await store.backup(files.file('copy.db'));
    await openSqliteStore({ file: files.file('copy.db') }).close();
    const second = new Committer(file);
    expect(await second.line()).toBe('locked');
    await store.commit(puts({ tasks: [put(task(2))] }));
    await store.close();
    const third = new Committer(file);
    expect(await third.line()).toBe('open');
    expect(() => openSqliteStore({ file })).toThrow(/because process \d+ has it open/);
    await third.kill();
  });
});
