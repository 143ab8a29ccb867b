import type { TaskId } from '../../kit/ids.js';
import { ask } from '../ask.js';
import type { Draft } from '../draft.js';
import type { TaskRow } from '../rows.js';
import { allDownstream, allUpstream } from './graph.js';
import type { Plan } from './plan.js';
import type { RunRow, SweepOfRun } from './rows.js';
import { type InstanceAt, isUndecided, type RunView } from './run-view.js';

/*
 * Clears and marks of many instances. What a sweep means is in the run's row, and what of it is done can be seen by the
 * instances: whoever goes on with it, after a commit or after a crash, looks for what is left.
 */

/** Sweeps of one run that wait for each other; a call that makes a further one is refused. */
export const SWEEPS_KEPT = 16;

export interface MeantInstance {
  readonly task: string;
  readonly at: InstanceAt;
}

const FAILED = new Set<string>(['failed', 'upstream_failed', 'cancelled']);
const BLOCKED = new Set<string>(['failed', 'upstream_failed']);

/** The instances that a sweep means, needs first; those that wait to be decided anyway are left out of a clear. */
export function* meantBy(view: RunView, plan: Plan, sweep: SweepOfRun): Iterable<MeantInstance> {
  const { own, only, kind } = sweep;
  const all = sweep.tasks.length === 0;
  const named = new Map<string, Set<number | null>>();
  for (const { task, mapIndex } of sweep.tasks)
    named.set(task, (named.get(task) ?? new Set<number | null>()).add(mapIndex));
  const around = aroundThem(plan, sweep, named.keys());
  for (const { taskId: task } of plan.tasks) {
    const chosen = own ? named.get(task) : undefined;
    const isAround = around.has(task) && (own || !named.has(task));
    if (!all && chosen === undefined && !isAround) continue;
    const isWhole = all || isAround || chosen?.has(null) === true;
    for (const at of view.of(task)) {
      if (!isWhole && chosen?.has(at.mapIndex) !== true) continue;
      if (only === 'failed' && !FAILED.has(at.state)) continue;
      if (only === 'blocked' && !BLOCKED.has(at.state)) continue;
      if (kind !== 'clear' || !isUndecided(at)) yield { task, at };
    }
  }
}

function aroundThem(plan: Plan, { upstream, downstream }: SweepOfRun, named: Iterable<string>): Set<string> {
  const around = new Set<string>();
  const names = [...named];
  if (upstream)
    for (const task of names) for (const other of allUpstream(plan.graph, task)) around.add(other);
  if (downstream) for (const other of allDownstream(plan.graph, ...names)) around.add(other);
  return around;
}

/** Whether an instance is as its sweep wants it, or its agent was asked. */
function isSwept({ kind }: SweepOfRun, { state }: InstanceAt, task: TaskRow | undefined): boolean {
  if (task?.stopRequest?.kind === kind) return true;
  switch (kind) {
    case 'clear':
      // Those that are undecided are not meant any more.
      return false;
    case 'mark_success':
      return state === 'success';
    case 'mark_failed':
      return state === 'failed';
  }
}

/** The next instances of a sweep, `most` at most. */
export function toSweep(
  view: RunView,
  plan: Plan,
  sweep: SweepOfRun,
  known: (taskId: TaskId) => TaskRow | undefined,
  most: number,
): TaskId[] {
  const found: TaskId[] = [];
  for (const { at } of meantBy(view, plan, sweep)) {
    if (isSwept(sweep, at, known(at.taskId))) continue;
    if (found.push(at.taskId) === most) break;
  }
  return found;
}

/** Keeps a sweep for later commits. */
export function keepSweep(draft: Draft, run: RunRow['run'], sweep: SweepOfRun): void {
  const row = draft.dags.runRow(run);
  if (row !== undefined) draft.dags.putRun({ ...row, sweeps: [...row.sweeps, sweep] });
}

/** Goes on with the first sweep of a run, as far as rows are read and the commit has room. */
export function sweepRun(draft: Draft, view: RunView, plan: Plan): void {
  const [sweep, ...later] = view.row.sweeps;
  if (sweep === undefined) return;
  for (const taskId of toSweep(view, plan, sweep, (known) => draft.task(known), Number.POSITIVE_INFINITY)) {
    const task = draft.task(taskId);
    if (task === undefined || draft.dags.room === 0) return;
    ask(draft, task, sweep.kind, sweep.reason);
  }
  draft.dags.putRun({ ...view.row, sweeps: later });
  // One that is queued has waited with its start.
  draft.dags.touchRun(view.row.run);
}
