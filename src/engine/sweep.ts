import {
  BACKFILLS_A_STEP,
  type EndedBackfill,
  type EndedRun,
  type EndedRuns,
  eventsGoUntil,
  RUNS_A_STEP,
} from '../core/dag/retention.js';
import type { Draft } from '../core/draft.js';
import type { Context } from '../core/inputs.js';
import { type FinishedStretch, type FinishedTask, goesUntil } from '../core/retention.js';
import { isFinal } from '../core/rows.js';
import { later, type MonoMs } from '../kit/time.js';
import type { FinishedPosition, Store } from '../store/store.js';

/** Between two sweeps over the finished tasks. */
const SWEEP_MS = 2_000;
/** A step that took longer makes the next one smaller; one of half of it, larger. */
const STEP_MS = 10;
/** Tasks of a first step, and of the smallest. */
const FIRST_STEP = 20;
const SMALLEST_STEP = 5;
/** The pause after a step, in times of what it took: retention has a tenth of the loop, on a slow disk as on a fast one. */
const PAUSE_SHARE = 9;
const SHORTEST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 2_000;

/**
 * Retention, one step at a time: it walks over the tasks in the order in which they ended, as long as they are over the
 * limits, and begins again at the oldest after a while. Which of them may go is the core's decision. What waits is
 * served first: steps are as large as the disk commits in a few milliseconds, and the pause between them is in proportion.
 */
export class Sweep {
  readonly #store: Store;
  /** Finished tasks that the store has. */
  #total: number;
  /** Whether there may be runs, or backfills, that have ended. */
  #runsLeft = true;
  #backfillsLeft = true;
  #after: FinishedPosition | null = null;
  #next: MonoMs;
  /** Tasks that the next step looks at. */
  #step = FIRST_STEP;
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
    const isNothingLeft = this.#total === 0 && !this.#runsLeft && !this.#backfillsLeft;
    if (this.#underWay || isNothingLeft || now < this.#next) return false;
    this.#underWay = true;
    return true;
  }

  /** The tasks of one step, `limit` at most, that are over the limits or may be. */
  async read(
    limit: number,
    ctx: Pick<Context, 'policy' | 'service'>,
    newestEvent = 0,
  ): Promise<FinishedStretch> {
    this.#step = Math.min(this.#step, limit);
    const total = this.#total;
    const until = goesUntil(total, ctx);
    const tasks = await this.#store.readFinished(this.#after, this.#step, { until });
    return { tasks, total, ended: await this.#readEnded(newestEvent) };
  }

  /** The runs that ended first, as far as nothing is left of them, and whether there are too many asset events. */
  async #readEnded(newestEvent: number): Promise<EndedRuns> {
    const runs: EndedRun[] = [];
    const rows = await this.#store.readEndedRuns(null, RUNS_A_STEP);
    for (const row of rows) {
      const isEmpty = (await this.#store.listTasks({ run: row.run }, null, 1)).length === 0;
      runs.push({ row, isEmpty });
      // What ended later stays with it.
      if (!isEmpty) break;
    }
    this.#runsLeft = rows.length > 0;
    const until = eventsGoUntil(newestEvent);
    const old = until === 0 ? [] : await this.#store.listAssetEvents(null, until + 1, 1);
    return { runs, backfills: await this.#readBackfills(), oldEvents: old.length > 0 };
  }

  async #readBackfills(): Promise<EndedBackfill[]> {
    if (!this.#backfillsLeft) return [];
    const backfills: EndedBackfill[] = [];
    const rows = await this.#store.readEndedBackfills(BACKFILLS_A_STEP);
    for (const row of rows) {
      const isEmpty = (await this.#store.listRuns({ backfill: row.backfill }, null, 1)).length === 0;
      backfills.push({ row, isEmpty });
      // As for runs.
      if (!isEmpty) break;
    }
    this.#backfillsLeft = rows.length > 0;
    return backfills;
  }

  /** What a committed draft has changed about the number of finished tasks. */
  count(draft: Draft): void {
    for (const task of draft.tasks.values()) {
      const before = draft.base(task.taskId);
      this.#total += Number(isFinal(task.state)) - Number(before !== undefined && isFinal(before.state));
    }
    this.#total -= draft.removals.size;
    const { touchedDags } = draft;
    if (touchedDags === null) return;
    this.#runsLeft ||= touchedDags.runs.size > 0;
    this.#backfillsLeft ||= touchedDags.backfills.size > 0;
  }

  /**
   * A step was decided, or came to nothing: goes on behind `last`, or begins again later when that is null. `tookMs` is
   * how long everything else had to wait for it. Returns the pause before it goes on, in milliseconds; null when this
   * sweep is over.
   */
  decided(last: FinishedTask | null, now: MonoMs, tookMs: number): number | null {
    this.#underWay = false;
    this.#after = last === null ? null : { finishedAt: last.finishedAt, taskId: last.row.taskId };
    if (last === null) {
      this.#next = later(now, SWEEP_MS);
      return null;
    }
    if (tookMs > STEP_MS) this.#step = Math.max(SMALLEST_STEP, Math.floor(this.#step / 2));
    else if (tookMs < STEP_MS / 2) this.#step = 2 * this.#step;
    const pause = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, PAUSE_SHARE * tookMs));
    this.#next = later(now, pause);
    return pause;
  }
}
