import type { WallMs } from '../../kit/time.js';
import type { Draft } from '../draft.js';
import type { Plan } from './plan.js';
import type { DagRow, RunRow, RunType } from './rows.js';
import { runKeyOf } from './rows.js';
import { isDone, type RunView, standingOf } from './run-view.js';
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
  const most =
    backfill === '' ? draft.dags.dag(dagId)?.maxActiveRuns : draft.dags.backfill(backfill)?.maxActiveRuns;
  if (runningBeside(draft, view.row) >= (most ?? 1)) return false;
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

/** A run is over when everything of its definition is: its leaves say how. A cancelled one waits for what had started. */
export function endRun(draft: Draft, view: RunView, plan: Plan, cancelled: boolean): void {
  const { wall } = draft.ctx;
  if (cancelled) {
    const started = [...view.tasks()];
    const standing = standingOf(view, started);
    const over = standing.success + standing.failed + standing.skipped + standing.upstreamFailed;
    if (started.length === 0 || over === standing.total)
      draft.dags.putRun({ ...view.row, state: 'cancelled', reason: 'cancelled', endedAt: wall });
    return;
  }
  if (!isOver(view, plan)) return;
  const { failed, upstreamFailed } = standingOf(view, plan.leaves);
  const state = failed + upstreamFailed > 0 ? 'failed' : 'success';
  draft.dags.putRun({ ...view.row, state, reason: state === 'failed' ? 'leaf_failed' : '', endedAt: wall });
}

/** Whether everything of the definition is decided and over. */
function isOver(view: RunView, plan: Plan): boolean {
  const over = (task: string) => isDone(standingOf(view, [task]));
  return plan.leaves.every(over) && plan.tasks.every(({ taskId }) => over(taskId));
}

/** Which runs are looked at together by one advance; more wait for the next one, which follows at once. */
export const ADVANCE_RUNS = 64;
