import { expect, test } from '@jest/globals';
import { seededRandom } from '../../src/kit/random.js';

const draw = (seed: number, count: number) => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random());
};

test('a seed decides every number drawn', () => {
  expect(draw(7, 5)).toEqual(draw(7, 5));
  expect(draw(7, 5)).not.toEqual(draw(8, 5));
});

test('numbers lie in [0, 1) and about evenly', () => {
  const drawn = draw(1, 10_000);
  expect(drawn.every((n) => n >= 0 && n < 1)).toBe(true);
  const mean = drawn.reduce((sum, n) => sum + n, 0) / drawn.length;
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.02);
});
