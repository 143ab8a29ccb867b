import { describe, expect, test } from '@jest/globals';

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

const script = (name: string) => import(String(new URL(`../../scripts/bench/${name}`, import.meta.url)));
const figures: {
  inTurn: (
    sides: Record<string, () => Promise<object>>,
    count: number,
  ) => Promise<Record<string, readonly object[]>>;
  plain: (of: Record<string, Spread>) => object;
  ratio: (ours: readonly object[], theirs: readonly object[], name: string) => Spread;
  spreads: (rounds: readonly object[]) => Record<string, Spread>;
} = await script('figures.mjs');
const { asMarkdown, asText }: Record<'asMarkdown' | 'asText', (table: object) => string> =
  await script('tables.mjs');
const { barChart }: { barChart: (chart: object) => string } = await script('svg.mjs');

describe('what a bench makes of its rounds', () => {
  test('sides take turns, so that a machine that slows down slows all of them down', async () => {
    const order: string[] = [];
    const side = (name: string) => async () => {
      order.push(name);
      return { n: order.length };
    };
    const told = await figures.inTurn({ a: side('a'), b: side('b') }, 3);
    expect(order).toEqual(['a', 'b', 'a', 'b', 'a', 'b']);
    expect(told).toEqual({ a: [{ n: 1 }, { n: 3 }, { n: 5 }], b: [{ n: 2 }, { n: 4 }, { n: 6 }] });
  });

  test('a ratio is that of each round, not that of two middles', () => {
    const ours = [{ n: 10 }, { n: 40 }, { n: 30 }];
    const theirs = [{ n: 5 }, { n: 40 }, { n: 10 }];
    expect(figures.ratio(ours, theirs, 'n')).toEqual({ median: 2, min: 1, max: 3 });
  });

  test('a program reads the middle under its name, and the least and the most beside it', () => {
    const spread = figures.spreads([{ perS: 3 }, { perS: 1 }, { perS: 2 }]);
    expect(figures.plain(spread)).toEqual({ perS: 2, range: { perS: [1, 3] } });
  });

  test('a table says the spread of what was measured more than once, and a dash where nothing was', () => {
    const table = {
      title: 'T',
      head: ['a', 'b'],
      rows: [
        ['x|y', { median: 1234, min: 1000, max: 2000 }],
        ['z', null],
      ],
    };
    expect(asText(table)).toContain('1,234 (1,000–2,000)');
    expect(asMarkdown(table).split('\n').slice(2)).toEqual([
      '| a | b |',
      '|---|---:|',
      '| x\\|y | 1,234 (1,000–2,000) |',
      '| z | – |',
    ]);
  });

  test('a chart begins at zero: a bar that is twice as long is twice as much', () => {
    const bars = [
      { label: 'a <b>', value: 50 },
      { label: 'c', value: 100 },
    ];
    const svg = barChart({ title: 'T', unit: 'u', bars });
    const lengths = [...svg.matchAll(/<rect x="\d+" [^>]*width="([\d.]+)"/g)].map(([, width]) =>
      Number(width),
    );
    expect(lengths[1]).toBe(2 * (lengths[0] ?? 0));
    expect(svg).toContain('a &lt;b&gt;');
  });
});
