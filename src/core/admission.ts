import { LazySet } from '../kit/lazy.js';
import type { LaneParts, Lanes } from './lanes.js';
import type { CoreLimits } from './policy.js';
import { groupOf } from './rows.js';

/** Which limit of what may wait in memory would be exceeded. */
export type Crowding = 'too_many_lanes' | 'too_many_keys';

/**
 * The lanes and concurrency keys that a draft adds to those with waiting tasks: however tasks come to wait (submitted,
 * retried, moved), and in however many calls of one batch, together they stay within the limits.
 */
export class Admission {
  readonly #lanes: Lanes;
  readonly #limits: Pick<CoreLimits, 'lanes' | 'keys'>;
  readonly #groups = new LazySet<string>();
  readonly #keys = new LazySet<string>();

  constructor(lanes: Lanes, limits: Pick<CoreLimits, 'lanes' | 'keys'>) {
    this.#lanes = lanes;
    this.#limits = limits;
  }

  /** Counts these tasks as waiting if all of them fit, and none of them otherwise; null when they fit. */
  admit(tasks: readonly LaneParts[]): Crowding | null {
    const groups = new LazySet<string>();
    const keys = new LazySet<string>();
    for (const task of tasks) {
      const group = groupOf(task);
      if (!this.#lanes.hasGroup(group) && !this.#groups.has(group)) groups.add(group);
      const { concurrencyKey: key } = task;
      if (key !== '' && !this.#lanes.hasKey(key) && !this.#keys.has(key)) keys.add(key);
    }
    // What adds nothing is let in beyond a limit, too: a limit that was lowered stops no task of a lane that is there.
    if (groups.size > 0 && this.lanes + groups.size > this.#limits.lanes) return 'too_many_lanes';
    if (keys.size > 0 && this.keys + keys.size > this.#limits.keys) return 'too_many_keys';
    for (const group of groups) this.#groups.add(group);
    for (const key of keys) this.#keys.add(key);
    return null;
  }

  /** For what is only asked about: takes no place here. */
  copy(): Admission {
    const other = new Admission(this.#lanes, this.#limits);
    for (const group of this.#groups) other.#groups.add(group);
    for (const key of this.#keys) other.#keys.add(key);
    return other;
  }

  /** Combinations of queue, labels and handler with waiting tasks. */
  get lanes(): number {
    return this.#lanes.size + this.#groups.size;
  }

  /** Concurrency keys with waiting tasks. */
  get keys(): number {
    return this.#lanes.keys + this.#keys.size;
  }
}
