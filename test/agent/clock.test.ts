import { describe, expect, test } from '@jest/globals';
import { bootClock, realClock } from '../../src/agent/clock.js';
import type { BootMs, MonoMs, WallMs } from '../../src/kit/time.js';

test('the clock since boot goes on at least as far as the monotonic one, and never back', () => {
  const before = { boot: realClock.bootMs() as number, mono: realClock.monoMs() as number };
  for (let last = before.boot; realClock.monoMs() < before.mono + 50; ) {
    const boot = realClock.bootMs() as number;
    expect(boot).toBeGreaterThanOrEqual(last);
    last = boot;
  }
  // It is told in steps of 10 ms.
  expect((realClock.bootMs() as number) - before.boot).toBeGreaterThanOrEqual(40);
});

describe('the clock since boot, between two readings', () => {
  const hand = { mono: 5_000, wall: 1_700_000_000_000, boot: 90_000, reads: 0 };
  const clock = { monoMs: () => hand.mono as MonoMs, wallMs: () => hand.wall as WallMs };
  const bootMs = bootClock(clock, () => {
    hand.reads++;
    return hand.boot as BootMs;
  });

  test('is read once for all that is asked within a millisecond', () => {
    bootMs();
    const before = hand.reads;
    hand.mono += 0.9;
    hand.wall += 1;
    expect(bootMs()).toBe(90_000);
    expect(hand.reads).toBe(before);
    hand.mono += 0.2;
    hand.boot += 10;
    expect(bootMs()).toBe(90_010);
  });

  test('is read anew when the machine has slept, although the monotonic clock stood still', () => {
    bootMs();
    hand.wall += 30_000;
    hand.boot += 30_000;
    expect(bootMs()).toBe(120_010);
  });

  test('is read anew when the wall clock was set back over a sleep', () => {
    bootMs();
    hand.wall -= 3_600_000;
    hand.boot += 30_000;
    expect(bootMs()).toBe(150_010);
  });

  test('is the monotonic one where the system tells nothing', () => {
    const mute = bootClock(clock, () => null);
    expect(mute()).toBe(hand.mono);
  });
});
