import type { TaskId } from '../../kit/ids.js';
import type { Draft } from '../draft.js';
import type { TaskRow } from '../rows.js';
import { firstMatch } from '../rules.js';
import { createAssetRuns } from './asset-runs.js';
import type { Json, TaskDefinition } from './definition.js';
import { isTruthy } from './fill.js';
import { endUnrun, makeReady, type NewInstance, type Unrun } from './instances.js';
import { DAG_LIMITS } from './limits.js';
import { type Plan, taskOf } from './plan.js';
import { factsOf, instanceEnv, rendered, renderWork, resultOf, sizeOfWork } from './render.js';
import { admit } from './room.js';
import type { RunKey } from './rows.js';
import { isUndecided, NO_ELEMENT, type RunView, standingOf } from './run-view.js';
import { endRun, startRun, stopRun, toStop } from './runs.js';
import { type ScopeFacts, scopeOf } from './scope.js';
import { endingOf } from './state.js';
import { type Decision, decideByRule } from './trigger-rules.js';
import { eventOf, startWait } from './triggers.js';

/**
 * What comes next in runs of which something has changed. It compares what their definitions want with what is there, so
 * doing it twice, or once more after a crash, changes nothing; nothing else decides what a run does next.
 */
export function advanceRuns(draft: Draft, runs: readonly RunKey[]): void {
  for (const run of runs) {
    const view = draft.dags.run(run);
    // It has ended meanwhile.
    if (view === undefined) draft.dags.advanced.add(run);
    const plan = view === undefined ? undefined : draft.dags.plan(view.row);
    // A run that this very batch has made: its definition is read for the next one.
    if (view === undefined || plan === undefined) continue;
    draft.dags.advanced.add(run);
    const ending = endingOf(view.row);
    if (ending !== null) stopRun(draft, view, ending);
    if (ending !== null || draft.dags.dag(view.row.dagId)?.paused === true) continue;
    if (view.row.state === 'queued' && !startRun(draft, view)) continue;
    advanceRun(draft, view, plan);
  }
  createAssetRuns(draft);
  draft.dags.looksForRoom = true;
  draft.dags.unfinished = !admit(draft);
}

/** Round by round: what one round ends without a try is what the next one looks behind. */
function advanceRun(draft: Draft, view: RunView, plan: Plan): void {
  let marked = markedTasks(view, plan);
  const unread = new Set<string>();
  view.touched = new Set();
  while (marked.size > 0) {
    const next = new Set<number>();
    for (const place of [...marked].sort((a, b) => a - b)) {
      const task = plan.tasks[place];
      if (task === undefined) continue;
      const outcome = decideTask(draft, view, plan, task);
      if (outcome === 'unread') unread.add(task.taskId);
      if (outcome === 'ended') markDownstream(plan, task.taskId, next);
    }
    marked = next;
  }
  view.touched = unread;
  if (unread.size === 0) endRun(draft, view, plan);
}

/** Places of the tasks that have changed, because they may be to be decided anew, and of those that come after them. */
function markedTasks(view: RunView, plan: Plan): Set<number> {
  if (view.touched === 'all') return new Set(plan.tasks.keys());
  const marked = new Set<number>();
  for (const task of view.touched) {
    // Itself as well: it may have been cleared, or its wait be over.
    marked.add(plan.placeOf.get(task) ?? -1);
    markDownstream(plan, task, marked);
  }
  return marked;
}

function markDownstream(plan: Plan, task: string, marked: Set<number>): void {
  for (const next of plan.graph.downstream.get(task) ?? []) marked.add(plan.placeOf.get(next) ?? -1);
}

/** Whether anything of a task is to be decided: all of it, or instances that were cleared or have waited. */
function hasUndecided(view: RunView, task: string): boolean {
  const { instances, undecided } = view.standing(task);
  return instances === 0 || undecided > 0;
}

/** Map indexes of a task's instances that are to be decided; null when all of it is. */
function undecidedOf(view: RunView, task: string): number[] | null {
  const { instances, undecided } = view.standing(task);
  if (instances === 0) return null;
  if (undecided === 0) return [];
  return [...view.of(task)].filter(isUndecided).map(({ mapIndex }) => mapIndex);
}

/** Rows that the next advance of a run needs: results that templates name, and instances that were cleared. */
export function wantedBy(
  view: RunView,
  plan: Plan,
  known: (taskId: TaskId) => TaskRow | undefined,
): TaskId[] {
  if (endingOf(view.row) !== null) return toStop(view, known);
  const wanted: TaskId[] = [];
  for (const place of markedTasks(view, plan)) {
    const task = plan.tasks[place];
    if (task === undefined || !hasUndecided(view, task.taskId)) continue;
    if (decideByRule(task.triggerRule, standingOf(view, task.needs)) === 'wait') continue;
    for (const instance of view.of(task.taskId)) if (isUndecided(instance)) wanted.push(instance.taskId);
    for (const named of plan.results.get(task.taskId) ?? []) {
      for (const { state, taskId } of view.of(named)) if (state === 'success') wanted.push(taskId);
    }
  }
  return wanted;
}

/** What a task is decided on. */
interface TaskCase {
  readonly draft: Draft;
  readonly view: RunView;
  readonly plan: Plan;
  readonly task: TaskDefinition;
  readonly decision: Exclude<Decision, 'wait'>;
  readonly results: Readonly<Record<string, Json>>;
}

/** How a task ends that does not run at all. The first row that matches. */
export const UNRUN_RULES: readonly {
  readonly name: string;
  readonly when: (c: TaskCase) => boolean;
  readonly then: (c: TaskCase) => Unrun;
}[] = [
  {
    // Before the trigger rule: what a short circuit cuts off is skipped, whatever else its needs came to.
    name: 'short_circuit',
    when: ({ plan, task, view, results }) =>
      (plan.circuits.get(task.taskId) ?? []).some(
        (circuit) => view.has(circuit) && circuit in results && !isTruthy(results[circuit] ?? null),
      ),
    then: () => ({ edge: 'skipTask', reason: 'short_circuit', message: '' }),
  },
  {
    name: 'trigger_rule_skips',
    when: ({ decision }) => decision === 'skip',
    then: ({ task }) => ({ edge: 'skipTask', reason: 'trigger_rule', message: task.triggerRule }),
  },
  {
    name: 'upstream_failed',
    when: ({ decision }) => decision === 'upstream_failed',
    then: ({ task }) => ({ edge: 'failUpstream', reason: 'upstream_failed', message: task.triggerRule }),
  },
];

/** `ended`: what comes after it is to be looked at; `unread`: rows are missing that the next batch will have read. */
function decideTask(
  draft: Draft,
  view: RunView,
  plan: Plan,
  task: TaskDefinition,
): 'left' | 'ended' | 'unread' {
  const indexes = undecidedOf(view, task.taskId);
  if (indexes !== null && indexes.length === 0) return 'left';
  const decision = decideByRule(task.triggerRule, standingOf(view, task.needs));
  if (decision === 'wait') return 'left';
  const results = resultsFor(draft, view, plan, task);
  const cleared = (indexes ?? []).map((index) => view.get(task.taskId, index)?.taskId);
  if (results === null || cleared.some((taskId) => taskId !== undefined && draft.task(taskId) === undefined))
    return 'unread';
  const c: TaskCase = { draft, view, plan, task, decision, results };
  const unrun = firstMatch('unrun', UNRUN_RULES, draft.ctx.tally, c);
  if (unrun !== undefined) {
    for (const mapIndex of indexes ?? [-1]) endUnrun(draft, { view, task, mapIndex }, unrun.then(c));
    return 'ended';
  }
  return runTask(c, indexes);
}

/** Results that the task's templates name; null when some are not read yet. A mapped task's are a list. */
function resultsFor(
  draft: Draft,
  view: RunView,
  plan: Plan,
  task: TaskDefinition,
): Record<string, Json> | null {
  const results: Record<string, Json> = {};
  for (const named of plan.results.get(task.taskId) ?? []) {
    const values: Json[] = [];
    for (const { state, taskId } of [...view.of(named)].sort((a, b) => a.mapIndex - b.mapIndex)) {
      if (state !== 'success') continue;
      const row = draft.tasks.get(taskId) ?? draft.loaded.tasks.get(taskId);
      if (row === undefined) return null;
      values.push(resultOf(row));
    }
    if (taskOf(plan, named).expand !== '') results[named] = values;
    else if (values.length > 0) results[named] = values[0] ?? null;
  }
  return results;
}

/** All instances of a task that is to run; a template that cannot be filled in fails the instance, and says why. */
function runTask(
  { draft, view, task, results }: TaskCase,
  indexes: readonly number[] | null,
): 'left' | 'ended' {
  const facts = factsOf(view.row, task.taskId, results);
  const scope = scopeOf(facts);
  const only = (end: Unrun) => {
    for (const mapIndex of indexes ?? [-1]) endUnrun(draft, { view, task, mapIndex }, end);
    return 'ended' as const;
  };
  if (task.when !== '') {
    const wanted = rendered(task.when, scope);
    if (!wanted.ok) return only(failedBy(wanted.fault));
    if (!isTruthy(wanted.value)) return only({ edge: 'skipTask', reason: 'when', message: task.when });
  }
  if (task.expand === '') return runInstance(draft, { view, task, mapIndex: -1 }, facts);
  const list = rendered(task.expand, scope);
  if (!list.ok) return only(failedBy(list.fault));
  const items = list.value;
  if (!Array.isArray(items)) return only({ ...NO_LIST, message: `${task.expand} is no list` });
  if (items.length > DAG_LIMITS.mappedInstances) return only({ ...TOO_MANY, message: tooMany(items.length) });
  if (items.length === 0) return only({ edge: 'skipTask', reason: 'nothing_to_map', message: task.expand });
  let ended = false;
  for (const mapIndex of indexesOf(view, task.taskId, indexes, items.length)) {
    const item = (items as readonly Json[])[mapIndex];
    // Cleared, and the list is shorter this time, or there was none the time before.
    const end: Unrun = { edge: 'skipTask', reason: NO_ELEMENT, message: task.expand };
    const instance = { view, task, mapIndex };
    if (item === undefined) endUnrun(draft, instance, end);
    else if (runInstance(draft, instance, { ...facts, mapIndex, item }) === 'left') continue;
    ended = true;
  }
  return ended ? 'ended' : 'left';
}

/** What was cleared is mapped anew; when that is all of a task, so is every element that has come since. */
function indexesOf(
  view: RunView,
  task: string,
  cleared: readonly number[] | null,
  length: number,
): Iterable<number> {
  if (cleared === null) return Array(length).keys();
  if (cleared.length < view.standing(task).instances) return cleared;
  return new Set([...cleared, ...Array(length).keys()]);
}

const NO_LIST = { edge: 'failTask', reason: 'not_a_list' } as const;
const TOO_MANY = { edge: 'failTask', reason: 'too_many_instances' } as const;

function tooMany(length: number): string {
  return `${length} elements, because a mapped task has at most ${DAG_LIMITS.mappedInstances} instances; map over larger parts`;
}

function tooLarge(bytes: number): string {
  return `${bytes} bytes once its templates are filled in, because a task gets at most ${DAG_LIMITS.workBytes}; hand on where the data is, not the data`;
}

function failedBy({ what, because, try: advice }: { what: string; because: string; try: string }): Unrun {
  return { edge: 'failTask', reason: 'template', message: `${what}, because ${because}; ${advice}` };
}

/** One instance: ready to be queued, deferred to its trigger first, or over at once when it has no work. */
function runInstance(draft: Draft, instance: NewInstance, facts: ScopeFacts): 'left' | 'ended' {
  const { view, task, mapIndex } = instance;
  const taskId = view.get(task.taskId, mapIndex)?.taskId;
  const event = task.wait === null ? undefined : eventOf(taskId && draft.task(taskId));
  if (task.wait !== null && event === undefined) return startWait(draft, instance, task.wait, scopeOf(facts));
  const scope = scopeOf({ ...facts, event });
  const work = renderWork(task.work, scope, instanceEnv(view.row, task, mapIndex));
  if (!work.ok) {
    endUnrun(draft, instance, failedBy(work.fault));
    return 'ended';
  }
  const size = work.value === null ? 0 : sizeOfWork(work.value);
  if (size > DAG_LIMITS.workBytes) {
    endUnrun(draft, instance, { edge: 'failTask', reason: 'work_too_large', message: tooLarge(size) });
    return 'ended';
  }
  if (work.value === null) {
    const result = event === undefined ? {} : { result: new TextEncoder().encode(JSON.stringify(event)) };
    endUnrun(draft, instance, { edge: 'succeedTask', reason: '', message: '', ...result });
    return 'ended';
  }
  makeReady(draft, instance, work.value);
  return 'left';
}
