import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { backoffCeiling, equalJitter, fullJitter } from '../../src/kit/backoff.js';

const backoff = { initialMs: 250, maxMs: 10_000 };

describe('a back-off', () => {
  test('doubles from its initial wait to its maximum, and stays there', () => {
    expect([0, 1, 2, 5, 6, 1_000_000].map((n) => backoffCeiling(backoff, n))).toEqual([
      250, 500, 1_000, 8_000, 10_000, 10_000,
    ]);
  });

  test('with full jitter lies anywhere below the ceiling, with equal jitter in its upper half', () => {
    const random = fc.double({ min: 0, max: 0.999_999, noNaN: true });
    fc.assert(
      fc.property(fc.nat(100), random, (attempt, drawn) => {
        const ceiling = backoffCeiling(backoff, attempt);
        const [full, equal] = [
          fullJitter(backoff, attempt, () => drawn),
          equalJitter(backoff, attempt, () => drawn),
        ];
        expect(full >= 0 && full < ceiling).toBe(true);
        expect(equal >= Math.floor(ceiling / 2) && equal < ceiling).toBe(true);
      }),
    );
  });
});
