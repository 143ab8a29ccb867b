import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  leaseExpired,
  leaseTerms,
  recoveryTermMs,
  renewedLease,
  silenceLimitMs,
  singleRunReleaseMs,
  startPauseMs,
} from '../../src/core/lease.js';
import type { MonoMs } from '../../src/kit/time.js';

const at = (ms: number) => ms as MonoMs;

describe('the lease', () => {
  test('is three heartbeat intervals, the gate five sixths of it', () => {
    expect(leaseTerms(5_000)).toEqual({ heartbeatMs: 5_000, leaseMs: 15_000, gateMs: 12_500 });
  });

  test('outlives the gate and the pause before a start, for every interval and clocks 1 % apart (P2)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 300_000 }), (heartbeatMs) => {
        const { gateMs, leaseMs } = leaseTerms(heartbeatMs);
        expect(gateMs * 1.01).toBeLessThanOrEqual(leaseMs / 1.01 - startPauseMs(leaseMs));
      }),
    );
  });

  test('ends L after the receipt of the last heartbeat, not before', () => {
    const ends = renewedLease(at(1_000), 15_000);
    expect(leaseExpired(ends, at(15_999))).toBe(false);
    expect(leaseExpired(ends, at(16_000))).toBe(true);
  });

  test('after a start lasts the longer of both leases, or as long as all sessions need to come back', () => {
    expect(recoveryTermMs(15_000, 10_000, 3, 100)).toBe(15_000);
    expect(recoveryTermMs(15_000, 60_000, 3, 100)).toBe(60_000);
    expect(recoveryTermMs(15_000, 15_000, 5_000, 100)).toBe(50_000);
  });

  test('a stream is silent after one and a half intervals, within the lease', () => {
    expect(silenceLimitMs(5_000)).toBe(7_500);
  });

  test('a single run is dead after the lease, its grace on a slow clock, and a pause', () => {
    expect(singleRunReleaseMs(15_000, 10_000)).toBe(15_000 + 10_300 + 1_000);
  });
});
