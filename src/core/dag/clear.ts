import { ask } from '../ask.js';
import type { Draft } from '../draft.js';
import type { CallFault } from '../inputs.js';
import { askedOf } from '../requests.js';
import type { TaskRow } from '../rows.js';
import { noRun } from './by-hand.js';
import type { Answer, DagCallOf, InstanceChoice, InstanceFound } from './calls.js';
import { allDownstream, allUpstream } from './graph.js';
import { endUnrun } from './instances.js';
import { type Plan, taskOf } from './plan.js';
import type { RunRow } from './rows.js';
import { type InstanceAt, instanceAt, isUndecided, RunView } from './run-view.js';
import { isActive } from './state.js';

/** A run that instances are chosen of, whether it has ended or not. */
interface Found {
  readonly row: RunRow;
  readonly plan: Plan;
  readonly view: RunView;
}

function find(draft: Draft, run: RunRow['run']): Found | CallFault {
  const row = draft.dags.runRow(run);
  const plan = row && draft.dags.plan(row);
  if (row === undefined || plan === undefined) return noRun(run);
  const active = draft.dags.run(run);
  if (active !== undefined) return { row, plan, view: active };
  const view = new RunView(row);
  for (const task of draft.dags.instancesOf(run)) {
    if (task.instance !== null) view.put(task.instance.task, instanceAt(task));
  }
  return { row, plan, view };
}

/** A task, or an instance, that the run does not have; null when all are known. */
function unknownOf({ row, plan, view }: Found, tasks: readonly InstanceChoice[]): CallFault | null {
  for (const { task, mapIndex } of tasks) {
    const isKnown = plan.placeOf.has(task) && (mapIndex === null || view.get(task, mapIndex) !== undefined);
    if (isKnown) continue;
    return {
      code: 'TASK_NOT_IN_DAG',
      what: `run ${row.run} has no ${mapIndex === null ? task : `${task}[${mapIndex}]`}`,
      because: `DAG ${row.dagId} has none in version ${row.definitionVersion}, which the run keeps, or it has no such instance`,
      try: 'use `run describe` to see its instances',
    };
  }
  return null;
}

const FAILED = new Set<string>(['failed', 'upstream_failed', 'cancelled']);

/** The instances that a clear means, needs first. Those that wait to be decided anyway are left out. */
function meant({ plan, view }: Found, call: DagCallOf<'clear'>): { task: string; at: InstanceAt }[] {
  const { graph } = plan;
  const all = call.tasks.length === 0;
  const named = new Map(call.tasks.map(({ task, mapIndex }) => [task, mapIndex] as const));
  const around = new Set<string>();
  for (const task of named.keys()) {
    if (call.upstream) for (const other of allUpstream(graph, task)) around.add(other);
  }
  if (call.downstream) for (const other of allDownstream(graph, ...named.keys())) around.add(other);
  const found: { task: string; at: InstanceAt }[] = [];
  for (const { taskId: task } of plan.tasks) {
    if (!all && !named.has(task) && !around.has(task)) continue;
    const chosen = call.tasks.filter((choice) => choice.task === task).map(({ mapIndex }) => mapIndex);
    const isWhole = all || around.has(task) || chosen.includes(null);
    for (const at of view.of(task)) {
      if (!isWhole && !chosen.includes(at.mapIndex)) continue;
      if ((call.onlyFailed && !FAILED.has(at.state)) || isUndecided(at)) continue;
      found.push({ task, at });
    }
  }
  return found;
}

/** Decides the chosen instances anew (P15: those that an agent holds, once it has answered); an ended run goes on. */
export function clearInstances(draft: Draft, call: DagCallOf<'clear'>): Answer {
  const found = find(draft, call.run);
  if ('code' in found) return found;
  const fault = unknownOf(found, call.tasks) ?? pruned(found);
  if (fault !== null) return fault;
  const chosen = meant(found, call);
  const instances = chosen.map(({ task, at }) => foundOf(draft, task, at));
  if (call.dryRun || chosen.length === 0) return { kind: 'instances', run: found.row, instances };
  const run = reopen(draft, found.row);
  for (const { at } of chosen) clear(draft, rowOf(draft, at), call.reason);
  return { kind: 'instances', run, instances: chosen.map(({ task, at }) => foundOf(draft, task, at)) };
}

/** An ended run goes on: queued, until its DAG has room for it. */
function reopen(draft: Draft, row: RunRow): RunRow {
  if (isActive(row)) return row;
  const again = { ...row, state: 'queued' as const, reason: '', startedAt: null, endedAt: null };
  return draft.dags.putRun(again).row;
}

/** All of an ended run is done again. */
export function rerun(draft: Draft, run: RunRow, reason: string): void {
  reopen(draft, run);
  for (const task of draft.dags.instancesOf(run.run)) clear(draft, task, reason);
}

/** The rows of an ended run's instances are read with it, those of an active one with the call. */
function rowOf(draft: Draft, { taskId }: InstanceAt): TaskRow | undefined {
  return draft.task(taskId);
}

function clear(draft: Draft, task: TaskRow | undefined, reason: string): void {
  if (task !== undefined) ask(draft, task, 'clear', reason);
}

/** An operator's retry of an instance is a clear of it: it waits for its turn, its pool and its needs like any other. */
export function clearOne(draft: Draft, task: TaskRow, reason: string): void {
  const run = task.instance === null ? undefined : draft.dags.runRow(task.instance.run);
  if (run !== undefined) reopen(draft, run);
  clear(draft, task, reason);
}

function foundOf(draft: Draft, task: string, { taskId, mapIndex, state }: InstanceAt): InstanceFound {
  const row = draft.task(taskId);
  return { taskId, task, mapIndex, state, requested: row !== undefined && askedOf(row) !== null };
}

/** Retention removes a run instance by instance: what would be left of it to decide is no run of its definition. */
function pruned({ row, plan, view }: Found): CallFault | null {
  const isWhole = (row.state === 'success' || row.state === 'failed') && row.reason !== 'marked';
  // Of one that somebody has ended nobody knows how much was decided, only whether it had begun.
  const least = isWhole ? plan.tasks.length : 1;
  if (isActive(row) || row.startedAt === null || view.decided >= least) return null;
  return {
    code: 'RUN_PRUNED',
    what: `nothing of run ${row.run} is cleared`,
    because: `of its ${plan.tasks.length} tasks ${view.decided} are left: retention is about to remove it`,
    try: 'trigger a new run',
  };
}

/** Instances end as an operator says, and what could not run because of them is decided anew, as in Airflow. */
export function markInstances(draft: Draft, call: DagCallOf<'mark'>): Answer {
  const found = find(draft, call.run);
  if ('code' in found) return found;
  const { plan, view } = found;
  const fault = unknownOf(found, call.tasks) ?? pruned(found);
  if (fault !== null) return fault;
  const marked: InstanceFound[] = [];
  const run = reopen(draft, found.row);
  const kind = call.as === 'success' ? 'mark_success' : 'mark_failed';
  for (const { task, mapIndex } of call.tasks) {
    if (!view.has(task)) marked.push(markUndecided(draft, plan, run, task, call));
    for (const at of view.of(task)) {
      if (mapIndex !== null && at.mapIndex !== mapIndex) continue;
      const row = rowOf(draft, at);
      if (row !== undefined) ask(draft, row, kind, call.reason);
      marked.push({ ...foundOf(draft, task, at), state: at.state });
    }
  }
  for (const after of allDownstream(plan.graph, ...call.tasks.map(({ task }) => task))) {
    for (const at of view.of(after)) {
      if (at.state === 'upstream_failed' || at.state === 'failed')
        clear(draft, rowOf(draft, at), call.reason);
    }
  }
  return { kind: 'instances', run, instances: marked };
}

/** A task that nothing was decided of yet ends before it begins. */
function markUndecided(
  draft: Draft,
  plan: Plan,
  { run }: RunRow,
  task: string,
  { as, reason }: DagCallOf<'mark'>,
): InstanceFound {
  const view = draft.dags.run(run);
  if (view !== undefined) {
    const edge = as === 'success' ? 'succeedTask' : 'failTask';
    endUnrun(
      draft,
      { view, task: taskOf(plan, task), mapIndex: -1 },
      { edge, reason: 'marked', message: reason },
    );
  }
  return { taskId: null, task, mapIndex: -1, state: null, requested: false };
}
