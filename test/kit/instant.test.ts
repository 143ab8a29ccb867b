import { expect, test } from '@jest/globals';
import { parseInstant } from '../../src/kit/instant.js';

test('an instant is read with its zone', () => {
  const table = {
    '2026-01-31T08:00:00Z': '2026-01-31T08:00:00.000Z',
    '2026-01-31T08:00:00.25+02:00': '2026-01-31T06:00:00.250Z',
    '2026-01-31 08:00Z': '2026-01-31T08:00:00.000Z',
  };
  for (const [text, iso] of Object.entries(table)) expect(parseInstant(text)?.toISOString()).toBe(iso);
});

test('without a zone, or when there is no such day, it is none', () => {
  for (const text of [
    '2026-01-31T08:00:00',
    '2026-01-31',
    'tomorrow',
    '2026-13-31T08:00:00Z',
    '',
    '1700000000',
  ])
    expect(parseInstant(text)).toBeUndefined();
});
