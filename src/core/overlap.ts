import type { AgentId, Token } from '../kit/ids.js';
import type { WallMs } from '../kit/time.js';
import type { Draft } from './draft.js';
import type { HistoryRow, TaskRow } from './rows.js';

/**
 * Two runs of one task at once. The coordinator sees it late and from afar: a run with a closed token is reported to have
 * lasted beyond the permit of a newer one. That an inventory shows it as running proves nothing: its agent may have been
 * stopped while the run was killed beside it, and not have looked yet. What cannot be shown is not counted.
 */
export interface Overlap {
  /** The first newer try, and its token. */
  readonly tryNumber: number;
  readonly token: Token;
  /** Both may have run for so long, at most, in milliseconds: from the newer permit to the first end, or until now. */
  readonly atMostMs: number;
}

/** The history events that say that a run has ended, by its own agent's word. */
const ENDED: ReadonlySet<string> = new Set(['success', 'failed', 'try_failed', 'cancelled', 'poison']);

/** 1 % bounds the difference of clock rates, as everywhere. */
const RATE = 1.01;

/** The overlap that is proven by a run's having lasted so long; null when that proves none. */
export function overlapOf(
  history: readonly HistoryRow[],
  token: Token,
  ranMs: number,
  wall: WallMs,
): Overlap | null {
  const voided = new Set(history.filter(({ event }) => event === 'never_started').map((row) => row.token));
  const given = history.filter(({ event }) => event === 'permitted' || event === 'regained');
  const older = given.find((row) => row.token === token);
  const newer = given.filter((row) => row.token > token && !voided.has(row.token));
  const first = newer[0];
  // It began after its permit, so it ended no sooner than so long after it.
  if (older === undefined || first === undefined || older.at + ranMs / RATE <= first.at) return null;
  const ends = newer.map((permit) =>
    history.find((row) => row.token === permit.token && ENDED.has(row.event)),
  );
  const until = ends.reduce<number>((latest, row) => Math.max(latest, row?.at ?? wall), first.at);
  return { tryNumber: first.tryNumber, token: first.token, atMostMs: until - first.at };
}

/** Counts an overlap, and writes it into the history: once for each older token. */
export function noteOverlap(
  draft: Draft,
  task: TaskRow,
  agentId: AgentId,
  token: Token,
  overlap: Overlap,
): void {
  const history = draft.historyOf(task.taskId);
  if (history.some((row) => row.event === 'overlap' && row.token === token)) return;
  const { atMostMs } = overlap;
  const { taskId, partitionPolicy } = task;
  draft.notes.push({
    kind: 'overlap',
    agentId,
    taskId,
    token,
    newer: overlap.token,
    partitionPolicy,
    atMostMs,
  });
  draft.put(task, {
    event: 'overlap',
    agentId,
    tryNumber: history.find((row) => row.token === token)?.tryNumber ?? 0,
    token,
    reason: partitionPolicy,
    message: `ran beside try ${overlap.tryNumber} (token ${overlap.token}) for at most ${Math.ceil(atMostMs)} ms`,
  });
}
