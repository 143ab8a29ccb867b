import { expect, test } from '@jest/globals';
import { mapped } from '../../src/kit/lists.js';

test('a list is mapped element by element, and empty ones share one result that nobody can add to', () => {
  expect(mapped([1, 2], (n) => n + 1)).toEqual([2, 3]);
  const none = mapped([], String);
  expect(none).toEqual([]);
  expect(mapped([], Number)).toBe(none as readonly unknown[]);
  expect(() => (none as string[]).push('a')).toThrow(TypeError);
});
