import type { TaskId } from '../../kit/ids.js';
import type { InstanceAt } from './run-view.js';

/** Which of two instances comes first. */
export function byRank(a: InstanceAt, b: InstanceAt): number {
  return a.rank - b.rank || (a.taskId < b.taskId ? -1 : 1);
}

/**
 * Instances of one run that wait for room in one pool. Most come in the order in which they leave, thousands at once, and
 * few leave at a time: the list is sorted when somebody has come out of order, and else only its head is looked at.
 */
export class WaitList {
  readonly #members = new Map<TaskId, InstanceAt>();
  /** Those that have left are passed over. */
  #order: InstanceAt[] = [];
  #head = 0;
  #isSorted = true;

  get size(): number {
    return this.#members.size;
  }

  put(instance: InstanceAt): void {
    const last = this.#order.at(-1);
    if (last !== undefined && byRank(last, instance) > 0) this.#isSorted = false;
    this.#members.set(instance.taskId, instance);
    this.#order.push(instance);
  }

  remove(taskId: TaskId): void {
    this.#members.delete(taskId);
  }

  /** Lowest rank first. */
  *inOrder(): Iterable<InstanceAt> {
    this.#tidy();
    for (let place = this.#head; place < this.#order.length; place++) {
      const instance = this.#order[place] as InstanceAt;
      if (this.#members.get(instance.taskId) === instance) yield instance;
      else if (place === this.#head) this.#head++;
    }
  }

  #tidy(): void {
    if (this.#isSorted && this.#order.length - this.#head <= 2 * this.size + 64) return;
    this.#order = [...this.#members.values()].sort(byRank);
    this.#head = 0;
    this.#isSorted = true;
  }
}
