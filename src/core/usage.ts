import { LazyMap } from '../kit/lazy.js';
import type { TaskRow } from './rows.js';

/** How many hold a place under each name, and by which limits. May lie over another one, and then counts what differs. */
export class Usage {
  readonly #under: Usage | null;
  /** By name: how many of each limit. Tasks of one name mostly agree, so there is mostly one. */
  readonly #counts = new LazyMap<string, Map<number, number>>();

  constructor(under: Usage | null = null) {
    this.#under = under;
  }

  add(name: string, limit: number, by: 1 | -1): void {
    const counts = this.#counts.get(name) ?? new Map<number, number>();
    const count = (counts.get(limit) ?? 0) + by;
    if (count === 0) counts.delete(limit);
    else counts.set(limit, count);
    if (counts.size === 0) this.#counts.delete(name);
    else this.#counts.set(name, counts);
  }

  count(name: string): number {
    let count = this.#under?.count(name) ?? 0;
    for (const each of this.#counts.get(name)?.values() ?? []) count += each;
    return count;
  }

  /** Whether one more with this limit fits: where limits differ, the smallest of those that would hold a place counts. */
  allows(name: string, limit: number): boolean {
    return this.count(name) < Math.min(limit, this.limit(name));
  }

  /** The smallest limit of those that hold a place; Infinity when there is none. */
  limit(name: string): number {
    let least = Number.POSITIVE_INFINITY;
    for (const limit of this.#limits(name)) if (limit < least && this.#of(name, limit) > 0) least = limit;
    return least;
  }

  /** Every limit that is or was counted under the name here, and below. */
  #limits(name: string): number[] {
    const under = this.#under === null ? [] : this.#under.#limits(name);
    return [...under, ...(this.#counts.get(name)?.keys() ?? [])];
  }

  #of(name: string, limit: number): number {
    const under = this.#under === null ? 0 : this.#under.#of(name, limit);
    return under + (this.#counts.get(name)?.get(limit) ?? 0);
  }
}

/** How many hold a place in each queue: its limit is an operator's, so they need not be told apart. May lie over another. */
export class QueueUsage {
  readonly #under: QueueUsage | null;
  readonly #counts = new LazyMap<string, number>();

  constructor(under: QueueUsage | null = null) {
    this.#under = under;
  }

  add(queue: string, by: 1 | -1): void {
    const count = (this.#counts.get(queue) ?? 0) + by;
    if (count === 0) this.#counts.delete(queue);
    else this.#counts.set(queue, count);
  }

  /** Queues in which at least one place is held. */
  names(): IterableIterator<string> {
    return this.#counts.keys();
  }

  count(queue: string): number {
    return (this.#under?.count(queue) ?? 0) + (this.#counts.get(queue) ?? 0);
  }
}

/** The places that tasks hold, by their concurrency keys and by their queues. */
export class Places {
  readonly keys: Usage;
  readonly queues: QueueUsage;

  constructor(under: Places | null = null) {
    this.keys = new Usage(under?.keys);
    this.queues = new QueueUsage(under?.queues);
  }

  add({ concurrencyKey, concurrencyLimit, queue }: TaskRow, by: 1 | -1): void {
    if (concurrencyKey !== '') this.keys.add(concurrencyKey, concurrencyLimit, by);
    this.queues.add(queue, by);
  }
}

/** Whether a task holds a place: its try runs, or is lost and not released yet (P11). */
export function holdsPlace(task: TaskRow): boolean {
  return task.state === 'running';
}

/** Whether a task's lost token may be closed for another task of its key: released, and open only in case its agent returns. */
export function isReleased(task: TaskRow): boolean {
  return task.state === 'queued' && task.open !== null;
}
