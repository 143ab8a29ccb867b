import type { Context } from '../core/inputs.js';
import type { TaskRow } from '../core/rows.js';
import { earliest, type ServiceMs, type WallMs } from '../kit/time.js';
import type { Puts, Store } from '../store/store.js';

/** Tasks of one clock whose deadline one tick deals with; more wait for the next one, which follows at once. */
const DUE_LIMIT = 256;

/** How far each clock has come that has passed a deadline; null for one that has not. */
export interface Due {
  readonly service: ServiceMs | null;
  readonly wall: WallMs | null;
}

/**
 * The next deadline of each clock, so that a tick without any reads nothing. They are kept apart because the wall clock
 * may jump: a deadline of it is compared again with every tick, never waited for.
 */
export class Deadlines {
  #service: ServiceMs | null;
  #wall: WallMs | null;

  static async start(store: Store): Promise<Deadlines> {
    return new Deadlines(await store.nextDue(), await store.nextWallDue());
  }

  private constructor(service: ServiceMs | null, wall: WallMs | null) {
    this.#service = service;
    this.#wall = wall;
  }

  /** Whether any task waits for an instant of the service clock: then that clock has to be durable. */
  get needServiceClock(): boolean {
    return this.#service !== null;
  }

  /** What a tick has to look at; null when no deadline has passed. */
  passed({ service, wall }: Context): Due | null {
    const isDue = this.#service !== null && this.#service <= service;
    const isWallDue = this.#wall !== null && this.#wall <= wall;
    return isDue || isWallDue ? { service: isDue ? service : null, wall: isWallDue ? wall : null } : null;
  }

  /** Deadlines that a commit has made. */
  put({ tasks }: Puts): void {
    for (const { dueAt, wallDueAt } of tasks) {
      this.#service = earliest(this.#service, dueAt);
      this.#wall = earliest(this.#wall, wallDueAt);
    }
  }

  /** Asks again for what has passed, once it was dealt with. */
  async renew(store: Store, due: Due): Promise<void> {
    if (due.service !== null) this.#service = await store.nextDue();
    if (due.wall !== null) this.#wall = await store.nextWallDue();
  }
}

/** The tasks that are due by either clock, each once; `more` when the next tick must follow at once. */
export async function readDue(store: Store, due: Due): Promise<{ rows: TaskRow[]; more: boolean }> {
  const byService = due.service === null ? [] : await store.readDue(due.service, DUE_LIMIT);
  const byWall = due.wall === null ? [] : await store.readWallDue(due.wall, DUE_LIMIT);
  const known = new Set(byService.map(({ taskId }) => taskId));
  return {
    rows: [...byService, ...byWall.filter(({ taskId }) => !known.has(taskId))],
    more: byService.length === DUE_LIMIT || byWall.length === DUE_LIMIT,
  };
}
