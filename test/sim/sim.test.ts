import { describe, expect, test } from '@jest/globals';
import { simulate } from '../../src/testing/sim/index.js';

describe('the simulator', () => {
  test('gives the same history for the same seed, to the byte', async () => {
    for (const seed of [3, 8]) {
      const first = await simulate({ seed, minutes: 4, trace: true });
      const second = await simulate({ seed, minutes: 4, trace: true });
      expect(second.hash).toBe(first.hash);
      expect(second.trace).toEqual(first.trace);
      expect(first.trace.length).toBeGreaterThan(100);
    }
  });

  test('different seeds give different histories', async () => {
    const [a, b] = await Promise.all([
      simulate({ seed: 21, minutes: 2 }),
      simulate({ seed: 22, minutes: 2 }),
    ]);
    expect(a.hash).not.toBe(b.hash);
  });

  test('no promise is broken in ten worlds of five minutes with faults', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const { violations, counts } = await simulate({ seed, minutes: 5 });
      expect({ seed, violations }).toEqual({ seed, violations: [] });
      expect(counts.get('starts')).toBeGreaterThan(0);
    }
  });
});
