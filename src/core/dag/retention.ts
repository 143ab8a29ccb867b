import { between } from '../../kit/time.js';
import type { Draft } from '../draft.js';
import type { BackfillRow, RunRow } from './rows.js';
import { isUnderWay } from './state.js';

/** What a step of retention looks at besides tasks. */
export interface EndedRuns {
  /** Those that ended first, in the order of their ends. */
  readonly runs: readonly EndedRun[];
  /** Backfills that have ended, in the order in which they were made. */
  readonly backfills: readonly EndedBackfill[];
  /** Whether there are asset events below the newest that are kept. */
  readonly oldEvents: boolean;
}

export interface EndedRun {
  readonly row: RunRow;
  /** None of its instances is left. */
  readonly isEmpty: boolean;
}

export interface EndedBackfill {
  readonly row: BackfillRow;
  /** None of the runs that it made is left. */
  readonly isEmpty: boolean;
}

/** Runs that one step looks at. */
export const RUNS_A_STEP = 100;
/** Backfills that one step looks at. */
export const BACKFILLS_A_STEP = 20;
/** Asset events that are kept; those before them go. */
export const ASSET_EVENTS_KEPT = 100_000;

/** Number of the newest asset event that goes; 0 when none does. */
export function eventsGoUntil(newest: number): number {
  return Math.max(0, newest - ASSET_EVENTS_KEPT);
}

interface Case {
  readonly draft: Draft;
  readonly run: EndedRun;
}

/** Why an ended run stays, and with it all that ended later. The first row that matches; none: it goes. */
const STAY_RULES: readonly { readonly name: string; readonly when: (c: Case) => boolean }[] = [
  // Its instances are tasks: they go by the rules of tasks, and the run last of all that belongs to it.
  { name: 'has_instances', when: ({ run }) => !run.isEmpty },
  // The same batch has it done again.
  { name: 'changed_meanwhile', when: ({ draft, run: { row } }) => draft.dags.views.has(row.run) },
  { name: 'goes_on', when: ({ draft, run: { row } }) => draft.state.dags.runs.has(row.run) },
  // One that never began has never had any instance: it stays as long as those that had.
  {
    name: 'young',
    when: ({ draft: { ctx }, run: { row } }) =>
      row.startedAt === null &&
      row.endedAt !== null &&
      between(row.endedAt, ctx.wall) <= ctx.policy.retention.ageMs,
  },
];

interface BackfillCase {
  readonly draft: Draft;
  readonly of: EndedBackfill;
}

/** Why a backfill stays, and with it all that were made later. The first row that matches; none: it goes. */
const BACKFILL_STAY_RULES: readonly { readonly name: string; readonly when: (c: BackfillCase) => boolean }[] =
  [
    { name: 'under_way', when: ({ of: { row } }) => isUnderWay(row) },
    // The last of all that belongs to it, as a run is of its instances.
    { name: 'has_runs', when: ({ of }) => !of.isEmpty },
    // What it had done again goes on by its limit; and a second one of its name would count that as its own.
    {
      name: 'has_turns',
      when: ({ draft, of: { row } }) => draft.state.dags.activeRuns(row.dagId, row.backfill) > 0,
    },
    // One that found all of its instants taken has never had any.
    {
      name: 'young',
      when: ({ draft: { ctx }, of: { row } }) =>
        between(row.createdAt, ctx.wall) <= ctx.policy.retention.ageMs,
    },
  ];

/**
 * Removes ended runs that nothing is left of, what only they have pinned, backfills that no run is left of, and asset events
 * beyond those that are kept.
 */
export function pruneRuns(draft: Draft, { runs, backfills, oldEvents }: EndedRuns): void {
  for (const run of runs) {
    if (STAY_RULES.some(({ when }) => when({ draft, run }))) break;
    draft.dags.removeRun(run.row);
  }
  for (const of of backfills) {
    if (BACKFILL_STAY_RULES.some(({ when }) => when({ draft, of }))) break;
    draft.dags.backfillRemovals.set(of.row.backfill, of.row.version);
  }
  if (oldEvents) draft.dags.eventsUpTo = eventsGoUntil(draft.state.dags.newestEvent);
}
