import type { WallMs } from '../../kit/time.js';
import type { Draft } from '../draft.js';
import type { CallFault, Context } from '../inputs.js';
import { noDag, paramsOf } from './by-hand.js';
import type { Answer, BackfillInstant, DagCallOf } from './calls.js';
import { rerun } from './clear.js';
import type { DueRun } from './inputs.js';
import type { BackfillRow, DagRow, RunRow } from './rows.js';
import { createRun, requestEnd, runOfInstant } from './runs.js';
import { instantsOf } from './schedule.js';
import { type DagState, isActive, turnOf } from './state.js';
import { isTimed, type Timetable } from './timetable.js';

/** Instants of one backfill. */
const BACKFILL_INSTANTS = 1_000;
/** Instants of one backfill that a tick deals with. */
const INSTANTS_A_TICK = 16;

type Range = Pick<DagCallOf<'backfill'>, 'from' | 'to'>;

/** The instants of a backfill; one more than are allowed tells that there are too many. */
export function backfillInstants(timetable: Timetable, dag: DagRow, range: Range): WallMs[] {
  return instantsOf(timetable, dag, range, BACKFILL_INSTANTS + 1);
}

export function createBackfill(draft: Draft, call: DagCallOf<'backfill'>): Answer {
  const { timetable, wall } = draft.ctx;
  const dag = draft.dags.dag(call.dagId);
  if (dag === undefined || !dag.active) return noDag(call.dagId);
  const params = paramsOf(draft, dag, call.params);
  if ('code' in params) return params;
  const instants = backfillInstants(timetable, dag, call);
  const name = call.backfill === '' ? `${call.dagId}__${new Date(wall).toISOString()}` : call.backfill;
  const fault = countFault(dag, instants.length) ?? nameFault(draft, name);
  if (fault !== null) return fault;
  const { from, to, maxActiveRuns, reprocess } = call;
  const row: BackfillRow = {
    ...{ backfill: name, version: 0, dagId: dag.dagId, from, to, next: instants[0] ?? null },
    ...{ params: params.text, maxActiveRuns, reprocess, state: 'running', createdAt: wall },
  };
  const found = instants.map((at) => instantOf(draft, dag.dagId, at, reprocess));
  const backfill = call.dryRun ? row : draft.dags.putBackfill(row);
  return { kind: 'backfill', backfill, instants: found };
}

function countFault({ dagId, schedule }: DagRow, count: number): CallFault | null {
  if (count > BACKFILL_INSTANTS) {
    return {
      code: 'TOO_MANY_INSTANTS',
      what: `no backfill of DAG ${dagId}`,
      because: `the range has more than ${BACKFILL_INSTANTS} instants`,
      try: 'divide it into several ranges',
    };
  }
  if (count > 0) return null;
  return {
    code: 'NO_INSTANTS',
    what: `no backfill of DAG ${dagId}`,
    because: isTimed(schedule)
      ? 'its schedule has no instant in the range, or its start and end date leave none'
      : 'it has no schedule of instants',
    try: 'name another range, or trigger runs by hand with the logical dates that you want',
  };
}

function nameFault(draft: Draft, backfill: string): CallFault | null {
  if (draft.dags.backfill(backfill) === undefined) return null;
  return {
    code: 'BACKFILL_EXISTS',
    what: `no second backfill ${backfill}`,
    because: 'its name is that of another one',
    try: 'name it otherwise, or leave the name out',
  };
}

/** What becomes of an instant: one run for each, and one that goes on is left alone. */
function instantOf(
  draft: Draft,
  dagId: string,
  at: WallMs,
  reprocess: BackfillRow['reprocess'],
): BackfillInstant {
  const run = runOfInstant(draft, { dagId, at }) ?? null;
  const again = run !== null && !isActive(run) && isReprocessed(run, reprocess);
  return { logicalDate: at, then: run === null ? 'create' : again ? 'clear' : 'skip', run };
}

function isReprocessed({ state }: RunRow, reprocess: BackfillRow['reprocess']): boolean {
  switch (reprocess) {
    case 'none':
      return false;
    case 'failed':
      return state === 'failed' || state === 'cancelled';
    case 'completed':
      return true;
  }
}

/** As in Airflow: a cancel takes back the runs that have not begun, and lets those that have go on. */
export function steerBackfill(draft: Draft, { backfill, to }: DagCallOf<'steer_backfill'>): Answer {
  const row = draft.dags.backfill(backfill);
  if (row === undefined) {
    return {
      code: 'BACKFILL_NOT_FOUND',
      what: `no backfill ${backfill}`,
      because: 'it was never created here',
      try: 'use `backfill list` to see them',
    };
  }
  if (row.state === to) return { kind: 'backfill', backfill: row, instants: [] };
  if (row.state === 'completed' || row.state === 'cancelled') {
    return {
      code: 'BACKFILL_ENDED',
      what: `backfill ${backfill} is left as it is`,
      because: `it is ${row.state}`,
      try: 'create another one for the range that you want',
    };
  }
  for (const run of runsOf(draft, row)) {
    if (to === 'cancelled' && run.state === 'queued') requestEnd(draft, run, 'cancelled');
    // What the pause has held back may start.
    if (to === 'running') draft.dags.touchRun(run.run);
  }
  return { kind: 'backfill', backfill: draft.dags.putBackfill({ ...row, state: to }), instants: [] };
}

/** Runs of a backfill that have not ended. */
function runsOf(draft: Draft, { dagId, backfill }: BackfillRow): RunRow[] {
  const rows = [...(draft.state.dags.runsOf.get(dagId) ?? [])].map((run) => draft.dags.peek(run)?.row);
  return rows.filter((row) => row !== undefined && turnOf(row) === backfill && isActive(row)) as RunRow[];
}

/** The runs that backfills have room for, as far as is known before the tick is decided. */
export function dueBackfills(state: DagState, { timetable }: Pick<Context, 'timetable'>): DueRun[] {
  const due: DueRun[] = [];
  for (const row of state.backfills.values()) {
    const dag = state.dags.get(row.dagId);
    if (row.state !== 'running' || row.next === null || dag === undefined || !isTimed(dag.schedule)) continue;
    const room = row.maxActiveRuns - state.activeRuns(row.dagId, row.backfill);
    const most = Math.min(room, INSTANTS_A_TICK);
    if (most <= 0) continue;
    const range = { from: row.next, to: row.to };
    const instants = instantsOf(timetable, dag, range, most + 1);
    for (const [i, at] of instants.slice(0, most).entries()) {
      const intervalStart = timetable.previous(dag.schedule, at, null) ?? at;
      due.push({
        dagId: row.dagId,
        at,
        intervalStart,
        next: instants[i + 1] ?? null,
        backfill: row.backfill,
      });
    }
  }
  return due;
}

/** Ended runs that a backfill is to have done again: all of their instances are read. */
export function isToBeRerun(state: DagState, { backfill }: DueRun, run: RunRow): boolean {
  const row = state.backfills.get(backfill);
  return row !== undefined && !isActive(run) && isReprocessed(run, row.reprocess);
}

/** Goes on with every backfill that has room, and ends those that have come to their end. */
export function advanceBackfills(draft: Draft): void {
  for (const due of draft.dags.due) {
    const row = due.backfill === '' ? undefined : draft.dags.backfill(due.backfill);
    const dag = draft.dags.dag(due.dagId);
    if (row?.state !== 'running' || row.next !== due.at || dag === undefined) continue;
    draft.dags.putBackfill({ ...row, next: due.next });
    const { then, run } = instantOf(draft, due.dagId, due.at, row.reprocess);
    if (then === 'clear' && run !== null) rerun(draft, run, row.backfill);
    if (then !== 'create') continue;
    const { at, intervalStart } = due;
    const { params, backfill } = row;
    const made = { type: 'backfill', runId: '', logicalDate: at, intervalStart, params, backfill } as const;
    createRun(draft, dag, { ...made, consumed: [] });
  }
  for (const { backfill } of draft.state.dags.backfills.values()) {
    const row = draft.dags.backfill(backfill);
    if (row?.state !== 'running' || row.next !== null || runsOf(draft, row).length > 0) continue;
    if (draft.dags.createdFor(backfill)) continue;
    draft.dags.putBackfill({ ...row, state: 'completed' });
  }
}
