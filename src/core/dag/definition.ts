import type { Backoff } from '../../kit/backoff.js';
import type { WallMs } from '../../kit/time.js';
import type { PartitionPolicy } from '../rows.js';

/** Values as JSON has them: params, results and inputs of tasks. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/**
 * What a DAG file says, checked, with all defaults filled in and the default arguments spread over the tasks. It is plain
 * JSON: a version of a DAG is stored as that, and never changes (runs pin the version that they started with).
 *
 * Texts that are called templates may hold `{{ … }}` (see template.ts); everything else is taken as it stands.
 */
export interface DagDefinition {
  readonly dagId: string;
  /** Empty means none. */
  readonly description: string;
  readonly tags: readonly string[];
  readonly schedule: Schedule;
  /** No run has a logical date before it; null means no bound. */
  readonly startDate: WallMs | null;
  /** No run has a logical date after it; null means no bound. */
  readonly endDate: WallMs | null;
  /** Whether instants that passed while nobody looked get a run each; else only the newest of them does. */
  readonly catchup: boolean;
  /** Runs that are running at once. */
  readonly maxActiveRuns: number;
  /** Task instances of one run that are queued or running at once. */
  readonly maxActiveTasks: number;
  /** A run fails that runs for longer; null means it may run for ever. */
  readonly dagrunTimeoutMs: number | null;
  /** Whether the DAG is paused when it is first seen. */
  readonly pausedUponCreation: boolean;
  readonly params: Readonly<Record<string, Param>>;
  /** At least one; the needs of each come before it. */
  readonly tasks: readonly TaskDefinition[];
}

/** When runs are created without anybody asking. */
export type Schedule =
  | { readonly kind: 'none' }
  /** Five or six fields (the first of six are seconds), or a preset; `timezone` is an IANA name. */
  | { readonly kind: 'cron'; readonly expression: string; readonly timezone: string }
  /** Counted from the start date, else from 1970. */
  | { readonly kind: 'interval'; readonly everyMs: number }
  | { readonly kind: 'assets'; readonly condition: AssetCondition };

/** Which assets must have had an event since the last run that they made. */
export type AssetCondition =
  | { readonly kind: 'asset'; readonly asset: string }
  | { readonly kind: 'all' | 'any'; readonly of: readonly AssetCondition[] };

export type ParamType = 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object';

export interface Param {
  readonly type: ParamType;
  /** Undefined means that whoever triggers a run must give one; such a DAG has no schedule. */
  readonly default?: Json;
  readonly description: string;
  /** Only these values, when not empty. */
  readonly oneOf: readonly Json[];
  /** Of numbers; null means no bound. */
  readonly minimum: number | null;
  readonly maximum: number | null;
}

/** Airflow's trigger rules: what the ends of a task's needs must be for it to start. */
export type TriggerRule =
  | 'all_success'
  | 'all_failed'
  | 'all_done'
  | 'all_done_min_one_success'
  | 'all_skipped'
  | 'one_failed'
  | 'one_success'
  | 'one_done'
  | 'none_failed'
  | 'none_failed_min_one_success'
  | 'none_skipped'
  | 'always';

/** Work of a task instance before its templates are filled in. `none` ends at once, or after its wait. */
export type WorkTemplate =
  | {
      readonly kind: 'command';
      /** Templates. */
      readonly argv: readonly string[];
      /** Templates. */
      readonly env: Readonly<Record<string, string>>;
      /** Template; empty means a directory of the run's own. */
      readonly workingDirectory: string;
      readonly memoryLimitBytes: number | null;
      readonly cpuLimitMillis: number | null;
    }
  /** Every text within the input is a template. */
  | { readonly kind: 'handler'; readonly name: string; readonly input: Json }
  | { readonly kind: 'none' };

export interface TaskDefinition {
  /** Airflow's task_id: unique within its DAG. */
  readonly taskId: string;
  readonly work: WorkTemplate;
  /** Tasks of the same DAG that come first. */
  readonly needs: readonly string[];
  readonly triggerRule: TriggerRule;
  /** Template that must be true for the task to run; else it is skipped. Empty means always. */
  readonly when: string;
  /** Everything downstream is skipped when its result is false, null, 0, or empty. */
  readonly shortCircuit: boolean;
  /** Template of a list: one instance for each element, known to templates as `item`. Empty means one instance. */
  readonly expand: string;
  /** Waits for this before its first try, without a slot; null means it does not. */
  readonly wait: TriggerTemplate | null;
  readonly retries: number;
  readonly retryBackoff: Backoff;
  readonly executionTimeoutMs: number | null;
  /** Null means the coordinator's. */
  readonly queuedTimeoutMs: number | null;
  readonly killGraceMs: number;
  readonly queue: string;
  readonly priority: number;
  readonly requiredLabels: Readonly<Record<string, string>>;
  readonly pool: string;
  readonly poolSlots: number;
  readonly partitionPolicy: PartitionPolicy;
  readonly holdTimeoutMs: number;
  /** Assets that it reads; told to people only. */
  readonly inlets: readonly string[];
  /** Assets that its success updates. */
  readonly outlets: readonly string[];
}

/** A trigger to wait for. */
export interface TriggerTemplate {
  /** A built-in kind or one that a triggerer of the user's registers. */
  readonly kind: string;
  /** Every text within is a template. */
  readonly input: Json;
  /** The task fails when the event has not come by then; null means it waits for ever. */
  readonly timeoutMs: number | null;
}

/** The pool of tasks that name none. */
export const DEFAULT_POOL = 'default_pool';

/** What a DAG may have at most; a file beyond it is refused. What a run may have is in limits.ts. */
export const DEFINITION_LIMITS = {
  /** Tasks of one DAG. */
  tasks: 10_000,
  /** Bytes of a definition as JSON. A task takes some 550 with its defaults, so that 10,000 short ones fit well. */
  bytes: 16 * 1024 * 1024,
} as const;
