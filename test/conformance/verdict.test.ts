import { describe, expect, test } from '@jest/globals';
import type { Case, Level } from '../../src/testing/conformance/case.js';
import type { Result } from '../../src/testing/conformance/run.js';
import { conforms, jsonOf, junitOf, summaryOf, tableOf } from '../../src/testing/conformance/verdict.js';

function result(level: Level, outcome: Result['outcome'], seen = 'what was seen'): Result {
  const one: Case = {
    ...{
      id: `${level}.${outcome}`,
      rule: 'P1',
      level,
      kinds: ['worker'],
      title: 'an agent does as it is asked',
    },
    play: async () => seen,
  };
  return { case: one, outcome, seen, tookMs: 1_234, output: outcome === 'pass' ? '' : 'last words' };
}

describe('the verdict on an agent', () => {
  test('is that it conforms when every must has passed, whatever the shoulds say', () => {
    const results = [result('must', 'pass'), result('should', 'fail')];
    expect(conforms(results)).toBe(true);
    expect(summaryOf(results)).toContain('conforms: must 1 of 1 passed, should 0 of 1');
  });

  test('is that it does not when a must has failed, when the kit broke at one, and when nothing was played', () => {
    expect(conforms([result('must', 'pass'), result('must', 'fail')])).toBe(false);
    expect(conforms([result('must', 'broken')])).toBe(false);
    expect(summaryOf([])).toContain('does not conform');
    expect(conforms([])).toBe(false);
  });

  test('says so when no must was asked, as with --only of a should', () => {
    const results = [result('should', 'pass'), result('should', 'fail')];
    expect(conforms(results)).toBe(true);
    expect(summaryOf(results)).toBe('\nthe agent was asked no must: must 0 of 0 passed, should 1 of 2\n');
  });

  test('is a line for each case, with the first line of what was seen', () => {
    const [head, line] = tableOf([result('must', 'fail', 'one thing\nand another')]).split('\n');
    expect(head).toMatch(/^RULE +LEVEL +CASE +RESULT +TOOK +SEEN$/);
    expect(line).toMatch(/^P1 +must +must\.fail +fail +1\.2 s +one thing$/);
  });

  test('is data for programs, in which the last words of an agent stand where it failed', () => {
    expect(jsonOf('worker', [result('must', 'pass'), result('should', 'fail')])).toMatchObject({
      ...{ kind: 'worker', conforms: true, must: { played: 1, passed: 1 }, should: { played: 1, passed: 0 } },
      cases: [
        { id: 'must.pass', level: 'must', outcome: 'pass', tookMs: 1_234 },
        { id: 'should.fail', output: 'last words' },
      ],
    });
  });

  test('is JUnit XML: a failed must is a failure, a failed should is skipped, and nothing breaks the markup', () => {
    const evil = '<agent> & "quotes" \u0007';
    const xml = junitOf('worker', [result('must', 'fail', evil), result('should', 'fail', evil)]);
    expect(xml).toContain('tests="2" failures="1" skipped="1"');
    expect(xml).toContain('<failure message="&lt;agent&gt; &amp; &quot;quotes&quot; ">');
    expect(xml).toContain('<skipped message="&lt;agent&gt; &amp; &quot;quotes&quot; "/>');
    expect(xml).not.toContain('\u0007');
  });
});
