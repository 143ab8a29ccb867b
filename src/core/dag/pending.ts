import type { TaskId } from '../../kit/ids.js';
import type { TaskRow } from '../rows.js';
import type { Plan } from './plan.js';
import { isUndecided, type RunView, standingOf } from './run-view.js';
import { toStop } from './runs.js';
import { endingOf } from './state.js';
import { toSweep } from './sweeps.js';
import { decideByRule } from './trigger-rules.js';

/** What of a run is to be decided next, and the rows that this takes. */

/** Instances that one commit decides, about; what is left follows in the next one, at once. */
export const INSTANCES_AT_ONCE = 256;

/** Places of the tasks that have changed, because they may be to be decided anew, and of those that come after them. */
export function markedTasks(view: RunView, plan: Plan): Set<number> {
  if (view.touched === 'all') return new Set(plan.tasks.keys());
  const marked = new Set<number>();
  for (const task of view.touched) {
    // Itself as well: it may have been cleared, or its wait be over.
    marked.add(plan.placeOf.get(task) ?? -1);
    markDownstream(plan, task, marked);
  }
  return marked;
}

export function markDownstream(plan: Plan, task: string, marked: Set<number>): void {
  for (const next of plan.graph.downstream.get(task) ?? []) marked.add(plan.placeOf.get(next) ?? -1);
}

/** Whether anything of a task is to be decided: all of it, instances that were cleared or have waited, or gaps. */
function isPending(view: RunView, task: string): boolean {
  const { instances, undecided, unmapped } = view.standing(task);
  return instances === 0 || undecided > 0 || unmapped > 0;
}

/** Map indexes of a task's instances that are to be decided; null when all of it is, and was never decided before. */
export function pendingOf(view: RunView, task: string): number[] | null {
  const { instances, undecided, unmapped } = view.standing(task);
  if (instances === 0) return null;
  const indexes: number[] = [];
  if (undecided > 0) {
    for (const instance of view.of(task)) if (isUndecided(instance)) indexes.push(instance.mapIndex);
  }
  if (unmapped > 0) indexes.push(...gapsOf(view, task));
  return indexes.sort((a, b) => a - b);
}

function gapsOf(view: RunView, task: string): number[] {
  const { length } = view.mapped(task) ?? { length: 0 };
  return [...Array(length).keys()].filter((mapIndex) => view.get(task, mapIndex) === undefined);
}

/**
 * The order in which a list is mapped. One that a commit has no room for begins with its last element, so that it is known
 * from then on how many there will be.
 */
export function mappingOrder(indexes: Iterable<number>, room: number): number[] {
  const inOrder = [...indexes].sort((a, b) => a - b);
  const last = inOrder.at(-1);
  return last === undefined || inOrder.length <= room ? inOrder : [last, ...inOrder.slice(0, -1)];
}

/**
 * Rows that the next advance of a run needs, in the order in which it decides: results that templates name, and instances
 * that were cleared. About `most` of them; the results that one task asks for come all together or not at all.
 */
export function wantedBy(
  view: RunView,
  plan: Plan,
  known: (taskId: TaskId) => TaskRow | undefined,
  most: number,
): TaskId[] {
  if (endingOf(view.row) !== null) return toStop(view, known);
  const [sweep] = view.row.sweeps;
  if (sweep !== undefined) return toSweep(view, plan, sweep, known, most);
  const wanted: TaskId[] = [];
  for (const place of inOrder(markedTasks(view, plan))) {
    if (wanted.length >= most) break;
    const task = plan.tasks[place];
    if (task === undefined || !isPending(view, task.taskId)) continue;
    if (decideByRule(task.triggerRule, standingOf(view, task.needs)) === 'wait') continue;
    for (const mapIndex of pendingOf(view, task.taskId) ?? []) {
      const instance = view.get(task.taskId, mapIndex);
      if (instance !== undefined && wanted.push(instance.taskId) >= most) break;
    }
    for (const named of plan.results.get(task.taskId)) {
      for (const { state, taskId } of view.of(named)) if (state === 'success') wanted.push(taskId);
    }
  }
  return wanted;
}

/** In the order of the definition: what comes first is decided first. */
export function inOrder(places: ReadonlySet<number>): number[] {
  return [...places].sort((a, b) => a - b);
}
