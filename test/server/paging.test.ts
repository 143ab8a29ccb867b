import { describe, expect, test } from '@jest/globals';
import { seededRandom } from '../../src/kit/random.js';
import { numberOf, pageOf, placeOf, placeToken, sizeOf } from '../../src/server/paging.js';

const names = Array.from({ length: 500 }, (_, i) => `dag-${String(i).padStart(3, '0')}`);

function shuffled(seed: number): string[] {
  const random = seededRandom(seed);
  return names
    .map((name) => ({ name, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ name }) => name);
}

function readAll(items: readonly string[], pageSize: number): string[] {
  const seen: string[] = [];
  let pageToken = '';
  do {
    const { page, nextPageToken } = pageOf(items, (name) => name, { pageSize, pageToken });
    seen.push(...page);
    pageToken = nextPageToken;
  } while (pageToken !== '');
  return seen;
}

describe('pages of what is in memory', () => {
  test.each([1, 2, 7, 100, 499, 500, 501])('of %i lack none, repeat none, and are in order', (size) => {
    expect(readAll(names, size)).toEqual(names);
    expect(readAll([...names].reverse(), size)).toEqual(names);
    for (const seed of [1, 2, 3]) expect(readAll(shuffled(seed), size)).toEqual(names);
  });

  test('go on behind an item that has gone', () => {
    const { page, nextPageToken } = pageOf(names, (name) => name, { pageSize: 3, pageToken: '' });
    const left = names.filter((name) => !page.includes(name));
    const next = pageOf(left, (name) => name, { pageSize: 2, pageToken: nextPageToken });
    expect(next.page).toEqual(['dag-003', 'dag-004']);
  });

  test('of nothing are one, and empty', () => {
    const none = { page: [], nextPageToken: '' };
    expect(pageOf([], String, { pageSize: 0, pageToken: '' })).toEqual(none);
    expect(pageOf(names, String, { pageSize: 0, pageToken: 'dag-499' })).toEqual(none);
  });

  test('have 100 entries unless another number is asked for, and 1,000 at most', () => {
    expect([0, 5, 5_000].map((pageSize) => sizeOf({ pageSize }))).toEqual([100, 5, 1_000]);
  });
});

describe('a page token', () => {
  test('names its place again, whatever the name holds', () => {
    const name = 'dag/a run\n☃ 7';
    expect(placeOf(placeToken(123 as never, name))).toEqual({ createdAt: 123, name });
    expect([placeOf(''), numberOf(''), numberOf('42')]).toEqual([null, null, 42]);
  });

  test.each(['x', '12', '-1 a', '1e3 a', ' a'])(
    'that no list of places has given is refused: %j',
    (token) => {
      expect(() => placeOf(token)).toThrow('leads nowhere');
    },
  );

  test.each(['x', '-1 a', '1e3 a', ' a'])('that no list of numbers has given is refused: %j', (token) => {
    expect(() => numberOf(token)).toThrow('leads nowhere');
  });
});
