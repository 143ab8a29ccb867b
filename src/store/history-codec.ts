import type { HistoryRow } from '../core/rows.js';
import type { AgentId, Epoch, TaskId, Token } from '../kit/ids.js';
import type { WallMs } from '../kit/time.js';
import { TupleReader } from './tuple.js';

/*
 * The newest events of a task stand in its own row, as a text that only grows: tuples, each with a comma behind it, so
 * that one more is appended without reading those before. What happens to every task once, without an agent or anything
 * to say, is three values instead of ten.
 */

const isPlain = (row: HistoryRow): boolean =>
  row.agentId === '' &&
  row.tryNumber === 0 &&
  row.token === 0n &&
  row.epoch === 0n &&
  row.reason === '' &&
  row.message === '' &&
  row.offeredAt === null;

/** An event as it is appended to the row of its task. */
export function encodeEvent(row: HistoryRow): string {
  const { n, at, event } = row;
  if (isPlain(row)) return `${JSON.stringify([n, at, event])},`;
  const { agentId, tryNumber, token, epoch, reason, message, offeredAt } = row;
  const rest = [agentId, tryNumber, String(token), String(epoch), reason, message, offeredAt];
  return `${JSON.stringify([n, at, event, ...rest])},`;
}

/** So many events of a task stand in its row, at most: a row is written whole with each of its versions. */
const EVENTS_IN_ROW = 16;

/** What happened to a task, as it is appended to its row. */
export interface Happened {
  readonly text: string;
  /** Whether the events before these have to give way to the table of earlier ones. */
  readonly isLong: boolean;
}

/** What happened to each task. */
export function eventsOf(history: readonly HistoryRow[]): Map<TaskId, Happened> {
  const events = new Map<TaskId, { text: string; isLong: boolean }>();
  for (const row of history) {
    const text = encodeEvent(row);
    const isLong = row.n > 0 && row.n % EVENTS_IN_ROW === 0;
    const earlier = events.get(row.taskId);
    if (earlier === undefined) events.set(row.taskId, { text, isLong });
    else {
      earlier.text += text;
      earlier.isLong ||= isLong;
    }
  }
  return events;
}

/** The events that stand in the row of a task. Throws StoreError `corrupt`. */
export function decodeEvents(taskId: TaskId, stored: string): HistoryRow[] {
  if (stored === '') return [];
  const what = `history of task ${taskId}`;
  const events = new TupleReader(`[[${stored.slice(0, -1)}]]`, what);
  return events.tuples((r) => decodeEvent(taskId, r));
}

function decodeEvent(taskId: TaskId, r: TupleReader): HistoryRow {
  const row = { taskId, n: r.number(), at: r.number() as WallMs, event: r.text() };
  const plain = { agentId: '', tryNumber: 0, token: 0n as Token, epoch: 0n as Epoch } as const;
  if (r.isOver()) return { ...row, ...plain, reason: '', message: '', offeredAt: null };
  return {
    ...row,
    agentId: r.text() as AgentId | '',
    tryNumber: r.number(),
    token: r.bigint() as Token,
    epoch: r.bigint() as Epoch,
    reason: r.text(),
    message: r.text(),
    offeredAt: r.numberOrNull() as WallMs | null,
  };
}
