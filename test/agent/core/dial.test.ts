import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Dialer } from '../../../src/agent/core/dial.js';
import type { MonoMs } from '../../../src/kit/time.js';

const at = (ms: number) => ms as MonoMs;

describe('dialing again (P9)', () => {
  test('waits with full jitter: doubled from 250 ms, at most 1 s in the first 10 s, then min(10 s, L/5)', () => {
    const dialer = new Dialer(() => 0.999_999);
    const waits = [0, 0, 0, 0, 0, 9_999, 10_000, 20_000].map((ms) => dialer.waitMs(at(ms), 60_000, 0, false));
    expect(waits).toEqual([249, 499, 999, 999, 999, 999, 9_999, 9_999]);
  });

  test('is bounded whatever the lease, the chance and the number of tries', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 0.999_999, noNaN: true }),
        fc.integer({ min: 300, max: 900_000 }),
        fc.array(fc.integer({ min: 0, max: 60_000 }), { minLength: 1, maxLength: 40 }),
        (chance, leaseMs, gaps) => {
          const dialer = new Dialer(() => chance);
          let now = 5_000;
          for (const gap of gaps) {
            const wait = dialer.waitMs(at(now), leaseMs, 0, false);
            expect(wait).toBeGreaterThanOrEqual(0);
            expect(wait).toBeLessThanOrEqual(
              Math.min(10_000, leaseMs / 5, now - 5_000 < 10_000 ? 1_000 : 10_000),
            );
            now += gap;
          }
        },
      ),
    );
  });

  test('starts afresh after a stream that worked', () => {
    const dialer = new Dialer(() => 0.999_999);
    for (let i = 0; i < 10; i++) dialer.waitMs(at(i * 5_000), 60_000, 0, false);
    dialer.connected();
    expect(dialer.waitMs(at(100_000), 60_000, 0, false)).toBe(249);
  });

  test('waits at least as long as it was asked to', () => {
    const dialer = new Dialer(() => 0);
    expect(dialer.waitMs(at(0), 3_000, 1_234, false)).toBe(1_234);
  });

  test('is slow after a credential was refused', () => {
    const dialer = new Dialer(() => 0);
    expect(dialer.waitMs(at(0), 3_000, 0, true)).toBe(30_000);
  });
});
