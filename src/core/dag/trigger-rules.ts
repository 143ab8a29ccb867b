import type { TriggerRule } from './definition.js';
import { isDone, type Standing } from './run-view.js';

/** What becomes of a task whose needs stand as they do. */
export type Decision = 'run' | 'skip' | 'upstream_failed' | 'wait';

interface Row {
  readonly when: (s: Standing) => boolean;
  readonly then: Exclude<Decision, 'wait'>;
}

const ran = (s: Standing) => s.success + s.failed;
const bad = (s: Standing) => s.failed + s.upstreamFailed;

const ANY_BAD_FAILS: Row = { when: (s) => bad(s) > 0, then: 'upstream_failed' };
const ALL_SKIPPED_SKIPS: Row = { when: (s) => s.skipped === s.total, then: 'skip' };
const DONE_RUNS: Row = { when: isDone, then: 'run' };

/**
 * Airflow's trigger rules (airflow/ti_deps/deps/trigger_rule_dep.py). The first row that matches decides; none means that
 * the task waits. A rule may decide before all needs are done: what is to come could not change its word. Needs that were
 * cancelled count as failed, which Airflow does not know.
 */
export const TRIGGER_RULES: Readonly<Record<TriggerRule, readonly Row[]>> = {
  all_success: [ANY_BAD_FAILS, { when: (s) => s.skipped > 0, then: 'skip' }, DONE_RUNS],
  all_failed: [{ when: (s) => s.success + s.skipped > 0, then: 'skip' }, DONE_RUNS],
  all_done: [DONE_RUNS],
  all_done_min_one_success: [
    { when: (s) => isDone(s) && s.success > 0, then: 'run' },
    ALL_SKIPPED_SKIPS,
    { when: isDone, then: 'upstream_failed' },
  ],
  all_skipped: [{ when: (s) => s.success + bad(s) > 0, then: 'skip' }, DONE_RUNS],
  one_failed: [
    { when: (s) => bad(s) > 0, then: 'run' },
    { when: isDone, then: 'skip' },
  ],
  one_success: [
    { when: (s) => s.success > 0, then: 'run' },
    ALL_SKIPPED_SKIPS,
    { when: isDone, then: 'upstream_failed' },
  ],
  one_done: [
    { when: (s) => ran(s) > 0, then: 'run' },
    { when: isDone, then: 'skip' },
  ],
  none_failed: [ANY_BAD_FAILS, DONE_RUNS],
  none_failed_min_one_success: [ANY_BAD_FAILS, ALL_SKIPPED_SKIPS, DONE_RUNS],
  none_skipped: [{ when: (s) => s.skipped > 0, then: 'skip' }, DONE_RUNS],
  always: [{ when: () => true, then: 'run' }],
};

/** A task without needs runs, whatever its rule. */
export function decideByRule(rule: TriggerRule, needs: Standing): Decision {
  if (needs.total === 0) return 'run';
  return TRIGGER_RULES[rule].find(({ when }) => when(needs))?.then ?? 'wait';
}

/** What a rule was judged on, for people: `all_success, and of its needs 2 succeeded, 1 failed`. */
export function judgement(rule: TriggerRule, needs: Standing): string {
  const { total, success, failed, upstreamFailed, skipped } = needs;
  const counts = [
    [success, 'succeeded'],
    [failed, 'failed'],
    [upstreamFailed, 'could not run'],
    [skipped, skipped === 1 ? 'was skipped' : 'were skipped'],
    [total - success - failed - upstreamFailed - skipped, 'not ended'],
  ] as const;
  const told = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return `${rule}, and of its needs ${told.join(', ')}`;
}
