import { isFinal } from '../rows.js';
import type { InstanceAt } from './run-view.js';

/** How the instances of a task, or of several, stand. */
export interface Standing {
  /** Instances that count. A task that is not decided yet counts as one that has not ended. */
  readonly total: number;
  readonly success: number;
  /** Failed or cancelled. */
  readonly failed: number;
  readonly upstreamFailed: number;
  readonly skipped: number;
  /** Instances that are there, those that count for nothing included. */
  readonly instances: number;
  /** Those of them that are to be decided anew: they were cleared, or their wait is over. */
  readonly undecided: number;
  /** Elements of a list that is mapped step by step which have no instance yet; see MappedSoFar. */
  readonly unmapped: number;
}

export const NOTHING_DECIDED: Standing = {
  ...{
    total: 1,
    success: 0,
    failed: 0,
    upstreamFailed: 0,
    skipped: 0,
    instances: 0,
    undecided: 0,
    unmapped: 0,
  },
};
const NONE: Standing = { ...NOTHING_DECIDED, total: 0 };

/** Whether all of them have ended. */
export function isDone({ total, success, failed, upstreamFailed, skipped }: Standing): boolean {
  return success + failed + upstreamFailed + skipped === total;
}

/** The standing of a task with one instance more, or less. */
export function addTo(standing: Standing, { state, ready, gone }: InstanceAt, by: 1 | -1): Standing {
  const instances = standing.instances + by;
  const counted = standing.total - Number(standing.instances === 0) + (gone ? 0 : by);
  const ended = isFinal(state) && !gone;
  const count = (now: number, counts: boolean) => now + (counts ? by : 0);
  return {
    // A task with any has all of them, but for those of a long list, which are told apart.
    total: instances === 0 ? 1 : counted,
    success: count(standing.success, ended && state === 'success'),
    failed: count(standing.failed, ended && (state === 'failed' || state === 'cancelled')),
    upstreamFailed: count(standing.upstreamFailed, ended && state === 'upstream_failed'),
    skipped: count(standing.skipped, ended && state === 'skipped'),
    instances,
    undecided: count(standing.undecided, state === 'scheduled' && !ready),
    unmapped: standing.unmapped,
  };
}

/** How far a mapped task has come: of a long list the last element is mapped first, then the others. */
export interface MappedSoFar {
  /** Elements that its list is known to have: those up to the highest that has an instance. */
  readonly length: number;
  /** Those of them that have one. */
  readonly instances: number;
}

/**
 * The standing of a mapped task of which that much is there. A list of thousands is mapped in several commits, so how
 * long it is has to be durable from the first of them on: as its last element is first, a gap below says that there is more.
 */
export function soFar(standing: Standing, { length, instances }: MappedSoFar): Standing {
  const unmapped = length - instances;
  return unmapped === 0 ? standing : { ...standing, unmapped, total: standing.total + unmapped };
}

/** As if all of a list had come; what `addTo` counts with. */
export function withoutGaps(standing: Standing): Standing {
  const { unmapped, total } = standing;
  return unmapped === 0 ? standing : { ...standing, unmapped: 0, total: total - unmapped };
}

function plus(a: Standing, b: Standing, by: 1 | -1 = 1): Standing {
  return {
    total: a.total + by * b.total,
    success: a.success + by * b.success,
    failed: a.failed + by * b.failed,
    upstreamFailed: a.upstreamFailed + by * b.upstreamFailed,
    skipped: a.skipped + by * b.skipped,
    instances: a.instances + by * b.instances,
    undecided: a.undecided + by * b.undecided,
    unmapped: a.unmapped + by * b.unmapped,
  };
}

/** Needs that are summed up anew each time: fewer than that cost less than remembering them. */
const FEW = 16;

interface Sum {
  readonly tasks: ReadonlySet<string>;
  sum: Standing;
}

/** How the tasks of long lists stand together: a task that needs 10,000 others is asked about with each of their ends. */
export class Sums {
  readonly #standing: (task: string) => Standing;
  readonly #sums = new Map<readonly string[], Sum>();

  constructor(standing: (task: string) => Standing) {
    this.#standing = standing;
  }

  of(tasks: readonly string[]): Standing {
    if (tasks.length <= FEW) return tasks.reduce((sum, task) => plus(sum, this.#standing(task)), NONE);
    return this.#sumOf(tasks).sum;
  }

  /** As `of`, but for what somebody has changed of it. */
  changed(
    tasks: readonly string[],
    changes: ReadonlyMap<string, Standing>,
    standing: (task: string) => Standing,
  ): Standing {
    if (tasks.length <= FEW) return tasks.reduce((sum, task) => plus(sum, standing(task)), NONE);
    const known = this.#sumOf(tasks);
    let { sum } = known;
    for (const [task, now] of changes) {
      if (known.tasks.has(task)) sum = plus(plus(sum, this.#standing(task), -1), now);
    }
    return sum;
  }

  /** A task stands otherwise from now on. */
  change(task: string, before: Standing, now: Standing): void {
    for (const known of this.#sums.values()) {
      if (known.tasks.has(task)) known.sum = plus(plus(known.sum, before, -1), now);
    }
  }

  #sumOf(tasks: readonly string[]): Sum {
    const known = this.#sums.get(tasks);
    if (known !== undefined) return known;
    const sum = tasks.reduce((all, task) => plus(all, this.#standing(task)), NONE);
    const fresh = { tasks: new Set(tasks), sum };
    this.#sums.set(tasks, fresh);
    return fresh;
  }
}
