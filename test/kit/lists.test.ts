import { expect, test } from '@jest/globals';
import { mapped, recordOf } from '../../src/kit/lists.js';

test('a list is mapped element by element, and empty ones share one result that nobody can add to', () => {
  expect(mapped([1, 2], (n) => n + 1)).toEqual([2, 3]);
  const none = mapped([], String);
  expect(none).toEqual([]);
  expect(mapped([], Number)).toBe(none as readonly unknown[]);
  expect(() => (none as string[]).push('a')).toThrow(TypeError);
});

test('a map of texts becomes an object with whatever names, and empty ones share one that nobody can add to', () => {
  expect(recordOf(new Map([['a', '1']]))).toEqual({ a: '1' });
  expect(Object.keys(recordOf(new Map([['__proto__', '1']])))).toEqual(['__proto__']);
  const none = recordOf(new Map());
  expect(recordOf(new Map())).toBe(none);
  expect(() => Object.assign(none, { a: '1' })).toThrow(TypeError);
});
