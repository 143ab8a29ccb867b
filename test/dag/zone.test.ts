import { expect, test } from '@jest/globals';
import { instantOf } from '../../src/dag/zone.js';

test.each([
  ['2026-01-31', 'UTC', '2026-01-31T00:00:00Z'],
  ['2026-01-31', 'Europe/Berlin', '2026-01-30T23:00:00Z'],
  ['2026-07-31T08:00', 'Europe/Berlin', '2026-07-31T06:00:00Z'],
  ['2026-07-31 08:00:01.5', 'America/New_York', '2026-07-31T12:00:01.500Z'],
  ['2026-07-31T08:00:00Z', 'Europe/Berlin', '2026-07-31T08:00:00Z'],
  ['2026-07-31T08:00:00+05:30', 'Europe/Berlin', '2026-07-31T02:30:00Z'],
  // Skipped: the instant after the gap.
  ['2026-03-29T02:30', 'Europe/Berlin', '2026-03-29T01:00:00Z'],
  ['2026-10-04T02:15', 'Australia/Lord_Howe', '2026-10-03T15:30:00Z'],
  // Twice there: the first.
  ['2026-10-25T02:30', 'Europe/Berlin', '2026-10-25T00:30:00Z'],
  ['2026-04-05T01:45', 'Australia/Lord_Howe', '2026-04-04T14:45:00Z'],
  ['2024-02-29', 'Pacific/Apia', '2024-02-28T11:00:00Z'],
])('%s in %s is the instant %s', (written, zone, instant) => {
  expect(instantOf(written, zone)).toBe(Date.parse(instant));
});

test.each([
  '2026-02-31',
  '2026-13-01',
  '26-01-01',
  '2026-01-01T25:00',
  'yesterday',
  '2026-01-01T08:00 CET',
  '',
])('%s is no date', (written) => {
  expect(instantOf(written, 'UTC')).toBeUndefined();
});
