import type { Brand } from '../../kit/brand.js';
import type { AgentId, Epoch, TaskId, Token } from '../../kit/ids.js';
import type { ServiceMs, WallMs } from '../../kit/time.js';
import type { Schedule } from './definition.js';

/** The durable rows of DAGs, their runs, assets, pools and triggers; immutable values like all rows (see ../rows.ts). */

/** A run everywhere: `<dagId>/<runId>`; Airflow's run ids are unique within their DAG only. */
export type RunKey = Brand<string, 'RunKey'>;

export function runKeyOf(dagId: string, runId: string): RunKey {
  return `${dagId}/${runId}` as RunKey;
}

/** What a run stands for: its DAG and its logical date. */
export interface RunInstant {
  readonly dagId: string;
  readonly at: WallMs;
}

export function instantKeyOf({ dagId, at }: RunInstant): string {
  return `${dagId} ${at}`;
}

/** The part before the first slash, which no DAG's name contains. */
export function dagIdOf(run: RunKey): string {
  return run.slice(0, run.indexOf('/'));
}

/** A DAG that some complete snapshot had. Its definition is a DagVersionRow, read when a run needs it. */
export interface DagRow {
  readonly dagId: string;
  readonly version: number;
  readonly bundle: string;
  /** Path of its file within the bundle. */
  readonly file: string;
  /** The newest definition; from 1. Runs that are created now pin it. */
  readonly definitionVersion: number;
  /** SHA-256 of that definition, hex. */
  readonly definitionHash: string;

  /** What scheduling needs of the newest definition, so that it reads none. */
  readonly schedule: Schedule;
  readonly startDate: WallMs | null;
  readonly endDate: WallMs | null;
  readonly catchup: boolean;
  readonly maxActiveRuns: number;
  readonly description: string;
  readonly tags: readonly string[];
  readonly taskCount: number;
  /** JSON text of an object: the params of runs that nobody gives any. */
  readonly defaultParams: string;

  /** False once a complete newer snapshot came without it (I9): its runs go on, no new ones are created. */
  readonly active: boolean;
  readonly paused: boolean;
  /** The file could not be parsed any more: the last good definition stays in force. */
  readonly importError: { readonly message: string; readonly since: WallMs } | null;
  readonly firstSeenAt: WallMs;
  /** When its definition last changed. */
  readonly changedAt: WallMs;

  /** The next instant of its timetable that gets a run; null when there is none. */
  readonly nextInstant: WallMs | null;
  /** Logical date of its newest scheduled run; null when it has had none. */
  readonly lastInstant: WallMs | null;
  /** Assets of its schedule that had events since the last run which took them. */
  readonly pendingAssets: readonly PendingAsset[];
}

/** Events of one asset that no run has taken yet. */
export interface PendingAsset {
  readonly asset: string;
  readonly count: number;
  /** Numbers of the first and the last of them. */
  readonly first: number;
  readonly last: number;
}

/** One definition of a DAG. Inserted once, never changed; removed when it is neither the newest nor pinned by a run. */
export interface DagVersionRow {
  readonly dagId: string;
  /** From 1. */
  readonly definitionVersion: number;
  readonly hash: string;
  /** DagDefinition as JSON text. */
  readonly definition: string;
  readonly createdAt: WallMs;
}

export type RunType = 'scheduled' | 'manual' | 'asset_triggered' | 'backfill';

/** Airflow's, and `cancelled` for what an operator ended. */
export type RunState = 'queued' | 'running' | 'success' | 'failed' | 'cancelled';

/** A DAG run. */
export interface RunRow {
  readonly run: RunKey;
  readonly version: number;
  readonly dagId: string;
  /** Such as `scheduled__2026-01-01T00:00:00Z`; unique within the DAG. */
  readonly runId: string;
  readonly type: RunType;
  readonly state: RunState;
  /** Stable code of why the state is what it is; empty when there is nothing to say. */
  readonly reason: string;
  /** The definition that it pins. */
  readonly definitionVersion: number;
  /** Instant that it stands for; null for runs by assets, and by hand without one. */
  readonly logicalDate: WallMs | null;
  /** From the instant before it up to its own; both null when it has no logical date. */
  readonly intervalStart: WallMs | null;
  readonly intervalEnd: WallMs | null;
  /** JSON text of an object: every param of the definition, defaults filled in. */
  readonly params: string;
  /** Asset events that made it; empty for other types. */
  readonly consumed: readonly PendingAsset[];
  /** Name of the backfill that it belongs to; empty means none. */
  readonly backfill: string;
  readonly createdAt: WallMs;
  readonly startedAt: WallMs | null;
  readonly endedAt: WallMs | null;
  /** When it fails because it runs for too long; null when it may run for ever, and while it does not run. */
  readonly timeoutAt: ServiceMs | null;
  /** Name of the backfill that has it done again, and has its turn for that; empty means none. */
  readonly rerunBy: string;
  /** What is left of large clears and marks: nothing else of the run is decided until all of it is done. */
  readonly sweeps: readonly SweepOfRun[];
  /** Instances that it had when it ended: with fewer, retention has begun to remove it. Null while it goes on, and for runs that ended before this was counted. */
  readonly instancesAtEnd: number | null;
}

/** A clear or mark of more instances than one commit should change; gone through step by step, over any restart. */
export interface SweepOfRun {
  readonly kind: 'clear' | 'mark_success' | 'mark_failed';
  /** Empty: all tasks of the run. */
  readonly tasks: readonly InstanceChoice[];
  /** Whether the chosen ones are meant themselves, or only what lies around them. */
  readonly own: boolean;
  readonly upstream: boolean;
  readonly downstream: boolean;
  /** `failed`: only what has failed, was cancelled, or could not run because of that; `blocked`: the same without cancelled ones. */
  readonly only: 'any' | 'failed' | 'blocked';
  readonly reason: string;
}

/** Instances of one task of a run. */
export interface InstanceChoice {
  readonly task: string;
  /** Null: all of them. */
  readonly mapIndex: number | null;
}

/** What makes a task an instance of a DAG run; part of its TaskRow, and null there for a submitted one. */
export interface Instance {
  readonly run: RunKey;
  /** Airflow's task_id. */
  readonly task: string;
  /** From 0 for an instance of a mapped task, else -1. */
  readonly mapIndex: number;
  readonly pool: string;
  readonly poolSlots: number;
  /**
   * Whether its needs are decided: while scheduled it then waits for room in its pool or run only. False after a clear:
   * the trigger rule is asked again.
   */
  readonly ready: boolean;
}

/** The event that a task has waited for, handed to its next segment; lost with the try (P16). */
export interface Resumption {
  /** What the task's own code kept when it deferred; JSON text, empty means nothing. */
  readonly state: string;
  /** JSON text of the trigger event's payload. */
  readonly event: string;
}

/** A pool of slots that task instances share. */
export interface PoolRow {
  readonly pool: string;
  readonly version: number;
  /** Slots; 0 stops everything in it. */
  readonly slots: number;
  readonly description: string;
}

/** An asset that a DAG names; its events are rows of their own. */
export interface AssetRow {
  readonly asset: string;
  readonly version: number;
  /** Number of its newest event; 0 when it had none. */
  readonly lastEvent: number;
  readonly lastEventAt: WallMs | null;
}

/** Something happened to an asset. Inserted once; numbered over all assets. */
export interface AssetEventRow {
  readonly n: number;
  readonly asset: string;
  readonly at: WallMs;
  /** The instance whose success it was; null for one from outside. */
  readonly source: { readonly run: RunKey; readonly task: string; readonly mapIndex: number } | null;
  /** JSON text of an object, for people and templates; empty means none. */
  readonly extra: string;
}

/** A deferred task's trigger (P16). Removed when its event is taken, or its task leaves `deferred`. */
export interface TriggerRow {
  readonly triggerId: string;
  readonly version: number;
  readonly taskId: TaskId;
  readonly kind: string;
  /** JSON text. */
  readonly input: string;
  /** What the task's code kept for its next segment; JSON text, empty means nothing. */
  readonly state: string;
  readonly createdAt: WallMs;
  /** When the deferral times out (P16: goes on while unowned); null means never. */
  readonly timeoutAt: ServiceMs | null;
  /** Newest assignment, or none: from the same counter as the tokens of runs. */
  readonly token: Token;
  /** Session that it was last assigned to; 0 before that. Unowned while that session is not live. */
  readonly epoch: Epoch;
  readonly agentId: AgentId | '';
}

/** What a DAG processor's bundle looked like when its last complete snapshot was taken in (P17). */
export interface BundleRow {
  readonly bundle: string;
  readonly version: number;
  /** The holder's session, and the highest snapshot taken in from it: (epoch, sequence) only grows. */
  readonly epoch: Epoch;
  readonly sequence: bigint;
  readonly agentId: AgentId | '';
  readonly receivedAt: WallMs | null;
  /**
   * SHA-256 of that snapshot, hex: the same one need not be sent again. Empty when there is none, and when a DAG of it
   * belongs to another bundle: what another bundle gives up is taken in by sending it again.
   */
  readonly hash: string;
  /** At most BUNDLE_LIMITS.importErrors. */
  readonly importErrors: readonly ImportError[];
}

/** Why a file of a bundle could not be parsed. */
export interface ImportError {
  readonly file: string;
  /** `file:line:column: message`. */
  readonly message: string;
  readonly since: WallMs;
}

/** What is kept of one bundle at most. */
export const BUNDLE_LIMITS = {
  /** Files with import errors that are told of; the DAGs of further ones are kept all the same. */
  importErrors: 1_000,
  /** Characters of an import error; longer ones are cut. */
  messageLength: 4_096,
} as const;

/** A request to run a DAG over a range of logical dates. */
export interface BackfillRow {
  readonly backfill: string;
  readonly version: number;
  readonly dagId: string;
  /** Instants of the timetable from here to there, both included. */
  readonly from: WallMs;
  readonly to: WallMs;
  /** The next instant to get a run; null when all have one. */
  readonly next: WallMs | null;
  readonly params: string;
  /** Its runs that are running at once. */
  readonly maxActiveRuns: number;
  /** What becomes of instants that have a run already. */
  readonly reprocess: 'none' | 'failed' | 'completed';
  readonly state: 'running' | 'paused' | 'completed' | 'cancelled';
  readonly createdAt: WallMs;
}

/** One entry for each asset, however many its events are. */
export function withEvent(pending: readonly PendingAsset[], { asset, n }: AssetEventRow): PendingAsset[] {
  const known = pending.find((one) => one.asset === asset);
  if (known === undefined) return [...pending, { asset, count: 1, first: n, last: n }];
  return pending.map((one) => (one === known ? { ...one, count: one.count + 1, last: n } : one));
}
