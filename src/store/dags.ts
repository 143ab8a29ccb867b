import type {
  AssetEventRow,
  AssetRow,
  BackfillRow,
  BundleRow,
  DagRow,
  DagVersionRow,
  PoolRow,
  RunInstant,
  RunKey,
  RunRow,
  RunState,
  RunType,
  TriggerRow,
} from '../core/dag/rows.js';
import type { TaskRow } from '../core/rows.js';
import type { TaskId } from '../kit/ids.js';
import type { WallMs } from '../kit/time.js';

/** What a starting coordinator keeps in memory of DAGs. All in order of their keys, but for the instances. */
export interface LoadedDags {
  readonly dags: readonly DagRow[];
  /** Runs that are queued or running. */
  readonly runs: readonly RunRow[];
  /** Every task instance of a run that is queued or running, without results, in no order. */
  readonly instances: readonly TaskRow[];
  readonly pools: readonly PoolRow[];
  readonly assets: readonly AssetRow[];
  readonly triggers: readonly TriggerRow[];
  readonly bundles: readonly BundleRow[];
  /** Backfills that are running or paused. */
  readonly backfills: readonly BackfillRow[];
}

/**
 * Of DAGs. Versions as for tasks: 1 inserts, a higher one replaces, else `conflict`. Removals come before the puts, so
 * that a name which becomes free may be used again at once; those of definitions come last.
 */
export interface DagPuts {
  readonly dags: readonly DagRow[];
  /** Insert only. */
  readonly versions: readonly DagVersionRow[];
  /** What a run was created with (`dagId`, `type`, `backfill`, `createdAt`) is kept from version 1. */
  readonly runs: readonly RunRow[];
  readonly pools: readonly PoolRow[];
  readonly poolRemovals: readonly { readonly pool: string; readonly version: number }[];
  readonly assets: readonly AssetRow[];
  /** Insert only. */
  readonly assetEvents: readonly AssetEventRow[];
  readonly triggers: readonly TriggerRow[];
  readonly triggerRemovals: readonly { readonly triggerId: string; readonly version: number }[];
  readonly bundles: readonly BundleRow[];
  readonly backfills: readonly BackfillRow[];
  /** Backfills that retention removes. */
  readonly backfillRemovals: readonly { readonly backfill: string; readonly version: number }[];
  /** Runs that retention removes; their tasks are removed apart, none of them later: `server check` finds what is left behind. */
  readonly runRemovals: readonly { readonly run: RunKey; readonly version: number }[];
  /**
   * Definitions to remove if nothing pins them once all else is written: one that a run pins, that is its DAG's newest,
   * or that is not there is passed over. Nobody but the store knows the ended runs.
   */
  readonly versionRemovals: readonly VersionKey[];
  /** Asset events with numbers up to this are removed, the oldest first and EVENTS_AT_ONCE at most; 0 for none. */
  readonly assetEventsUpTo: number;
}

/** How many asset events one commit removes. */
export const EVENTS_AT_ONCE = 500;

/** One definition of a DAG. */
export interface VersionKey {
  readonly dagId: string;
  readonly definitionVersion: number;
}

export interface RunFilter {
  readonly dagId?: string;
  readonly states?: readonly RunState[];
  readonly type?: RunType;
  readonly backfill?: string;
}

/** A place in the list of runs: by when they were created, then key. */
export interface RunPosition {
  readonly createdAt: WallMs;
  readonly run: RunKey;
}

/** A place in the order in which runs ended. */
export interface EndedPosition {
  readonly endedAt: WallMs;
  readonly run: RunKey;
}

/** The part of a Store that reads DAGs. */
export interface DagStore {
  /** The definitions of these keys that exist, in no order. */
  readDagVersions(keys: readonly VersionKey[]): Promise<DagVersionRow[]>;
  /** The runs of these keys that exist, in no order. */
  readRuns(runs: readonly RunKey[]): Promise<RunRow[]>;
  /** The runs that stand for these instants, one for each that has any: the one that was created first. */
  readRunsOfInstants(instants: readonly RunInstant[]): Promise<RunRow[]>;
  /** Runs newest first (by when they were created, then key); `before` is exclusive. */
  listRuns(filter: RunFilter, before: RunPosition | null, limit: number): Promise<RunRow[]>;
  /** Instances of a run, without results, by task id: all of them, or the first `limit` behind `after`. */
  readInstances(run: RunKey, after?: TaskId | null, limit?: number): Promise<TaskRow[]>;
  /** Events of one asset (null: of all), newest first, with a number below `before`. */
  listAssetEvents(asset: string | null, before: number | null, limit: number): Promise<AssetEventRow[]>;
  /** Events with these bounds (both included) of one asset, oldest first. */
  readAssetEvents(asset: string, first: number, last: number, limit: number): Promise<AssetEventRow[]>;
  /** Number of the newest asset event ever written; 0 when there was none. */
  newestAssetEvent(): Promise<number>;
  /** Ended runs in the order in which they ended, for retention; `after` is exclusive. */
  readEndedRuns(after: EndedPosition | null, limit: number): Promise<RunRow[]>;
  /** Backfills that are neither running nor paused, those that were made first (then by name) first, for retention. */
  readEndedBackfills(limit: number): Promise<BackfillRow[]>;
  /** The backfills of these names that exist, ended ones too, in no order. */
  readBackfills(backfills: readonly string[]): Promise<BackfillRow[]>;
  /** Every backfill of a DAG (null: of all), newest first by when they were created, then name; `before` is exclusive. */
  listBackfills(dagId: string | null, before: BackfillPosition | null, limit: number): Promise<BackfillRow[]>;
}

/** A place in the list of backfills. */
export interface BackfillPosition {
  readonly createdAt: WallMs;
  readonly backfill: string;
}
