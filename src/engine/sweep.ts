import type { Draft } from '../core/draft.js';
import type { FinishedStretch, FinishedTask } from '../core/retention.js';
import { isFinal } from '../core/rows.js';
import { later, type MonoMs } from '../kit/time.js';
import type { FinishedPosition, Store } from '../store/store.js';

/** Between two sweeps over the finished tasks. */
const SWEEP_MS = 2_000;
/** Between two steps of a sweep: what waits is served first, so a sweep of any length is no pause. */
const STEP_PAUSE_MS = 50;

/**
 * Retention, one step at a time: it walks over the tasks in the order in which they ended, as long as they are over the
 * limits, and begins again at the oldest after a while. Which of them may go is the core's decision.
 */
export class Sweep {
  readonly #store: Store;
  /** Finished tasks that the store has. */
  #total: number;
  #after: FinishedPosition | null = null;
  #next: MonoMs;
  /** A step is in the inbox, or about to be. */
  #underWay = false;

  static async start(store: Store, now: MonoMs): Promise<Sweep> {
    let total = 0;
    for (const [state, count] of Object.entries(await store.countTasks()))
      if (isFinal(state as keyof object)) total += count;
    return new Sweep(store, total, now);
  }

  private constructor(store: Store, total: number, now: MonoMs) {
    this.#store = store;
    this.#total = total;
    this.#next = now;
  }

  get total(): number {
    return this.#total;
  }

  /** Whether a step shall be asked for now; it is not asked for again before it was decided. */
  begin(now: MonoMs): boolean {
    if (this.#underWay || this.#total === 0 || now < this.#next) return false;
    this.#underWay = true;
    return true;
  }

  async read(limit: number): Promise<FinishedStretch> {
    return { tasks: await this.#store.readFinished(this.#after, limit), total: this.#total };
  }

  /** What a committed draft has changed about the number of finished tasks. */
  count(draft: Draft): void {
    for (const task of draft.tasks.values()) {
      const before = draft.base(task.taskId);
      this.#total += Number(isFinal(task.state)) - Number(before !== undefined && isFinal(before.state));
    }
    this.#total -= draft.removals.size;
  }

  /**
   * A step was decided, or came to nothing: goes on behind `last`, or begins again later when that is null. Returns the
   * pause before it goes on, in milliseconds; null when this sweep is over.
   */
  decided(last: FinishedTask | null, now: MonoMs): number | null {
    this.#underWay = false;
    this.#after = last === null ? null : { finishedAt: last.finishedAt, taskId: last.row.taskId };
    this.#next = later(now, last === null ? SWEEP_MS : STEP_PAUSE_MS);
    return last === null ? null : STEP_PAUSE_MS;
  }
}
