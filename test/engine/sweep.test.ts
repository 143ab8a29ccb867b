import { expect, test } from '@jest/globals';
import { Sweep } from '../../src/engine/sweep.js';
import type { MonoMs, ServiceMs } from '../../src/kit/time.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { put, puts, task } from '../store/rows.js';

const at = (ms: number): MonoMs => ms as MonoMs;

test('a sweep asks for one step at a time, and for none before its pause is over, whoever reminds it', async () => {
  const store = new MemoryStore();
  const row = task(1, { state: 'success' });
  await store.commit(puts({ tasks: [put(row)] }));
  const sweep = await Sweep.start(store, at(0));
  expect([sweep.begin(at(0)), sweep.begin(at(0))]).toEqual([true, false]);
  const pause = sweep.decided({ row, finishedAt: 0 as ServiceMs }, at(0)) ?? 0;
  expect(pause).toBeGreaterThan(0);
  expect([sweep.begin(at(pause - 1)), sweep.begin(at(pause)), sweep.begin(at(pause))]).toEqual([
    false,
    true,
    false,
  ]);
  expect(sweep.decided(null, at(pause))).toBeNull();
  expect(sweep.begin(at(2 * pause))).toBe(false);
});
