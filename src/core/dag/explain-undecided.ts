import { between } from '../../kit/time.js';
import { type Explanation, GUARANTEES, type NextStep } from '../explain.js';
import type { Context } from '../inputs.js';
import type { State } from '../state.js';
import { undecidedFindings } from './explain.js';
import { type Plan, taskOf } from './plan.js';
import type { RunView } from './run-view.js';

/**
 * Explains a task of a run that goes on, of which nothing is decided yet: it has no instance, so no id, and people ask for
 * it by its name.
 */
export function explainUndecided(
  state: State,
  run: RunView,
  plan: Plan,
  taskId: string,
  { service }: Pick<Context, 'service'>,
): Explanation {
  const { timeoutAt } = run.row;
  const next: NextStep[] = [];
  if (timeoutAt !== null) {
    const inMs = Math.max(0, between(service, timeoutAt));
    next.push({ code: 'run_timed_out', inMs, message: 'its run fails, having run for too long' });
  }
  return {
    summary: `nothing of it is decided yet; its run is ${run.row.state}`,
    findings: undecidedFindings(state, run, plan, taskId),
    next,
    guarantee: GUARANTEES[taskOf(plan, taskId).partitionPolicy],
  };
}
