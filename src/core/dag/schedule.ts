import { later, type WallMs } from '../../kit/time.js';
import type { Draft } from '../draft.js';
import type { Context } from '../inputs.js';
import type { DagDefinition } from './definition.js';
import type { DueRun } from './inputs.js';
import type { DagRow } from './rows.js';
import { createRun, runOfInstant } from './runs.js';
import type { DagState } from './state.js';
import { isTimed, type Timetable } from './timetable.js';

/** Scheduled runs that one DAG gets in one tick; a catch-up of more goes on with the next. */
const RUNS_A_TICK = 16;
/** Runs of one tick; more follow with the next one, at once. */
export const ALL_RUNS_A_TICK = 512;

type Clocks = Pick<Context, 'wall' | 'timetable'>;

/** The runs that a tick creates by their schedules, as far as is known before it is decided. */
export function dueRuns(state: DagState, clocks: Clocks): DueRun[] {
  const due: DueRun[] = [];
  for (const dag of state.dueDags(clocks.wall)) {
    if (due.length >= ALL_RUNS_A_TICK) break;
    due.push(...dueRunsOf(dag, state.activeRuns(dag.dagId), clocks));
  }
  return due;
}

function dueRunsOf(dag: DagRow, active: number, clocks: Clocks): DueRun[] {
  const due: DueRun[] = [];
  let row = dag;
  // As in Airflow: a DAG that is behind with its runs gets no more of them; what it misses is caught up later, or not.
  while (due.length < RUNS_A_TICK && active + due.length < row.maxActiveRuns) {
    const at = dueInstant(row, clocks);
    if (at === null || !isTimed(row.schedule)) break;
    const next = instantAfter(clocks.timetable, row, at);
    const intervalStart = clocks.timetable.previous(row.schedule, at, null) ?? at;
    due.push({ dagId: dag.dagId, at, intervalStart, next, backfill: '' });
    row = { ...row, nextInstant: next };
  }
  return due;
}

/** Creates the runs whose instants have come; nobody has to be connected for it (I9). */
export function createDueRuns(draft: Draft): void {
  for (const { dagId, at, intervalStart, next, backfill } of draft.dags.due) {
    const dag = backfill === '' ? draft.dags.dag(dagId) : undefined;
    // Another input of the same batch has paused it, or given it another schedule.
    if (dag === undefined || !dag.active || dag.paused || dag.nextInstant === null || dag.nextInstant > at)
      continue;
    draft.dags.putDag({ ...dag, lastInstant: at, nextInstant: next });
    // Somebody was first with a run of this instant: it is the one that there may be.
    if (runOfInstant(draft, { dagId, at }) !== undefined) continue;
    const params = dag.defaultParams;
    const run = { type: 'scheduled', runId: '', logicalDate: at, intervalStart, params } as const;
    createRun(draft, dag, { ...run, consumed: [], backfill: '' });
  }
}

/** The instant that gets a run now: the next one, or, without catch-up, the newest that has come. */
function dueInstant(dag: DagRow, { wall, timetable }: Clocks): WallMs | null {
  const { nextInstant, schedule, startDate, endDate, catchup } = dag;
  if (nextInstant === null || nextInstant > wall) return null;
  if (catchup || !isTimed(schedule)) return nextInstant;
  const until = endDate === null || endDate > wall ? wall : endDate;
  const newest = timetable.previous(schedule, later(until, 1), startDate);
  return newest === null || newest < nextInstant ? nextInstant : newest;
}

function instantAfter(
  timetable: Timetable,
  { schedule, startDate, endDate }: Pick<DagRow, 'schedule' | 'startDate' | 'endDate'>,
  after: WallMs,
): WallMs | null {
  if (!isTimed(schedule)) return null;
  const next = timetable.next(schedule, after, startDate);
  return next === null || (endDate !== null && next > endDate) ? null : next;
}

/** The instants of a schedule from `from` to `to`, both included; `most` at most. */
export function instantsOf(
  timetable: Timetable,
  dag: Pick<DagRow, 'schedule' | 'startDate' | 'endDate'>,
  range: { readonly from: WallMs; readonly to: WallMs },
  most: number,
): WallMs[] {
  const instants: WallMs[] = [];
  let at = instantAfter(timetable, dag, later(range.from, -1));
  while (at !== null && at <= range.to && instants.length < most) {
    instants.push(at);
    at = instantAfter(timetable, dag, at);
  }
  return instants;
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
  return instantAfter(draft.ctx.timetable, definition, lastInstant ?? first);
}
