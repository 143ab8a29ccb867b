import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isTimed, nextOfInterval, previousOfInterval } from '../../../src/core/dag/timetable.js';
import type { WallMs } from '../../../src/kit/time.js';

const at = (ms: number): WallMs => ms as WallMs;

describe('an interval', () => {
  test.each([
    [0, null, 900],
    [899, null, 900],
    [900, null, 1800],
    [-1, null, 0],
    [0, 100, 100],
    [100, 100, 1000],
    [999, 100, 1000],
    [-5000, 100, 100],
  ])('every 900 ms has its next instant after %d, from %s, at %d', (after, start, next) => {
    expect(nextOfInterval(900, at(after), start === null ? null : at(start))).toBe(next);
  });

  test.each([
    [900, null, 0],
    [901, null, 900],
    [0, null, -900],
    [1000, 100, 100],
    [1001, 100, 1000],
    [100, 100, null],
  ])('every 900 ms has its instant before %d, from %s, at %s', (before, start, previous) => {
    expect(previousOfInterval(900, at(before), start === null ? null : at(start))).toBe(previous);
  });

  test('has the same instants in both directions', () => {
    const ms = fc.integer({ min: -1e12, max: 4e12 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e10 }), ms, fc.option(ms), (every, after, start) => {
        const startDate = start === null ? null : at(start);
        const next = nextOfInterval(every, at(after), startDate);
        expect(next).toBeGreaterThan(after);
        expect(next).toBeGreaterThanOrEqual(start ?? next);
        expect(previousOfInterval(every, at(next + 1), startDate)).toBe(next);
        const before = previousOfInterval(every, next, startDate);
        expect(before === null ? start : nextOfInterval(every, before, startDate)).toBe(next);
      }),
    );
  });
});

test('only cron and intervals have instants', () => {
  expect(isTimed({ kind: 'cron', expression: '@daily', timezone: 'UTC' })).toBe(true);
  expect(isTimed({ kind: 'interval', everyMs: 1 })).toBe(true);
  expect(isTimed({ kind: 'none' })).toBe(false);
  expect(isTimed({ kind: 'assets', condition: { kind: 'all', of: [] } })).toBe(false);
});
