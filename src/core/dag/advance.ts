import type { Draft } from '../draft.js';
import { firstMatch } from '../rules.js';
import { createAssetRuns } from './asset-runs.js';
import type { Json, TaskDefinition } from './definition.js';
import { isTruthy } from './fill.js';
import { endUnrun, makeReady, type NewInstance, type Unrun } from './instances.js';
import { DAG_LIMITS } from './limits.js';
import {
  INSTANCES_AT_ONCE,
  inOrder,
  mappingOrder,
  markDownstream,
  markedTasks,
  pendingOf,
} from './pending.js';
import { type Plan, taskOf } from './plan.js';
import { factsOf, instanceEnv, rendered, renderWork, resultOf, sizeOfWork } from './render.js';
import { admit } from './room.js';
import type { RunKey } from './rows.js';
import { NO_ELEMENT, type RunView, standingOf } from './run-view.js';
import { endRun, startRun, stopRun } from './runs.js';
import { type ScopeFacts, scopeOf } from './scope.js';
import { isDone } from './standing.js';
import { endingOf } from './state.js';
import { sweepRun } from './sweeps.js';
import { type Decision, decideByRule, judgement } from './trigger-rules.js';
import { eventOf, startWait } from './triggers.js';

/**
 * What comes next in runs of which something has changed. It compares what their definitions want with what is there, so
 * doing it twice, or once more after a crash, changes nothing; nothing else decides what a run does next.
 */
export function advanceRuns(draft: Draft, runs: readonly RunKey[]): void {
  draft.dags.limitChanges(INSTANCES_AT_ONCE);
  for (const run of runs) {
    // Those that are left have their turn before the ones that were looked at.
    if (draft.dags.room === 0) break;
    const view = draft.dags.run(run);
    // It has ended meanwhile.
    if (view === undefined) draft.dags.advanced.add(run);
    const plan = view === undefined ? undefined : draft.dags.plan(view.row);
    // A run that this very batch has made: its definition is read for the next one.
    if (view === undefined || plan === undefined) continue;
    draft.dags.advanced.add(run);
    const ending = endingOf(view.row);
    const isSwept = ending === null && view.row.sweeps.length > 0;
    if (ending !== null) stopRun(draft, view, ending);
    if (isSwept) sweepRun(draft, view, plan);
    if (ending !== null || isSwept || draft.dags.dag(view.row.dagId)?.paused === true) continue;
    if (view.row.state === 'queued' && !startRun(draft, view, plan)) continue;
    advanceRun(draft, view, plan);
  }
  createAssetRuns(draft);
  draft.dags.limitChanges(INSTANCES_AT_ONCE);
  draft.dags.looksForRoom = true;
  draft.dags.unfinished = !admit(draft);
}

/**
 * Round by round: what one round ends without a try is what the next one looks behind. What a commit has no room for stays
 * marked, for the next one.
 */
function advanceRun(draft: Draft, view: RunView, plan: Plan): void {
  let marked = markedTasks(view, plan);
  const left = new Set<string>();
  view.touched = new Set();
  while (marked.size > 0) {
    const next = new Set<number>();
    for (const place of inOrder(marked)) {
      const task = plan.tasks[place];
      if (task === undefined) continue;
      const outcome = draft.dags.room === 0 ? 'part' : decideTask(draft, view, plan, task);
      if (outcome === 'part') left.add(task.taskId);
      if (outcome === 'ended') markDownstream(plan, task.taskId, next);
    }
    marked = next;
  }
  view.touched = left;
  if (left.size === 0) endRun(draft, view, plan);
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
    when: (c) => c.plan.circuits.get(c.task.taskId).some((circuit) => saysNo(c, circuit)),
    then: () => ({ edge: 'skipTask', reason: 'short_circuit', message: '' }),
  },
  {
    name: 'trigger_rule_skips',
    when: ({ decision }) => decision === 'skip',
    then: (c) => ({ edge: 'skipTask', reason: 'trigger_rule', message: ruleWords(c) }),
  },
  {
    name: 'upstream_failed',
    when: ({ decision }) => decision === 'upstream_failed',
    then: (c) => ({ edge: 'failUpstream', reason: 'upstream_failed', message: ruleWords(c) }),
  },
];

/** A mapped one has no result before all of it has ended, and none when any of it failed: what is there by then is no list of it. */
function saysNo({ view, results }: TaskCase, circuit: string): boolean {
  const standing = view.standing(circuit);
  const { failed, upstreamFailed } = standing;
  if (!view.has(circuit) || !isDone(standing) || failed + upstreamFailed > 0) return false;
  return circuit in results && !isTruthy(results[circuit] ?? null);
}

const ruleWords = ({ task, view }: TaskCase): string =>
  judgement(task.triggerRule, standingOf(view, task.needs));

/** `ended`: what comes after it is to be looked at; `part`: it is to be looked at again, on rows that were not read or in the next commit. */
type Outcome = 'left' | 'ended' | 'part';

function decideTask(draft: Draft, view: RunView, plan: Plan, task: TaskDefinition): Outcome {
  const pending = pendingOf(view, task.taskId);
  if (pending !== null && pending.length === 0) return 'left';
  const decision = decideByRule(task.triggerRule, standingOf(view, task.needs));
  if (decision === 'wait') return 'left';
  const results = resultsFor(draft, view, plan, task);
  if (results === null) return 'part';
  const c: TaskCase = { draft, view, plan, task, decision, results };
  const unrun = firstMatch('unrun', UNRUN_RULES, draft.ctx.tally, c);
  return unrun === undefined ? runTask(c, pending) : endAll(c, pending ?? [-1], unrun.then(c));
}

/** Whether the row is there that an instance is decided on; one that is new needs none. */
function isRead({ draft, view, task }: TaskCase, mapIndex: number): boolean {
  const known = view.get(task.taskId, mapIndex);
  return known === undefined || draft.task(known.taskId) !== undefined;
}

/** Decides instances one by one, as far as their rows are read and the commit has room. */
function decideEach(
  c: TaskCase,
  indexes: Iterable<number>,
  decide: (mapIndex: number) => 'left' | 'ended',
): Outcome {
  let ended = false;
  let isWhole = true;
  for (const mapIndex of indexes) {
    if (c.draft.dags.room === 0 || !isRead(c, mapIndex)) isWhole = false;
    else if (decide(mapIndex) === 'ended') ended = true;
    if (c.draft.dags.room === 0 && !isWhole) break;
  }
  if (!isWhole) return 'part';
  return ended ? 'ended' : 'left';
}

/** None of them runs. */
function endAll(c: TaskCase, indexes: readonly number[], end: Unrun): Outcome {
  const { draft, view, task } = c;
  return decideEach(c, indexes, (mapIndex) => {
    endUnrun(draft, { view, task, mapIndex }, end);
    return 'ended';
  });
}

/** Results that the task's templates name; null when some are not read yet. A mapped task's are a list. */
function resultsFor(
  draft: Draft,
  view: RunView,
  plan: Plan,
  task: TaskDefinition,
): Record<string, Json> | null {
  const results: Record<string, Json> = {};
  for (const named of plan.results.get(task.taskId)) {
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
function runTask(c: TaskCase, pending: readonly number[] | null): Outcome {
  const { draft, view, task, results } = c;
  const facts = factsOf(view.row, task.taskId, results);
  const scope = scopeOf(facts);
  const only = (end: Unrun) => endAll(c, pending ?? [-1], end);
  if (task.when !== '') {
    const wanted = rendered(task.when, scope);
    if (!wanted.ok) return only(failedBy(wanted.fault));
    if (!isTruthy(wanted.value)) return only({ edge: 'skipTask', reason: 'when', message: task.when });
  }
  if (task.expand === '')
    return decideEach(c, [-1], (mapIndex) => runInstance(draft, { view, task, mapIndex }, facts));
  const list = rendered(task.expand, scope);
  if (!list.ok) return only(failedBy(list.fault));
  const items = list.value;
  if (!Array.isArray(items)) return only({ ...NO_LIST, message: `${task.expand} is no list` });
  if (items.length > DAG_LIMITS.mappedInstances) return only({ ...TOO_MANY, message: tooMany(items.length) });
  if (items.length === 0) return only({ edge: 'skipTask', reason: 'nothing_to_map', message: task.expand });
  const indexes = indexesOf(view, task.taskId, pending, items.length);
  return decideEach(c, mappingOrder(indexes, draft.dags.room), (mapIndex) => {
    const item = (items as readonly Json[])[mapIndex];
    const instance = { view, task, mapIndex };
    if (item !== undefined) return runInstance(draft, instance, { ...facts, mapIndex, item });
    // Cleared, and the list is shorter this time, or there was none the time before.
    endUnrun(draft, instance, { edge: 'skipTask', reason: NO_ELEMENT, message: task.expand });
    return 'ended';
  });
}

/** What was cleared is mapped anew; when that is all of a task, so is every element that has come since. */
function indexesOf(
  view: RunView,
  task: string,
  pending: readonly number[] | null,
  length: number,
): Iterable<number> {
  if (pending === null) return Array(length).keys();
  const { undecided, instances } = view.standing(task);
  return undecided < instances ? pending : new Set([...pending, ...Array(length).keys()]);
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
