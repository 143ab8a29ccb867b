import type { TaskId } from '../../kit/ids.js';
import { later, type WallMs } from '../../kit/time.js';
import { cancelTask } from '../ask.js';
import type { Draft } from '../draft.js';
import { MARKED } from '../requests.js';
import { isFinal, type TaskRow } from '../rows.js';
import type { Plan } from './plan.js';
import {
  type DagRow,
  instantKeyOf,
  type RunInstant,
  type RunRow,
  type RunState,
  type RunType,
  runKeyOf,
} from './rows.js';
import { type RunView, standingOf } from './run-view.js';
import { type Ending, endingOf, requestOf, turnOf } from './state.js';
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

/** One run per DAG and instant, whatever its type and name: Airflow's constraint. Undefined when it has none. */
export function runOfInstant(draft: Draft, instant: RunInstant): RunRow | undefined {
  for (const row of draft.dags.runs.values())
    if (row.dagId === instant.dagId && row.logicalDate === instant.at) return row;
  const known = draft.dags.instants.get(instantKeyOf(instant));
  return known === undefined ? undefined : draft.dags.runRow(known);
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
    timeoutAt: null,
    rerunBy: '',
    sweeps: [],
    instancesAtEnd: null,
  }).row;
}

/** The start of a run's data interval: the instant before its own, or its own when it has none. */
export function intervalStartOf(draft: Draft, dag: DagRow, at: WallMs): WallMs {
  if (!isTimed(dag.schedule)) return at;
  return draft.ctx.timetable.previous(dag.schedule, at, null) ?? at;
}

/** A queued run starts when its DAG, or its backfill, has room for another. */
export function startRun(draft: Draft, view: RunView, plan: Plan): boolean {
  const { dagId } = view.row;
  const backfill = turnOf(view.row);
  const own = backfill === '' ? undefined : draft.dags.backfill(backfill);
  if (own?.state === 'paused') return false;
  const most = own?.maxActiveRuns ?? draft.dags.dag(dagId)?.maxActiveRuns ?? 1;
  if (runningBeside(draft, view.row) >= most) return false;
  const { wall, service } = draft.ctx;
  // Versions that were stored before there was one have none.
  const timeoutMs = plan.definition.dagrunTimeoutMs ?? null;
  const timeoutAt = timeoutMs === null ? null : later(service, timeoutMs);
  draft.dags.putRun({ ...view.row, state: 'running', startedAt: view.row.startedAt ?? wall, timeoutAt });
  return true;
}

/** Airflow's dagrun_timeout: what runs for too long fails, and so does what of it has not ended. */
export function endTimedOutRuns(draft: Draft): void {
  for (const run of draft.state.dags.timedOut(draft.ctx.service)) {
    const view = draft.dags.run(run);
    if (view !== undefined && view.row.timeoutAt !== null && endingOf(view.row) === null)
      requestEnd(draft, view.row, 'timed_out');
  }
}

/** Runs of the same DAG, or of the same backfill, that are running. */
function runningBeside(draft: Draft, own: RunRow): number {
  let running = 0;
  for (const run of draft.state.dags.runsOf.get(own.dagId) ?? []) {
    const row = draft.dags.peek(run)?.row;
    if (row?.state === 'running' && turnOf(row) === turnOf(own)) running++;
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
  const over = { timeoutAt: null, sweeps: [], instancesAtEnd: view.count };
  draft.dags.putRun({ ...view.row, ...over, state, reason, endedAt: draft.ctx.wall });
}

/** Somebody, or its timeout, wants the run to end: what of it has not ended is dealt with when it is advanced next. */
export function requestEnd(draft: Draft, run: RunRow, as: Ending): RunRow {
  const view = draft.dags.putRun({ ...run, reason: requestOf(as), sweeps: [] });
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
    else cancelTask(draft, task, REASONS_TO_STOP[ending]);
  }
  view.touched = left ? 'all' : new Set();
  if (!left && view.isStill) putEnd(draft, view, ...ENDS[ending]);
}

const REASONS_TO_STOP: Readonly<Record<Ending, string>> = {
  cancelled: 'its run was ended as cancelled',
  success: 'its run was ended as success',
  failed: 'its run was ended as failed',
  timed_out: 'its run has timed out',
};

/** As what a run ends, and why. */
const ENDS: Readonly<Record<Ending, readonly [RunState, string]>> = {
  cancelled: ['cancelled', 'cancelled'],
  success: ['success', MARKED],
  failed: ['failed', MARKED],
  timed_out: ['failed', 'run_timed_out'],
};

/** Which runs are looked at together by one advance; more wait for the next one, which follows at once. */
export const ADVANCE_RUNS = 64;
