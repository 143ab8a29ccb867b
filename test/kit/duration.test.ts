import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../src/kit/duration.js';

describe('a duration', () => {
  test('is read with its units', () => {
    const table = {
      '500ms': 500,
      '15s': 15_000,
      '1m30s': 90_000,
      '24h': 86_400_000,
      '7d': 604_800_000,
      '1.5s': 1_500,
    };
    for (const [text, ms] of Object.entries(table)) expect(parseDuration(text)).toBe(ms);
    expect(parseDuration(' 0 ')).toBe(0);
  });

  test('without a unit, with a strange one, a sign or a gap is none', () => {
    for (const text of ['', '15', 's', '15 s', '-5s', '5x', '1e3s', '9999999999999999999d'])
      expect(parseDuration(text)).toBeUndefined();
  });

  test('is written in the form that is read back', () => {
    expect([0, 1_500, 90_000, 90_061_000].map(formatDuration)).toEqual(['0s', '1500ms', '1m30s', '1d1h1m1s']);
    fc.assert(fc.property(fc.nat(10 ** 12), (ms) => expect(parseDuration(formatDuration(ms))).toBe(ms)));
  });
});
