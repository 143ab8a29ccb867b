import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { checkDag } from '../../src/dag/check/index.js';
import { drawDag, scheduleText } from '../../src/dag/draw.js';
import { readText } from '../../src/dag/read.js';

const fixture = readFileSync(resolve(import.meta.dirname, 'fixtures/good/weather.dag.yaml'), 'utf8');

describe('the drawing of a DAG', () => {
  test('puts each task under the need that comes last, and names the others', () => {
    const read = readText('weather', fixture, 'yaml');
    if (!read.ok) throw new Error(read.errors.join('\n'));
    expect(read.dags.map(({ definition }) => drawDag(definition)).join('\n')).toBe(`\
weather  0 2 * * * in Europe/Berlin
└─ ingest
   ├─ validate  (handler validate; short circuit)
   │  └─ monthly  (one for each of {{ params.months }})
   │     └─ report  (after late too; when {{ results.validate.rows | length }}; none_failed; updates report)
   └─ late  (waits for delta)

publish  after (report or (prices and rates))
└─ upload  (waits for http)
`);
  });

  test('of 10,000 tasks in a chain stays on the screen', () => {
    const tasks = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, n) => [`t${n}`, n === 0 ? {} : { needs: `t${n - 1}` }]),
    );
    const checked = checkDag({ dag_id: 'chain', tasks });
    if (!checked.ok) throw new Error('not read');
    const lines = drawDag(checked.definition).trimEnd().split('\n');
    expect(lines).toHaveLength(10_001);
    expect(lines[0]).toBe('chain  by hand');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(110);
  });

  test('says an interval in its unit', () => {
    expect(scheduleText({ kind: 'interval', everyMs: 5_400_000 })).toBe('every 1h30m');
  });
});
