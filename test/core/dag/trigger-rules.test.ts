import { describe, expect, test } from '@jest/globals';
import type { TriggerRule } from '../../../src/core/dag/definition.js';
import {
  type Decision,
  decideByRule,
  judgement,
  TRIGGER_RULES,
} from '../../../src/core/dag/trigger-rules.js';

/** Ends of two needs: s success, f failed, u upstream_failed, k skipped, - has not ended. */
const ENDS = [
  'ss',
  'sf',
  'su',
  'sk',
  'ff',
  'fu',
  'fk',
  'uu',
  'uk',
  'kk',
  's-',
  'f-',
  'u-',
  'k-',
  '--',
] as const;

function standing(ends: string) {
  const count = (letter: string) => ends.split('').filter((end) => end === letter).length;
  return {
    total: ends.length,
    success: count('s'),
    failed: count('f'),
    upstreamFailed: count('u'),
    skipped: count('k'),
    ...{ instances: ends.length, undecided: 0, unmapped: 0 },
  };
}

const WORDS: Readonly<Record<string, Decision>> = {
  R: 'run',
  S: 'skip',
  U: 'upstream_failed',
  '.': 'wait',
};

/** One letter for each of ENDS: R runs, S is skipped, U is upstream_failed, a dot waits. */
const EXPECTED: Readonly<Record<TriggerRule, string>> = {
  //                            ss sf su sk ff fu fk uu uk kk s- f- u- k- --
  all_success: '                R  U  U  S  U  U  U  U  U  S  .  U  U  S  .',
  all_failed: '                 S  S  S  S  R  R  S  R  S  S  S  .  .  S  .',
  all_done: '                   R  R  R  R  R  R  R  R  R  R  .  .  .  .  .',
  all_done_min_one_success: '   R  R  R  R  U  U  U  U  U  S  .  .  .  .  .',
  all_skipped: '                S  S  S  S  S  S  S  S  S  R  S  S  S  .  .',
  one_failed: '                 S  R  R  S  R  R  R  R  R  S  .  R  R  .  .',
  one_success: '                R  R  R  R  U  U  U  U  U  S  R  .  .  .  .',
  one_done: '                   R  R  R  R  R  R  R  S  S  S  R  R  .  .  .',
  none_failed: '                R  U  U  R  U  U  U  U  U  R  .  U  U  .  .',
  none_failed_min_one_success: 'R  U  U  R  U  U  U  U  U  S  .  U  U  .  .',
  none_skipped: '               R  R  R  S  R  R  S  R  S  S  .  .  .  S  .',
  always: '                     R  R  R  R  R  R  R  R  R  R  R  R  R  R  R',
};

describe('trigger rules decide as in Airflow', () => {
  test('every rule has its row in the table', () => {
    expect(Object.keys(TRIGGER_RULES).sort()).toEqual(Object.keys(EXPECTED).sort());
  });

  const cases = Object.entries(EXPECTED).flatMap(([rule, row]) =>
    row
      .trim()
      .split(/\s+/)
      .map((letter, i) => [rule as TriggerRule, ENDS[i] as string, WORDS[letter] as Decision] as const),
  );

  test.each(cases)('%s, needs %s: %s', (rule, ends, decision) => {
    expect(decideByRule(rule, standing(ends))).toBe(decision);
  });

  test('a task without needs runs, whatever its rule', () => {
    for (const rule of Object.keys(TRIGGER_RULES) as TriggerRule[]) {
      expect([rule, decideByRule(rule, standing(''))]).toEqual([rule, 'run']);
    }
  });
});

test('what a rule was judged on is told by how its needs ended', () => {
  expect(judgement('all_success', standing('ssfuk'))).toBe(
    'all_success, and of its needs 2 succeeded, 1 failed, 1 could not run, 1 was skipped',
  );
  expect(judgement('one_failed', standing('sskk'))).toBe(
    'one_failed, and of its needs 2 succeeded, 2 were skipped',
  );
  expect(judgement('all_success', standing('f--'))).toBe(
    'all_success, and of its needs 1 failed, 2 not ended',
  );
});
