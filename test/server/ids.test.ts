import { expect, test } from '@jest/globals';
import type { WallMs } from '../../src/kit/time.js';
import { drawCoordinatorId, taskIds } from '../../src/server/ids.js';

test('task ids sort in the order of submission, also when the wall clock is set back', () => {
  let now = 1_700_000_000_000;
  const next = taskIds(() => now as WallMs);
  const ids: string[] = [];
  for (let i = 0; i < 40_000; i++) {
    if (i % 9_000 === 0) now += 5;
    if (i === 20_000) now -= 60_000;
    ids.push(next());
  }
  expect(new Set(ids).size).toBe(ids.length);
  expect([...ids].sort()).toEqual(ids);
  expect(ids[0]).toMatch(/^[0-9a-z]{21}$/);
});

test('two coordinators have two ids', () => {
  expect(drawCoordinatorId()).not.toBe(drawCoordinatorId());
});
