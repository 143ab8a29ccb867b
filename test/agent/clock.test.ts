import { expect, test } from '@jest/globals';
import { realClock } from '../../src/agent/clock.js';

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
