import { describe, expect, test } from '@jest/globals';
import { firstMatch, type RuleTable } from '../../src/core/rules.js';

const ROWS = [
  { name: 'small', when: (size: number) => size < 10 },
  { name: 'even', when: (size: number) => size % 2 === 0 },
] as const;

describe('a rule table', () => {
  test('is decided by its first row that matches, and whoever counts hears which', () => {
    const heard: [RuleTable, number][] = [];
    const tally = (table: RuleTable, row: number) => void heard.push([table, row]);
    expect(firstMatch('due', ROWS, tally, 4)?.name).toBe('small');
    expect(firstMatch('due', ROWS, tally, 12)?.name).toBe('even');
    expect(heard).toEqual([
      ['due', 0],
      ['due', 1],
    ]);
  });

  test('decides nothing when no row matches, and tells nobody', () => {
    const heard: RuleTable[] = [];
    expect(firstMatch('due', ROWS, (table) => void heard.push(table), 13)).toBeUndefined();
    expect(firstMatch('due', ROWS, undefined, 4)?.name).toBe('small');
    expect(heard).toEqual([]);
  });
});
