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

/** Whether a task may run beside what has become of its needs: the instances of each. */
export function mayRun(rule: TriggerRule, needs: readonly (readonly TaskRow[])[]): boolean {
  if (needs.length === 0) return true;
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
  return MAY_RUN[rule](sum);
}
