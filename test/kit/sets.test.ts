import { expect, test } from '@jest/globals';
import { add, drop, toBack } from '../../src/kit/sets.js';

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

test('an element goes behind all others of its set, and one that is not in it stays away', () => {
  const set = new Set([1, 2, 3]);
  toBack(set, 1);
  toBack(set, 4);
  expect([...set]).toEqual([2, 3, 1]);
});
