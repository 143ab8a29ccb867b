import type { HistoryRow, TaskRow } from '../../core/rows.js';
import type { TaskId } from '../../kit/ids.js';
import { add, drop } from '../../kit/sets.js';
import type { Puts } from '../../store/store.js';

interface Fault {
  readonly rule: string;
  readonly taskId: TaskId;
  readonly what: string;
}

/** A run that comes back takes its place, whether there is room or not. */
const COMES_BACK: ReadonlySet<string> = new Set(['adopted', 'regained']);

/**
 * Limits of concurrency keys and of queues, by the rows of each commit and under every policy: a permit takes a place that
 * was free, lost tries count until they are released, and no more tokens of a key are open than its limit.
 */
export class PlaceAudit {
  readonly #rows = new Map<TaskId, TaskRow>();
  /** Tasks with an open token, by their key; running ones, by their queue. */
  readonly #ofKey = new Map<string, Set<TaskId>>();
  readonly #ofQueue = new Map<string, Set<TaskId>>();
  readonly #limits = new Map<string, number | null>();

  /** What is wrong with a commit, whose rows come after those of all before it. */
  faultsOf({ history, tasks, queues, removals }: Puts): Fault[] {
    for (const { taskId } of removals) this.#rows.delete(taskId);
    for (const { row } of tasks) this.#put(row);
    const changed = new Set(queues.map(({ queue }) => queue));
    for (const { queue, limit } of queues) this.#limits.set(queue, limit);
    const back = this.#comeBack(history);
    return history.flatMap(({ event, taskId }) => {
      const row = event === 'permitted' ? this.#rows.get(taskId) : undefined;
      // Permitted, and over or lost again by the same commit.
      if (row?.state !== 'running') return [];
      const isLimitNew = changed.has(row.queue) || back.has(row.queue);
      const faults = [
        isLimitNew ? null : this.#queueFault(row),
        back.has(row.concurrencyKey) ? null : this.#keyFault(row),
      ];
      return faults.flatMap((what) => (what === null ? [] : [{ rule: 'places', taskId, what }]));
    });
  }

  /** Keys and queues that a run has come back to. */
  #comeBack(history: readonly HistoryRow[]): Set<string> {
    const rows = history
      .filter(({ event }) => COMES_BACK.has(event))
      .map(({ taskId }) => this.#rows.get(taskId));
    return new Set(rows.flatMap((row) => (row === undefined ? [] : [row.queue, row.concurrencyKey])));
  }

  #put(row: TaskRow): void {
    const { taskId, concurrencyKey } = row;
    const old = this.#rows.get(taskId);
    if (old !== undefined) drop(this.#ofQueue, old.queue, taskId);
    this.#rows.set(taskId, row);
    if (row.state === 'running') add(this.#ofQueue, row.queue, taskId);
    if (concurrencyKey === '') return;
    if (row.open !== null) add(this.#ofKey, concurrencyKey, taskId);
    else drop(this.#ofKey, concurrencyKey, taskId);
  }

  #queueFault({ taskId, queue }: TaskRow): string | null {
    const limit = this.#limits.get(queue) ?? null;
    const count = this.#ofQueue.get(queue)?.size ?? 0;
    if (limit === null || count <= limit) return null;
    return `${taskId} is the ${count}th of queue ${queue} to run; its limit is ${limit}`;
  }

  #keyFault({ taskId, concurrencyKey: key }: TaskRow): string | null {
    if (key === '') return null;
    const open = [...(this.#ofKey.get(key) ?? [])].flatMap((id) => this.#rows.get(id) ?? []);
    const running = open.filter(({ state }) => state === 'running');
    const limit = Math.min(...running.map(({ concurrencyLimit }) => concurrencyLimit));
    if (open.length <= limit) return null;
    return `${taskId} is permitted, and ${open.length} tokens of key ${key} are open; its limit is ${limit}`;
  }
}
