import type { WallMs } from '../../kit/time.js';
import type { TaskRow } from '../rows.js';
import type { Plan } from './plan.js';
import type { AssetEventRow, BackfillRow, RunKey, RunRow } from './rows.js';

/** Rows of DAGs that the engine read from the store because an input of the batch needs them. */
export interface LoadedDags {
  /** Definitions, by planKey. */
  readonly plans: ReadonlyMap<string, Plan>;
  /** Runs that are not in memory. */
  readonly runs: ReadonlyMap<RunKey, RunRow>;
  /** Runs that stand for the instants that were asked for, whatever they are called, by instantKeyOf. */
  readonly instants: ReadonlyMap<string, RunKey>;
  /** All instances of such runs. */
  readonly instances: ReadonlyMap<RunKey, readonly TaskRow[]>;
  /** Backfills that have ended. */
  readonly backfills: ReadonlyMap<string, BackfillRow>;
  /** Asset events that triggers wait for, by number. */
  readonly assetEvents: ReadonlyMap<number, AssetEventRow>;
  /** What a tick has to create. */
  readonly due: readonly DueRun[];
}

/** A run that is due: its instant has come, or its backfill has room for it. */
export interface DueRun {
  readonly dagId: string;
  readonly at: WallMs;
  readonly intervalStart: WallMs;
  /** The instant after it; null when there is none. */
  readonly next: WallMs | null;
  /** Empty for one that the DAG's own schedule makes. */
  readonly backfill: string;
}

export const NOTHING_OF_DAGS: LoadedDags = {
  ...{ plans: new Map(), runs: new Map(), instances: new Map(), backfills: new Map() },
  ...{ instants: new Map(), assetEvents: new Map(), due: [] },
};
