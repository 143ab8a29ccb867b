import { expect, test } from '@jest/globals';
import { retryAfterMs } from '../../src/webhooks/retry-after.js';

const NOW = Date.UTC(2026, 0, 31, 8, 0, 0);
const THEN = new Date(NOW + 90_000).toUTCString();

test.each([
  ['no header', {}, 0],
  ['seconds', { 'retry-after': '120' }, 120_000],
  ['a date, counted from our clock', { 'retry-after': THEN }, 90_000],
  [
    'a date, counted from the clock that the answer shows',
    { 'retry-after': THEN, date: new Date(NOW + 80_000).toUTCString() },
    10_000,
  ],
  ['a date that is past', { 'retry-after': new Date(NOW - 1_000).toUTCString() }, 0],
  ['a negative number', { 'retry-after': '-5' }, 0],
  ['words', { 'retry-after': 'soon' }, 0],
  ['a date of another form', { 'retry-after': '2026-01-31T09:00:00Z' }, 0],
  ['a day that does not exist', { 'retry-after': 'Sun, 99 Nov 2026 08:00:00 GMT' }, 0],
])('Retry-After with %s', (_name, headers, ms) => {
  expect(retryAfterMs(new Headers(headers as Record<string, string>), NOW)).toBe(ms);
});
