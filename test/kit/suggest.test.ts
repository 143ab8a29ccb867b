import { expect, test } from '@jest/globals';
import { didYouMean, nearest } from '../../src/kit/suggest.js';

const words = ['queued_timeout', 'heartbeat-interval', 'prefetch', 'slots'];

test('a misspelt word finds its neighbour: letters changed, missing, swapped, or another spelling', () => {
  expect(nearest('queuedTimeout', words)).toBe('queued_timeout');
  expect(nearest('hartbeat-interval', words)).toBe('heartbeat-interval');
  expect(nearest('prefecth', words)).toBe('prefetch');
  expect(nearest('slot', words)).toBe('slots');
});

test('a word that is near to nothing finds nothing', () => {
  expect(nearest('banana', words)).toBeUndefined();
  expect(didYouMean('banana', words)).toBe('');
  expect(didYouMean('slot', words)).toBe(' (did you mean slots?)');
});
