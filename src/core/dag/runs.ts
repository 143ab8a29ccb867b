import type { TaskId } from '../../kit/ids.js';
import type { WallMs } from '../../kit/time.js';
import { cancelTask } from '../ask.js';
import type { Draft } from '../draft.js';
import { MARKED } from '../requests.js';
import { isFinal, type TaskRow } from '../rows.js';
import type { Plan } from './plan.js';
import type { DagRow, RunRow, RunState, RunType } from './rows.js';
import { runKeyOf } from './rows.js';
import { type RunView, standingOf } from './run-view.js';
import { type Ending, requestOf } from './state.js';
import { isTimed } from './timetable.js';

/** What makes one run of a DAG differ from another. */
export interface NewRun {
  readonly type: RunType;
  /** Empty: named for its type and date. */
  readonly runId: string;
  readonly logicalDate: WallMs | null;
  readonly intervalStart: WallMs | null;
  readonly params: string;
  readonly consumed: RunRow['consumed'];
  readonly backfill: string;
}

/** Airflow's form: the type, then the date that it stands for. */
export function runIdOf(type: RunType, at: WallMs): string {
  return `${type}__${new Date(at).toISOString()}`;
}

export function createRun(draft: Draft, dag: DagRow, run: NewRun): RunRow {
  const { wall } = draft.ctx;
  const runId = run.runId === '' ? runIdOf(run.type, run.logicalDate ?? wall) : run.runId;
  const { type, logicalDate, intervalStart, params, consumed, backfill } = run;
  return draft.dags.putRun({
    run: runKeyOf(dag.dagId, runId),
    version: 0,
    dagId: dag.dagId,
    runId,
    type,
    state: 'queued',
    reason: '',
    definitionVersion: dag.definitionVersion,
    logicalDate,
    intervalStart,
    intervalEnd: logicalDate,
    params,
    consumed,
    backfill,
    createdAt: wall,
    startedAt: null,
    endedAt: null,
  }).row;
}

/** The start of a run's data interval: the instant before its own, or its own when it has none. */
export function intervalStartOf(draft: Draft, dag: DagRow, at: WallMs): WallMs {
  if (!isTimed(dag.schedule)) return at;
  return draft.ctx.timetable.previous(dag.schedule, at, null) ?? at;
}

/** A queued run starts when its DAG, or its backfill, has room for another. */
export function startRun(draft: Draft, view: RunView): boolean {
  const { dagId, backfill } = view.row;
  const own = backfill === '' ? undefined : draft.dags.backfill(backfill);
  if (own?.state === 'paused') return false;
  const most = own?.maxActiveRuns ?? draft.dags.dag(dagId)?.maxActiveRuns ?? 1;
  if (runningBeside(draft, view.row) >= most) return false;
  draft.dags.putRun({ ...view.row, state: 'running', startedAt: view.row.startedAt ?? draft.ctx.wall });
  return true;
}

/** Runs of the same DAG, or of the same backfill, that are running. */
function runningBeside(draft: Draft, { dagId, backfill }: RunRow): number {
  let running = 0;
  for (const run of draft.state.dags.runsOf.get(dagId) ?? []) {
    const row = draft.dags.peek(run)?.row;
    if (row?.state === 'running' && row.backfill === backfill) running++;
  }
  return running;
}

/** A run is over when everything of its definition is: its leaves say how. */
export function endRun(draft: Draft, view: RunView, plan: Plan): void {
  if (view.over < plan.tasks.length) return;
  const { failed, upstreamFailed } = standingOf(view, plan.leaves);
  const state = failed + upstreamFailed > 0 ? 'failed' : 'success';
  putEnd(draft, view, state, state === 'failed' ? 'leaf_failed' : '');
}

function putEnd(draft: Draft, view: RunView, state: RunState, reason: string): void {
  draft.dags.putRun({ ...view.row, state, reason, endedAt: draft.ctx.wall });
}

/** Somebody wants the run to end: what of it has not ended is dealt with when it is advanced next. */
export function requestEnd(draft: Draft, run: RunRow, as: Ending): RunRow {
  const view = draft.dags.putRun({ ...run, reason: requestOf(as) });
  view.touched = 'all';
  return view.row;
}

/** Instances that one advance stops; more wait for the next one, which follows at once. */
const STOPS_AT_ONCE = 250;

/** Instances to be stopped of a run that is to end: those that have not ended and were not asked yet. */
export function toStop(view: RunView, known: (taskId: TaskId) => TaskRow | undefined): TaskId[] {
  const found: TaskId[] = [];
  for (const task of view.tasks()) {
    for (const { taskId, state } of view.of(task)) {
      if (isFinal(state) || known(taskId)?.stopRequest?.kind === 'cancel') continue;
      if (found.push(taskId) === STOPS_AT_ONCE) return found;
    }
  }
  return found;
}

/** Step by step everything of it is cancelled (P15); once all that had begun is over, the run has ended. */
export function stopRun(draft: Draft, view: RunView, ending: Ending): void {
  const found = toStop(view, (taskId) => draft.task(taskId));
  let left = found.length === STOPS_AT_ONCE;
  for (const taskId of found) {
    const task = draft.task(taskId);
    if (task === undefined) left = true;
    else cancelTask(draft, task, `its run was ended as ${ending}`);
  }
  view.touched = left ? 'all' : new Set();
  if (!left && view.isStill) putEnd(draft, view, ending, ending === 'cancelled' ? 'cancelled' : MARKED);
}

/** Which runs are looked at together by one advance; more wait for the next one, which follows at once. */
export const ADVANCE_RUNS = 64;
