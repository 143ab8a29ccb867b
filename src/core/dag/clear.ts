import type { TaskId } from '../../kit/ids.js';
import { ask } from '../ask.js';
import type { Draft } from '../draft.js';
import type { CallFault } from '../inputs.js';
import { askedOf } from '../requests.js';
import type { TaskRow } from '../rows.js';
import { noRun } from './by-hand.js';
import type { Answer, DagCallOf, InstanceFound } from './calls.js';
import { endUnrun } from './instances.js';
import { INSTANCES_AT_ONCE } from './pending.js';
import { type Plan, taskOf } from './plan.js';
import type { InstanceChoice, RunKey, RunRow, SweepOfRun } from './rows.js';
import { type InstanceAt, instanceAt, RunView } from './run-view.js';
import { isActive } from './state.js';
import { keepSweep, type MeantInstance, meantBy, SWEEPS_KEPT } from './sweeps.js';

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

const sweepOfClear = ({
  tasks,
  upstream,
  downstream,
  onlyFailed,
  reason,
}: DagCallOf<'clear'>): SweepOfRun => ({
  ...{ kind: 'clear', tasks, own: true, upstream, downstream, only: onlyFailed ? 'failed' : 'any', reason },
});

/** Of a mark: what could not run because of the marked ones is decided anew. */
const sweepsOfMark = ({ tasks, as, reason }: DagCallOf<'mark'>): [mark: SweepOfRun, clear: SweepOfRun] => {
  const kind = as === 'success' ? 'mark_success' : 'mark_failed';
  return [
    { kind, tasks, own: true, upstream: false, downstream: false, only: 'any', reason },
    { kind: 'clear', tasks, own: false, upstream: false, downstream: true, only: 'blocked', reason },
  ];
};

/** Rows of instances of a run in memory that a call decides at once; what it leaves to later commits is read by those. */
export function rowsForCall(
  view: RunView,
  plan: Plan,
  call: DagCallOf<'clear'> | DagCallOf<'mark'>,
): TaskId[] {
  const sweeps = call.action === 'clear' ? [sweepOfClear(call)] : sweepsOfMark(call);
  return sweeps.flatMap((sweep) => {
    const meant = [...meantBy(view, plan, sweep)];
    return meant.length <= INSTANCES_AT_ONCE ? meant.map(({ at }) => at.taskId) : [];
  });
}

/** Decides the chosen instances anew (P15: those that an agent holds, once it has answered); an ended run goes on. */
export function clearInstances(draft: Draft, call: DagCallOf<'clear'>): Answer {
  const found = find(draft, call.run);
  if ('code' in found) return found;
  const fault = unknownOf(found, call.tasks) ?? pruned(found) ?? busy(found);
  if (fault !== null) return fault;
  const sweep = sweepOfClear(call);
  const chosen = [...meantBy(found.view, found.plan, sweep)];
  const instances = chosen.map(({ task, at }) => foundOf(draft, task, at));
  if (call.dryRun || chosen.length === 0) return { kind: 'instances', run: found.row, instances };
  reopen(draft, found.row);
  perform(draft, call.run, sweep, chosen);
  return {
    kind: 'instances',
    run: draft.dags.runRow(call.run) ?? found.row,
    instances: chosen.map(({ task, at }) => foundOf(draft, task, at)),
  };
}

/** At once when one commit has room for all of it, else step by step. */
function perform(draft: Draft, run: RunKey, sweep: SweepOfRun, chosen: readonly MeantInstance[]): void {
  const isRead = chosen.every(({ at }) => draft.task(at.taskId) !== undefined);
  if (chosen.length > INSTANCES_AT_ONCE || !isRead) return keepSweep(draft, run, sweep);
  for (const { at } of chosen) {
    const task = draft.task(at.taskId);
    if (task !== undefined) ask(draft, task, sweep.kind, sweep.reason);
  }
}

/** An ended run goes on: queued, until its DAG has room for it. */
function reopen(draft: Draft, row: RunRow, rerunBy = ''): RunRow {
  if (isActive(row)) return row;
  const again = { ...row, state: 'queued' as const, reason: '', startedAt: null, endedAt: null, rerunBy };
  return draft.dags.putRun({ ...again, instancesAtEnd: null }).row;
}

/** All of an ended run is done again, when its backfill has a turn for it: unless retention has begun to remove it. */
export function rerun(draft: Draft, run: RunRow, backfill: string): void {
  const found = find(draft, run.run);
  if ('code' in found || pruned(found) !== null) return;
  reopen(draft, run, backfill);
  const around = { own: true, upstream: false, downstream: false } as const;
  keepSweep(draft, run.run, {
    kind: 'clear',
    tasks: [],
    ...around,
    only: 'any',
    reason: `backfill ${backfill}`,
  });
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
  if (isActive(row)) return null;
  const { instancesAtEnd: whole } = row;
  if (whole !== null) return view.count < whole ? prunedTo(row, `${whole} instances ${view.count}`) : null;
  const isWhole = (row.state === 'success' || row.state === 'failed') && row.reason !== 'marked';
  // Of one that somebody had ended nobody knows how much was decided, only whether it had begun.
  const least = isWhole ? plan.tasks.length : 1;
  const isLess = row.startedAt !== null && view.decided < least;
  return isLess ? prunedTo(row, `${plan.tasks.length} tasks ${view.decided}`) : null;
}

function prunedTo({ run }: RunRow, left: string): CallFault {
  return {
    code: 'RUN_PRUNED',
    what: `nothing of run ${run} is cleared`,
    because: `of its ${left} are left: retention is about to remove it`,
    try: 'trigger a new run',
  };
}

/** Why an instance is not tried again, because of its run; null when it may be. */
export function retryFault({ dags }: Draft, { instance }: TaskRow): CallFault | null {
  const row = instance === null ? undefined : dags.runRow(instance.run);
  if (row === undefined || isActive(row) || row.instancesAtEnd === null) return null;
  const left = dags.instancesOf(row.run).length;
  return left < row.instancesAtEnd ? prunedTo(row, `${row.instancesAtEnd} instances ${left}`) : null;
}

function busy({ row }: Found): CallFault | null {
  if (row.sweeps.length < SWEEPS_KEPT) return null;
  return {
    code: 'RUN_BUSY',
    what: `nothing more of run ${row.run} is cleared or marked now`,
    because: `${row.sweeps.length} large clears and marks of it are under way`,
    try: 'wait for one of them to be through, or name fewer of its tasks',
  };
}

/** Instances end as an operator says, and what could not run because of them is decided anew, as in Airflow. */
export function markInstances(draft: Draft, call: DagCallOf<'mark'>): Answer {
  const found = find(draft, call.run);
  if ('code' in found) return found;
  const { plan, view } = found;
  const fault = unknownOf(found, call.tasks) ?? pruned(found) ?? busy(found);
  if (fault !== null) return fault;
  const [mark, blocked] = sweepsOfMark(call);
  const run = reopen(draft, found.row);
  const meant = [...meantBy(view, plan, mark)];
  // Looked for before anything is marked: what is named itself does not wait for what is marked with it.
  const behind = [...meantBy(view, plan, blocked)];
  const undecided = new Set(call.tasks.map(({ task }) => task).filter((task) => !view.has(task)));
  const marked = [...undecided].map((task) => markUndecided(draft, plan, run, task, call));
  perform(draft, call.run, mark, meant);
  for (const { task, at } of meant) marked.push({ ...foundOf(draft, task, at), state: at.state });
  perform(draft, call.run, blocked, behind);
  return { kind: 'instances', run: draft.dags.runRow(call.run) ?? run, instances: marked };
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
