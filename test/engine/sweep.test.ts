import { expect, test } from '@jest/globals';
import { DEFAULT_POLICY } from '../../src/core/policy.js';
import { Sweep } from '../../src/engine/sweep.js';
import type { MonoMs, ServiceMs } from '../../src/kit/time.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { put, puts, task } from '../store/rows.js';

const at = (ms: number): MonoMs => ms as MonoMs;
const ctxOf = (count: number, service = 0) => ({
  policy: { ...DEFAULT_POLICY, retention: { ...DEFAULT_POLICY.retention, ageMs: 1_000, count } },
  service: service as ServiceMs,
});

test('a sweep asks for one step at a time, and for none before its pause is over, whoever reminds it', async () => {
  const store = new MemoryStore();
  const row = task(1, { state: 'success' });
  await store.commit(puts({ tasks: [put(row)] }));
  const sweep = await Sweep.start(store, at(0));
  expect([sweep.begin(at(0)), sweep.begin(at(0))]).toEqual([true, false]);
  const pause = sweep.decided({ row, finishedAt: 0 as ServiceMs }, at(0), 1) ?? 0;
  expect(pause).toBeGreaterThan(0);
  expect([sweep.begin(at(pause - 1)), sweep.begin(at(pause)), sweep.begin(at(pause))]).toEqual([
    false,
    true,
    false,
  ]);
  expect(sweep.decided(null, at(pause), 1)).toBeNull();
  expect(sweep.begin(at(2 * pause))).toBe(false);
});

test('steps are as large as the disk takes in a few milliseconds, and leave nine tenths of the time to others', async () => {
  const store = new MemoryStore();
  const rows = Array.from({ length: 500 }, (_, i) => task(i + 1, { state: 'success' }));
  await store.commit(puts({ tasks: rows.map((row) => put(row)) }));
  const sweep = await Sweep.start(store, at(0));
  const sizes: number[] = [];
  const pauses: (number | null)[] = [];
  const step = async (tookMs: number) => {
    const { tasks } = await sweep.read(100, ctxOf(0));
    sizes.push(tasks.length);
    const [first] = tasks;
    pauses.push(first === undefined ? null : sweep.decided(first, at(0), tookMs));
  };
  for (const tookMs of [2, 2, 2, 2]) await step(tookMs);
  for (const tookMs of [40, 40, 40, 40, 40, 40, 8, 100_000]) await step(tookMs);
  expect(sizes).toEqual([20, 40, 80, 100, 100, 50, 25, 12, 6, 5, 5, 5]);
  expect(pauses).toEqual([20, 20, 20, 20, 360, 360, 360, 360, 360, 360, 72, 2_000]);
});

test('a step looks at what is too old, or at all that has ended when that is too much', async () => {
  const store = new MemoryStore();
  const rows = [1, 2, 3].map((n) => task(n, { state: 'success' }));
  await store.commit(puts({ tasks: rows.map((row, i) => put(row, null, null, 100 * i)) }));
  const sweep = await Sweep.start(store, at(0));
  const read = async (count: number, service: number) =>
    (await sweep.read(9, ctxOf(count, service))).tasks.map(({ finishedAt }) => finishedAt);
  expect(await read(3, 1_150)).toEqual([0, 100]);
  expect(await read(3, 900)).toEqual([]);
  expect(await read(2, 900)).toEqual([0, 100, 200]);
});
