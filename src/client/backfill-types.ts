import type { RunState } from './dag-types.js';

/** Where a backfill stands. */
export type BackfillState = 'running' | 'paused' | 'completed' | 'cancelled';

/** Every backfill state. */
export const BACKFILL_STATES: readonly BackfillState[] = ['running', 'paused', 'completed', 'cancelled'];

/** What becomes of instants of a backfill that have a run already. */
export type ReprocessPolicy = 'none' | 'failed' | 'completed';

/** Every reprocess policy. */
export const REPROCESS_POLICIES: readonly ReprocessPolicy[] = ['none', 'failed', 'completed'];

/** What a backfill is to be. */
export interface BackfillChoices {
  /** First instant of its range, included. */
  readonly from: Date;
  /** Last instant of its range, included. */
  readonly to: Date;
  /** Default one made of the DAG and the time. */
  readonly backfillId?: string | undefined;
  /** Params of its runs; those left out have their defaults. */
  readonly params?: Readonly<Record<string, unknown>> | undefined;
  /** Its runs that are running at once, 1 to 1,000, apart from the DAG's others. Default 10. */
  readonly maxActiveRuns?: number | undefined;
  /** Default `none`. */
  readonly reprocess?: ReprocessPolicy | undefined;
  /** Says which runs there would be, and makes none. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** A backfill with what it does with each instant of its range. */
export interface BackfillPlan {
  /** As it was created, or would be in a dry run. */
  readonly backfill: Backfill;
  /** In order. */
  readonly instants: readonly BackfillInstant[];
}

/** What a backfill does with one instant. */
export interface BackfillInstant {
  /** The instant. */
  readonly logicalDate: Date | undefined;
  /** `create` makes a run, `clear` has the one that is there done again, `skip` leaves it as it is. */
  readonly step: BackfillStep;
  /** The run that is there; empty when there is none. */
  readonly runId: string;
  /** State of the run that is there; undefined when there is none. */
  readonly runState: RunState | undefined;
}

/** What a backfill does with one instant. */
export type BackfillStep = 'create' | 'clear' | 'skip';

/** A request to run a DAG over a range of logical dates. */
export interface Backfill {
  /** Given by the coordinator. */
  readonly backfillId: string;
  /** Its DAG. */
  readonly dagId: string;
  /** First instant of its range, included. */
  readonly from: Date | undefined;
  /** Last instant of its range, included. */
  readonly to: Date | undefined;
  /** The next instant to get a run; undefined when all have one. */
  readonly next: Date | undefined;
  /** Params of its runs. */
  readonly params: Readonly<Record<string, unknown>>;
  /** Its runs that are running at once. */
  readonly maxActiveRuns: number;
  /** What becomes of instants that have a run already. */
  readonly reprocess: ReprocessPolicy;
  /** Where it stands. */
  readonly state: BackfillState;
  /** By the wall clock of the coordinator. */
  readonly createdAt: Date | undefined;
}
