import type { TriggerRule } from '../../core/dag/definition.js';
import type { PartitionPolicy } from '../../core/rows.js';

/*
 * The form of DAG files as types, written out so that editors show what each field means. That they say the same as
 * the checks of files is shown by a test.
 */

/** Fields of a task that `default_args` may hold as well. Durations are texts such as `15s`, `90m` or `1h30m`. */
export interface CommonOptions {
  /** Variables of the command. Templates. */
  env?: Record<string, string>;
  /** Airflow's: what the ends of its needs must be. Default all_success. */
  trigger_rule?: TriggerRule;
  /** Further tries after one that failed, 0 to 100. Default 0. */
  retries?: number;
  /** How long to wait before a retry, doubled for each further one. Default 1s, at most 5m. */
  retry_backoff?: { initial?: string; max?: string };
  /** A try that takes longer is stopped and fails. Default none. */
  execution_timeout?: string;
  /** Queued for longer than this, the task fails. Default the coordinator's, 600s. */
  queued_timeout?: string;
  /** Between SIGTERM and SIGKILL. Default 10s. */
  kill_grace?: string;
  /** Policy hold gives up waiting after this. Default 24h. */
  hold_timeout?: string;
  /** Workers of this queue run it. Default default. */
  queue?: string;
  /** Higher ones first, -1000 to 1000. Default 0. */
  priority?: number;
  /** Labels that a worker must have. */
  labels?: Record<string, string>;
  /** Pool whose slots it takes. Default default_pool. */
  pool?: string;
  /** Slots of the pool that it takes. Default 1. */
  pool_slots?: number;
  /** What happens when its worker is lost. Default reassign. */
  partition_policy?: PartitionPolicy;
  /** Of the command, such as `512MiB`. */
  memory_limit?: string;
  /** Of the command, such as `500m` or `2`. */
  cpu_limit?: string;
}

/** What a task waits for before its first try, without a slot of a worker. */
export interface Wait {
  /** date_time, delta, file, http, asset, external, or a kind of a triggerer's own. */
  kind: string;
  /** What the trigger takes. Every text within is a template. */
  input?: unknown;
  /** The task fails when the event has not come by then. Default never. */
  timeout?: string;
}

/** Fields of a task beside its work. */
export interface TaskOptions<Needed extends string = string> extends CommonOptions {
  /** Tasks of the same DAG that come first. */
  needs?: Needed | readonly Needed[];
  /** One expression that must be true for the task to run; else it is skipped. */
  when?: string;
  /** Everything downstream is skipped when its result is false, null, 0 or empty. Default false. */
  short_circuit?: boolean;
  /** One expression that gives a list: one instance for each element, known to templates as `item`. */
  expand?: string;
  /** What to wait for before its first try. */
  wait?: Wait;
  /** Of the command. Template. Default a directory of the run's own. */
  working_directory?: string;
  /** Assets that it reads. */
  inlets?: string[];
  /** Assets that its success updates. */
  outlets?: string[];
}

/** A task in the form of DAG files. */
export interface DagTask<Needed extends string = string> extends TaskOptions<Needed> {
  /** Program and arguments, each a template; or one text for `/bin/sh -c`. */
  command?: string | string[];
  /** Handler of a worker, instead of a command. */
  handler?: string;
  /** The handler's input. Every text within is a template. */
  input?: unknown;
}

/** Which assets must have had an event: one, all of a list, or as said. */
export type AssetExpression =
  | string
  | AssetExpression[]
  | { all: AssetExpression[] }
  | { any: AssetExpression[] };

/** A param with its type, where a mere default does not say enough. */
export interface ParamOptions {
  /** What its values are; an integer is a whole number. */
  type: 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object';
  /** Without one, whoever triggers a run must give a value; such a DAG has no schedule. */
  default?: unknown;
  /** For people. */
  description?: string;
  /** Only these values. */
  enum?: unknown[];
  /** Of numbers. */
  minimum?: number;
  /** Of numbers. */
  maximum?: number;
}

/** A DAG but for its tasks. */
export interface DagOptions {
  /** Unique in the whole installation. */
  dag_id: string;
  /** For people. */
  description?: string;
  /** For people, to find it by. */
  tags?: string[];
  /** When runs are created: cron, a preset such as `@daily`, an interval, or assets. Default never, but by hand. */
  schedule?:
    | null
    | string
    | { cron: string; timezone?: string }
    | { every: string }
    | { assets: AssetExpression };
  /** IANA name: of the schedule, and of dates without a zone. Default UTC. */
  timezone?: string;
  /** No run before it: a date, or a date and time. */
  start_date?: string;
  /** No run after it. */
  end_date?: string;
  /** Whether instants that passed while nobody looked get a run each. Default false: the newest only. */
  catchup?: boolean;
  /** Runs that are running at once. Default 16. */
  max_active_runs?: number;
  /** Task instances of a run that are queued or running at once. Default 16. */
  max_active_tasks?: number;
  /** A run that runs for longer fails, such as 2h. Default never. */
  dagrun_timeout?: string;
  /** Default false. */
  is_paused_upon_creation?: boolean;
  /** Values that runs may be given: their defaults, or more about them. */
  params?: Record<string, string | number | boolean | unknown[] | ParamOptions>;
  /** Fields of every task that does not have them itself. */
  default_args?: CommonOptions;
}

/** A DAG in the form of DAG files: what a module exports by default, alone or in a list. */
export interface Dag extends DagOptions {
  /** By id. */
  tasks: Record<string, DagTask>;
}
