import { type Counters, type HistoryRow, isFinal, type TaskRow } from '../core/rows.js';

/** What a check has found in a store that nobody uses. */
export interface Checked {
  readonly tasks: number;
  /** What is wrong, a sentence each; empty when all is well. A hundred of them at most. */
  readonly findings: readonly string[];
  /** There were more. */
  readonly more: boolean;
}

export interface RowCase {
  readonly row: TaskRow;
  readonly events: readonly HistoryRow[];
  readonly counters: Pick<Counters, 'token' | 'epoch'>;
}

/** What must hold of each task, whatever happened to it and wherever it is stored. */
export const ROW_RULES: readonly { readonly says: string; readonly holds: (c: RowCase) => boolean }[] = [
  {
    says: 'its open token is not its newest',
    holds: ({ row }) => row.open === null || row.open.token === row.lastToken,
  },
  {
    says: 'its token is above the counter, so it could be drawn twice',
    holds: ({ row, counters }) => row.lastToken <= counters.token,
  },
  {
    says: 'its epoch is above the counter',
    holds: ({ row, counters }) => (row.open?.epoch ?? 0n) <= counters.epoch,
  },
  {
    says: 'it is running without an open token',
    holds: ({ row }) => row.state !== 'running' || row.open !== null,
  },
  { says: 'it has ended with an open token', holds: ({ row }) => !isFinal(row.state) || row.open === null },
  {
    says: 'its history has gaps',
    holds: ({ row, events }) => row.historyCount === events.length && events.every(({ n }, i) => n === i),
  },
];
