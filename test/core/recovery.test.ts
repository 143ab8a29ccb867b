import { describe, expect, test } from '@jest/globals';
import { done, leapt, lineAt, owes, RESTORED } from '../../src/core/recovery.js';
import type { Token } from '../../src/kit/ids.js';
import type { WallMs } from '../../src/kit/time.js';
import { agent, live, ready, settleDown } from './agent-model.js';
import { L, type World, world } from './support.js';

/** Commits are lost, and the Hello of `b` has shown it. */
function noticed(): { w: World; a: ReturnType<typeof ready>; b: ReturnType<typeof ready> } {
  const w = world();
  const a = ready(w, 'a');
  const b = agent(w, 'b');
  b.highestToken = 41n as Token;
  b.connect().talk();
  return { w, a, b };
}

describe('the lease without permits after lost commits (P18)', () => {
  test('begins anew with a restart within it', () => {
    const { w, a, b } = noticed();
    live(w, L - 1_000, a, b);
    w.restart();
    a.connect();
    b.connect();
    const taskId = w.submit();
    live(w, L - 1_000, a, b);
    expect(w.task(taskId).state).toBe('queued');
    live(w, 2_000, a, b);
    expect(w.task(taskId).state).toBe('running');
  });

  test('is over for good once it has passed: a later restart permits at once', () => {
    const { w, a, b } = noticed();
    live(w, L + 1_000, a, b);
    expect(owes(w.counters, 'wait')).toBe(false);
    w.restart();
    const taskId = w.submit();
    a.connect();
    settleDown(a);
    expect(w.task(taskId).state).toBe('running');
  });
});

describe('a counter of a restored store', () => {
  test('leaps once, after a restart too', () => {
    const w = world();
    w.counters = { ...w.counters, recovery: RESTORED };
    w.restart();
    ready(w, 'a');
    expect(w.counters.epoch).toBe(1_000_000_001n);
    w.restart();
    ready(w, 'b');
    expect(w.counters.epoch).toBe(1_000_000_002n);
    expect(w.counters.recovery).toEqual(['wait', 'leap_token']);
  });

  test('restored twice from one backup takes its agents back', () => {
    const w = world();
    const a = ready(w, 'a');
    const backup = w.backup();
    for (let restores = 0; restores < 2; restores++) {
      w.restore({ ...backup, counters: { ...backup.counters, recovery: RESTORED } });
      const taskId = w.submit();
      a.connect();
      live(w, L + 1_000, a);
      expect(w.task(taskId).state).toBe('running');
      a.end(a.only).talk();
    }
  });

  test('leaps beyond all that was drawn after an earlier restore of the same backup, by an agent that stays away too (I1)', () => {
    const w = world();
    w.wall = Date.UTC(2027, 0, 1) as WallMs;
    const backup = w.backup();
    const restore = (from: typeof backup) =>
      w.restore({ ...from, counters: { ...from.counters, recovery: RESTORED } });
    const drawn = (name: string) => {
      const a = ready(w, name);
      live(w, L + 1_000, a);
      const taskId = w.submit();
      live(w, 1_000, a);
      return w.task(taskId).lastToken;
    };
    restore(backup);
    // Nothing has been drawn yet: a copy that knows no more than the backup.
    const copy = w.backup();
    const first = drawn('a');
    restore(copy);
    const second = drawn('b');
    restore(backup);
    const third = drawn('c');
    expect([second > first, third > second]).toEqual([true, true]);
  });

  test('leaps on from where it is when the wall clock stands before that', () => {
    expect(leapt(7n, Date.UTC(2020, 0, 1) as WallMs)).toBe(1_000_000_007n);
    const line = lineAt(Date.UTC(2027, 0, 1) as WallMs);
    expect(leapt(line, Date.UTC(2026, 6, 1) as WallMs)).toBe(line + 1_000_000_000n);
    expect(leapt(line, Date.UTC(2027, 0, 2) as WallMs)).toBe(line + 100n * 86_400_000n);
  });

  test('that owes nothing stays the very same row', () => {
    const { counters } = world();
    expect(done(counters, 'leap_token')).toBe(counters);
  });
});
