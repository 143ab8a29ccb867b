import { expect, test } from '@jest/globals';
import { add, drop } from '../../src/kit/sets.js';

test('a set of a map is made with its first value and goes with its last', () => {
  const map = new Map<string, Set<number>>();
  add(map, 'a', 1);
  add(map, 'a', 2);
  drop(map, 'a', 1);
  drop(map, 'b', 1);
  expect(map).toEqual(new Map([['a', new Set([2])]]));
  drop(map, 'a', 2);
  expect(map.size).toBe(0);
});
