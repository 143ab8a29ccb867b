import { later, type WallMs } from '../../kit/time.js';
import type { Draft } from '../draft.js';
import type { DagDefinition } from './definition.js';
import type { DagRow } from './rows.js';
import { createRun, intervalStartOf } from './runs.js';
import { isTimed } from './timetable.js';

/** Scheduled runs that one DAG gets in one tick; a catch-up of more goes on with the next. */
const RUNS_A_TICK = 16;
/** DAGs that one tick deals with; more are dealt with by the next, which follows at once. */
const DAGS_A_TICK = 256;

/** Creates the runs whose instants have come; nobody has to be connected for it (I9). */
export function createDueRuns(draft: Draft): void {
  const due = draft.state.dags.dueDags(draft.ctx.wall);
  for (const { dagId } of due.slice(0, DAGS_A_TICK)) {
    const dag = draft.dags.dag(dagId);
    if (dag !== undefined) createRunsOf(draft, dag);
  }
  if (due.length > DAGS_A_TICK) draft.dags.unfinished = true;
}

function createRunsOf(draft: Draft, dag: DagRow): void {
  let active = activeRuns(draft, dag.dagId);
  let row = dag;
  for (let n = 0; n < RUNS_A_TICK; n++) {
    const at = dueInstant(draft, row);
    // As in Airflow: a DAG that is behind with its runs gets no more of them; what it misses is caught up later, or not.
    if (at === null || active >= row.maxActiveRuns) break;
    createRun(draft, row, {
      type: 'scheduled',
      runId: '',
      logicalDate: at,
      intervalStart: intervalStartOf(draft, row, at),
      params: row.defaultParams,
      consumed: [],
      backfill: '',
    });
    active++;
    row = { ...row, lastInstant: at, nextInstant: instantAfter(draft, row, at) };
  }
  if (row !== dag) draft.dags.putDag(row);
}

/** The instant that gets a run now: the next one, or, without catch-up, the newest that has come. */
function dueInstant(draft: Draft, dag: DagRow): WallMs | null {
  const { nextInstant, schedule, startDate, endDate, catchup } = dag;
  const { wall, timetable } = draft.ctx;
  if (nextInstant === null || nextInstant > wall) return null;
  if (catchup || !isTimed(schedule)) return nextInstant;
  const until = endDate === null || endDate > wall ? wall : endDate;
  const newest = timetable.previous(schedule, later(until, 1), startDate);
  return newest === null || newest < nextInstant ? nextInstant : newest;
}

function instantAfter(
  draft: Draft,
  { schedule, startDate, endDate }: Pick<DagRow, 'schedule' | 'startDate' | 'endDate'>,
  after: WallMs,
): WallMs | null {
  if (!isTimed(schedule)) return null;
  const next = draft.ctx.timetable.next(schedule, after, startDate);
  return next === null || (endDate !== null && next > endDate) ? null : next;
}

/**
 * The next instant of a definition that has just come into force. A DAG that was never scheduled begins with its start
 * date if it catches up, else with the first instant from now on; one that was goes on after its newest run.
 */
export function nextInstantOf(
  draft: Draft,
  definition: Pick<DagDefinition, 'schedule' | 'startDate' | 'endDate' | 'catchup'>,
  lastInstant: WallMs | null,
): WallMs | null {
  const { startDate, catchup } = definition;
  const first = catchup && startDate !== null ? later(startDate, -1) : draft.ctx.wall;
  return instantAfter(draft, definition, lastInstant ?? first);
}

/** Runs of a DAG that are queued or running, backfills left out. */
function activeRuns(draft: Draft, dagId: string): number {
  let active = 0;
  for (const run of draft.state.dags.runsOf.get(dagId) ?? []) {
    if (draft.dags.peek(run)?.row.backfill === '') active++;
  }
  return active;
}
