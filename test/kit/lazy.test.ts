import { describe, expect, test } from '@jest/globals';
import { LazyMap, LazySet } from '../../src/kit/lazy.js';

describe('a lazy map', () => {
  test('is empty before its first entry, whatever it is asked', () => {
    const map = new LazyMap<string, number>();
    expect([map.size, map.get('a'), map.has('a'), map.delete('a')]).toEqual([0, undefined, false, false]);
    expect([[...map], [...map.keys()], [...map.values()], [...map.entries()]]).toEqual([[], [], [], []]);
  });

  test('is a map from its first entry on: in order of insertion, each key once', () => {
    const map = new LazyMap<string, number>().set('b', 1).set('a', 2).set('b', 3);
    expect([map.size, map.get('b'), map.has('a'), map.get('c')]).toEqual([2, 3, true, undefined]);
    expect([...map]).toEqual([...map.entries()]);
    expect([[...map.keys()], [...map.values()]]).toEqual([
      ['b', 'a'],
      [3, 2],
    ]);
    const told: unknown[] = [];
    map.forEach((value, key, of) => {
      told.push([key, value, of === map]);
    });
    expect(told).toEqual([
      ['b', 3, true],
      ['a', 2, true],
    ]);
    expect([map.delete('b'), map.delete('b'), map.size]).toEqual([true, false, 1]);
  });

  test('shares no entry with another one', () => {
    const map = new LazyMap<string, number>();
    new LazyMap<string, number>().set('a', 1);
    expect([map.has('a'), new LazyMap().size]).toEqual([false, 0]);
  });
});

test('a lazy set is empty before its first element, and a set of its own from then on', () => {
  const set = new LazySet<string>();
  expect([set.size, set.has('a'), [...set]]).toEqual([0, false, []]);
  set.add('b').add('a').add('b');
  expect([set.size, set.has('a'), set.has('c'), [...set]]).toEqual([2, true, false, ['b', 'a']]);
  expect(new LazySet<string>().size).toBe(0);
});
