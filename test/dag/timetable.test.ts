import { describe, expect, test } from '@jest/globals';
import { Cron } from 'croner';
import type { TimedSchedule } from '../../src/core/dag/timetable.js';
import { faultOfCron, isTimezone, openTimetable, PRESETS } from '../../src/dag/timetable.js';
import type { WallMs } from '../../src/kit/time.js';
import { MINUTE } from '../../src/kit/time.js';

const timetable = openTimetable();
const at = (text: string): WallMs => Date.parse(text) as WallMs;
const iso = (instant: WallMs | null): string | null =>
  instant === null ? null : new Date(instant).toISOString().replace('.000Z', 'Z');
const cron = (expression: string, timezone: string): TimedSchedule => ({
  kind: 'cron',
  expression,
  timezone,
});

/** No expression below, and no change of clocks, lies between. */
const QUARTER = 15 * MINUTE;
const from = at('2026-01-01T00:00:00Z');
const to = at('2027-01-01T00:00:00Z');

/** Every instant of the year, by asking for the next one again and again. */
function forward(schedule: TimedSchedule): WallMs[] {
  const found: WallMs[] = [];
  for (
    let next = timetable.next(schedule, (from - 1) as WallMs, null);
    next !== null && next < to;
    next = timetable.next(schedule, next, null)
  ) {
    found.push(next);
  }
  return found;
}

function backward(schedule: TimedSchedule): WallMs[] {
  const found: WallMs[] = [];
  for (
    let previous = timetable.previous(schedule, to, null);
    previous !== null && previous >= from;
    previous = timetable.previous(schedule, previous, null)
  ) {
    found.unshift(previous);
  }
  return found;
}

/** What a clock on the wall of the zone shows, in milliseconds as if it were UTC, each quarter of an hour of the year. */
function wallOf(timezone: string): (instant: number) => number {
  const format = new Intl.DateTimeFormat('en-u-hc-h23', {
    timeZone: timezone,
    ...{ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' },
  });
  const offsets = new Map<number, number>();
  return (instant) => {
    const quarter = Math.floor(instant / QUARTER) * QUARTER;
    let offset = offsets.get(quarter);
    if (offset === undefined) {
      const parts = Object.fromEntries(format.formatToParts(quarter).map(({ type, value }) => [type, value]));
      const { year, month, day, hour, minute } = parts;
      offset = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:00Z`) - quarter;
      offsets.set(quarter, offset);
    }
    return instant + offset;
  };
}

/**
 * Written without croner: an expression of many times a day has each instant whose wall clock shows one of them; one of
 * a single time a day has the first instant of the day whose clock shows it or, once, has passed over it.
 */
function expected(
  wall: (instant: number) => number,
  hours: readonly number[],
  minutes: readonly number[],
): number[] {
  const single = hours.length === 1 && minutes.length === 1;
  const found: number[] = [];
  const days = new Set<number>();
  for (let instant = from as number; instant < to; instant += QUARTER) {
    const shown = wall(instant);
    const day = Math.floor(shown / (24 * 60 * MINUTE));
    const ofDay = (shown - day * 24 * 60 * MINUTE) / MINUTE;
    const before = wall(instant - QUARTER) + QUARTER;
    if (single) {
      const wanted = (hours[0] as number) * 60 + (minutes[0] as number);
      const passed = before < shown && ofDay > wanted && before <= shown - (ofDay - wanted) * MINUTE;
      if ((ofDay === wanted || passed) && !days.has(day)) {
        days.add(day);
        found.push(instant);
      }
    } else if (hours.includes(Math.floor(ofDay / 60)) && minutes.includes(ofDay % 60)) {
      found.push(instant);
    }
  }
  return found;
}

const EXPRESSIONS: readonly (readonly [string, readonly number[], readonly number[]])[] = [
  ['0 0 * * *', [0], [0]],
  ['45 1 * * *', [1], [45]],
  ['0 2 * * *', [2], [0]],
  ['15 2 * * *', [2], [15]],
  ['30 2 * * *', [2], [30]],
  ['0 3 * * *', [3], [0]],
  ['30 1-3 * * *', [1, 2, 3], [30]],
  ['*/15 1-3 * * *', [1, 2, 3], [0, 15, 30, 45]],
  ['0 */6 * * *', [0, 6, 12, 18], [0]],
];

/** Zones, and the days on which their clocks change. */
const ZONES: readonly (readonly [string, readonly string[]])[] = [
  ['Europe/Berlin', ['2026-03-29', '2026-10-25']],
  ['America/New_York', ['2026-03-08', '2026-11-01']],
  ['Australia/Lord_Howe', ['2026-04-05', '2026-10-04']],
];

describe.each(ZONES)('over a year in %s', (zone, changes) => {
  const wall = wallOf(zone);
  test.each(EXPRESSIONS)(
    '%s has each instant that the rules say, in both directions',
    (expression, hours, minutes) => {
      const instants = forward(cron(expression, zone));
      expect(instants.map(iso)).toEqual(expected(wall, hours, minutes).map((ms) => iso(ms as WallMs)));
      expect(backward(cron(expression, zone)).map(iso)).toEqual(instants.map(iso));
    },
  );

  // Over the whole year this would be croner against itself at half a second for each expression.
  test.each(EXPRESSIONS)('%s passes the days when clocks change as croner alone does', (expression) => {
    for (const day of changes) {
      const start = at(`${day}T00:00:00Z`) - 48 * 60 * MINUTE;
      const theirs = new Cron(expression, { timezone: zone }).nextRuns(60, new Date(start));
      const ours = [start as WallMs];
      while (ours.length <= theirs.length)
        ours.push(timetable.next(cron(expression, zone), ours.at(-1) as WallMs, null) as WallMs);
      ours.shift();
      expect(ours.map(iso)).toEqual(theirs.map((date) => iso(date.getTime() as WallMs)));
    }
  });
});

describe('when clocks change', () => {
  // Berlin: 2026-03-29 02:00 → 03:00, 2026-10-25 03:00 → 02:00. New York: 2026-03-08 and 2026-11-01 at 02:00.
  // Lord Howe by half an hour: 2026-04-05 02:00 → 01:30, 2026-10-04 02:00 → 02:30.
  test.each([
    ['30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', ['2026-03-29T01:00:00Z', '2026-03-30T00:30:00Z']],
    ['30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', ['2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z']],
    ['0 * * * *', 'Europe/Berlin', '2026-03-29T00:00:00Z', ['2026-03-29T01:00:00Z', '2026-03-29T02:00:00Z']],
    ['0 * * * *', 'Europe/Berlin', '2026-10-25T00:00:00Z', ['2026-10-25T01:00:00Z', '2026-10-25T02:00:00Z']],
    [
      '30 2 * * *',
      'America/New_York',
      '2026-03-08T05:00:00Z',
      ['2026-03-08T07:00:00Z', '2026-03-09T06:30:00Z'],
    ],
    [
      '30 1 * * *',
      'America/New_York',
      '2026-11-01T04:00:00Z',
      ['2026-11-01T05:30:00Z', '2026-11-02T06:30:00Z'],
    ],
    [
      '15 2 * * *',
      'Australia/Lord_Howe',
      '2026-10-03T12:00:00Z',
      ['2026-10-03T15:30:00Z', '2026-10-04T15:15:00Z'],
    ],
    [
      '45 1 * * *',
      'Australia/Lord_Howe',
      '2026-04-04T12:00:00Z',
      ['2026-04-04T14:45:00Z', '2026-04-05T15:15:00Z'],
    ],
    [
      '*/15 * * * *',
      'Australia/Lord_Howe',
      '2026-10-03T15:15:00Z',
      ['2026-10-03T15:30:00Z', '2026-10-03T15:45:00Z'],
    ],
    [
      '@daily',
      'Australia/Lord_Howe',
      '2026-04-04T00:00:00Z',
      ['2026-04-04T13:00:00Z', '2026-04-05T13:30:00Z'],
    ],
    [
      '0,30 2 * * *',
      'Europe/Berlin',
      '2026-03-28T12:00:00Z',
      ['2026-03-30T00:00:00Z', '2026-03-30T00:30:00Z'],
    ],
  ])('%s in %s after %s', (expression, zone, after, instants) => {
    const first = timetable.next(cron(expression, zone), at(after), null);
    const second = timetable.next(cron(expression, zone), first ?? at(after), null);
    expect([first, second].map(iso)).toEqual(instants);
  });

  test('a day of 23 and one of 25 hours have as many hourly instants', () => {
    const hourly = forward(cron('@hourly', 'Europe/Berlin'));
    const during = (start: string, end: string): number =>
      hourly.filter((instant) => instant >= at(start) && instant < at(end)).length;
    expect(during('2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z')).toBe(23);
    expect(during('2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z')).toBe(25);
  });
});

describe('a timetable', () => {
  test.each([
    ['@hourly', '2026-01-15T11:00:00Z'],
    ['@daily', '2026-01-15T23:00:00Z'],
    ['@midnight', '2026-01-15T23:00:00Z'],
    ['@weekly', '2026-01-17T23:00:00Z'],
    ['@monthly', '2026-01-31T23:00:00Z'],
    ['@quarterly', '2026-03-31T22:00:00Z'],
    ['@yearly', '2026-12-31T23:00:00Z'],
    ['@annually', '2026-12-31T23:00:00Z'],
  ])('knows the preset %s', (preset, next) => {
    expect(Object.keys(PRESETS)).toContain(preset);
    expect(iso(timetable.next(cron(preset, 'Europe/Berlin'), at('2026-01-15T10:20:30Z'), null))).toBe(next);
  });

  test('takes either day field when both are restricted', () => {
    const either = cron('0 0 13 * FRI', 'UTC');
    const first = timetable.next(either, at('2026-01-10T00:00:00Z'), null);
    expect([first, timetable.next(either, first ?? from, null)].map(iso)).toEqual([
      '2026-01-13T00:00:00Z',
      '2026-01-16T00:00:00Z',
    ]);
  });

  test('is strict on both sides, to the millisecond', () => {
    const daily = cron('0 12 * * *', 'UTC');
    expect(iso(timetable.next(daily, at('2026-05-01T12:00:00Z'), null))).toBe('2026-05-02T12:00:00Z');
    expect(iso(timetable.next(daily, at('2026-05-01T11:59:59.999Z'), null))).toBe('2026-05-01T12:00:00Z');
    expect(iso(timetable.previous(daily, at('2026-05-01T12:00:00Z'), null))).toBe('2026-04-30T12:00:00Z');
    expect(iso(timetable.previous(daily, at('2026-05-01T12:00:00.001Z'), null))).toBe('2026-05-01T12:00:00Z');
    const secondly = cron('*/10 * * * * *', 'UTC');
    expect(iso(timetable.next(secondly, at('2026-05-01T12:00:00.500Z'), null))).toBe('2026-05-01T12:00:10Z');
    expect(iso(timetable.previous(secondly, at('2026-05-01T12:00:00.500Z'), null))).toBe(
      '2026-05-01T12:00:00Z',
    );
  });

  test('has no instant before the start date, and that one itself', () => {
    const daily = cron('@daily', 'UTC');
    const start = at('2026-05-10T00:00:00Z');
    expect(iso(timetable.next(daily, at('2026-05-01T00:00:00Z'), start))).toBe('2026-05-10T00:00:00Z');
    expect(iso(timetable.next(daily, at('2026-05-20T00:00:00Z'), start))).toBe('2026-05-21T00:00:00Z');
    expect(iso(timetable.previous(daily, at('2026-05-11T00:00:00Z'), start))).toBe('2026-05-10T00:00:00Z');
    expect(timetable.previous(daily, start, start)).toBeNull();
  });

  test('of an interval is counted from the start date, whatever clocks do', () => {
    const every: TimedSchedule = { kind: 'interval', everyMs: 90 * MINUTE };
    const start = at('2026-03-29T00:10:00Z');
    expect(iso(timetable.next(every, at('2026-03-29T01:00:00Z'), start))).toBe('2026-03-29T01:40:00Z');
    expect(iso(timetable.previous(every, at('2026-03-29T01:00:00Z'), start))).toBe('2026-03-29T00:10:00Z');
    expect(iso(timetable.next(every, at('2026-03-29T01:00:00Z'), null))).toBe('2026-03-29T01:30:00Z');
  });

  test('answers for far more schedules than it keeps', () => {
    for (let n = 0; n < 6_000; n++) {
      const schedule = cron(`${n % 60} ${Math.floor(n / 60) % 24} ${1 + Math.floor(n / 1_440)} * *`, 'UTC');
      expect(timetable.next(schedule, from, null)).not.toBeNull();
    }
    expect(iso(timetable.next(cron('0 0 1 * *', 'UTC'), from, null))).toBe('2026-02-01T00:00:00Z');
  });
});

describe('a cron expression', () => {
  test.each([
    '* * * * *',
    '*/5 8-17 * * MON-FRI',
    '0 0 29 2 *',
    '30 0 12 * * *',
    '0 0 L * *',
    '0 0 * * MON#2',
    '@daily',
  ])('%s is one', (expression) => {
    expect(faultOfCron(expression)).toBeNull();
  });

  test.each([
    ['61 * * * *', 'Invalid value for minute: 61'],
    ['* * * *', 'it has 4 fields'],
    ['0 0 1 1 * 2 2030', 'it has 7 fields'],
    ['', 'it has 1 fields'],
    ['0 0 30 2 *', 'it never fires: no such day exists'],
    ['@dayly', 'there is no preset @dayly (did you mean @daily?)'],
    ['@reboot', 'there is no preset @reboot'],
    ['a b c d e', 'illegal characters'],
  ])('%s is none: %s', (expression, because) => {
    expect(faultOfCron(expression)).toContain(because);
  });

  test('belongs to a zone by name', () => {
    expect(['UTC', 'Europe/Berlin', 'Australia/Lord_Howe'].every(isTimezone)).toBe(true);
    expect(['', 'Europe/Berln', '+02:00', 'local'].some(isTimezone)).toBe(false);
  });
});
