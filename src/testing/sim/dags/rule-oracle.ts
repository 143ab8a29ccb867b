import type { TriggerRule } from '../../../core/dag/definition.js';
import type { TaskRow } from '../../../core/rows.js';

/** How the instances of a task's needs stand. A need of which nothing is decided counts as one that has not ended. */
interface Needs {
  readonly all: number;
  readonly success: number;
  /** Failed, cancelled, or not run because of those. */
  readonly bad: number;
  /** Of the bad: those that ran, or were ended by hand. */
  readonly failed: number;
  readonly skipped: number;
}

/** When a task may run, by Airflow's words: written down anew, so that no mistake of the core is repeated. */
const MAY_RUN: Readonly<Record<TriggerRule, (n: Needs) => boolean>> = {
  all_success: ({ all, success }) => success === all,
  all_failed: ({ all, bad }) => bad === all,
  all_done: isOver,
  all_done_min_one_success: (n) => isOver(n) && n.success > 0,
  all_skipped: ({ all, skipped }) => skipped === all,
  one_failed: ({ bad }) => bad > 0,
  one_success: ({ success }) => success > 0,
  one_done: ({ success, failed }) => success + failed > 0,
  none_failed: (n) => isOver(n) && n.bad === 0,
  none_failed_min_one_success: (n) => isOver(n) && n.bad === 0 && n.success > 0,
  none_skipped: (n) => isOver(n) && n.skipped === 0,
  always: () => true,
};

function isOver({ all, success, bad, skipped }: Needs): boolean {
  return success + bad + skipped === all;
}

/** How a task may end without a run: when it is skipped, and when it counts as failed with its needs. */
const NO_RUN: Readonly<Record<TriggerRule, Readonly<Record<NoRun, (n: Needs) => boolean>>>> = {
  all_success: { skipped: (n) => n.skipped > 0 && n.bad === 0, upstream_failed: isBad },
  all_failed: { skipped: (n) => n.success + n.skipped > 0, upstream_failed: never },
  all_done: { skipped: never, upstream_failed: never },
  all_done_min_one_success: {
    skipped: isSkipped,
    upstream_failed: (n) => isOver(n) && !isSkipped(n) && !n.success,
  },
  all_skipped: { skipped: (n) => n.success + n.bad > 0, upstream_failed: never },
  one_failed: { skipped: (n) => isOver(n) && n.bad === 0, upstream_failed: never },
  one_success: { skipped: isSkipped, upstream_failed: (n) => isOver(n) && !isSkipped(n) && !n.success },
  one_done: { skipped: (n) => isOver(n) && n.success + n.failed === 0, upstream_failed: never },
  none_failed: { skipped: never, upstream_failed: isBad },
  none_failed_min_one_success: { skipped: isSkipped, upstream_failed: isBad },
  none_skipped: { skipped: ({ skipped }) => skipped > 0, upstream_failed: never },
  always: { skipped: never, upstream_failed: never },
};

export type NoRun = 'skipped' | 'upstream_failed';

function isBad({ bad }: Needs): boolean {
  return bad > 0;
}

function isSkipped({ all, skipped }: Needs): boolean {
  return skipped === all;
}

function never(): boolean {
  return false;
}

/** Whether a task may run beside what has become of its needs: the instances of each. */
export function mayRun(rule: TriggerRule, needs: readonly (readonly TaskRow[])[]): boolean {
  return needs.length === 0 || MAY_RUN[rule](sumOf(needs));
}

/** Whether its rule ends a task like that, without a run. */
export function endsUnrun(rule: TriggerRule, end: NoRun, needs: readonly (readonly TaskRow[])[]): boolean {
  return needs.length > 0 && NO_RUN[rule][end](sumOf(needs));
}

function sumOf(needs: readonly (readonly TaskRow[])[]): Needs {
  const sum = { all: 0, success: 0, bad: 0, failed: 0, skipped: 0 };
  for (const instances of needs) {
    if (instances.length === 0) sum.all++;
    for (const { state, reason } of instances) {
      // What it was mapped from has become shorter.
      if (state === 'skipped' && reason === 'no_element') continue;
      sum.all++;
      if (state === 'success') sum.success++;
      if (state === 'skipped') sum.skipped++;
      if (state === 'failed' || state === 'cancelled') sum.failed++;
      if (state === 'failed' || state === 'cancelled' || state === 'upstream_failed') sum.bad++;
    }
  }
  return sum;
}
