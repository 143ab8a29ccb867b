/** The ordered tables of the core whose first matching row decides. */
export type RuleTable =
  | 'hello'
  | 'start'
  | 'report'
  | 'hold'
  | 'due'
  | 'offer'
  | 'regain'
  | 'unrun'
  | 'trigger_event'
  | 'triggerer';

/** Hears which row of a table has decided, by its place from 0; the simulator counts them. */
export type Tally = (table: RuleTable, row: number) => void;

/** The first row that matches; undefined when none does. */
export function firstMatch<
  A extends readonly unknown[],
  R extends { readonly when: (...given: A) => boolean },
>(table: RuleTable, rows: readonly R[], tally: Tally | undefined, ...given: A): R | undefined {
  for (let row = 0; row < rows.length; row++) {
    const rule = rows[row];
    if (rule === undefined || !rule.when(...given)) continue;
    tally?.(table, row);
    return rule;
  }
  return undefined;
}
