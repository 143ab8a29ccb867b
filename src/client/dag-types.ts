import type { TaskState } from './types.js';

/** What made a run. */
export type RunType = 'scheduled' | 'manual' | 'asset_triggered' | 'backfill';

/** Every run type. */
export const RUN_TYPES: readonly RunType[] = ['scheduled', 'manual', 'asset_triggered', 'backfill'];

/** Where a run stands; Airflow's names, and `cancelled` for what an operator ended. */
export type RunState = 'queued' | 'running' | 'success' | 'failed' | 'cancelled';

/** Every run state, in the order of a run's life. */
export const RUN_STATES: readonly RunState[] = ['queued', 'running', 'success', 'failed', 'cancelled'];

/** Whether a run of this state goes on no more by itself. */
export const hasRunEnded = (state: RunState): boolean => state !== 'queued' && state !== 'running';

/** When runs of a DAG are created without anybody asking. */
export type DagSchedule =
  | { readonly kind: 'none' }
  /** An expression of five or six fields, or a preset; `timezone` is an IANA name. */
  | { readonly kind: 'cron'; readonly expression: string; readonly timezone: string }
  /** Counted from the start date, else from 1970. */
  | { readonly kind: 'interval'; readonly everyMs: number }
  /** `condition` as text, such as `a & (b | c)`. */
  | { readonly kind: 'assets'; readonly condition: string; readonly assets: readonly string[] };

/** Events of one asset in a row. */
export interface AssetEvents {
  /** The asset that they are of. */
  readonly asset: string;
  /** How many they are. */
  readonly count: number;
  /** Number of the first of them. */
  readonly first: bigint;
  /** Number of the last of them. */
  readonly last: bigint;
}

/** A DAG as it is now. */
export interface Dag {
  /** Its name, over all bundles. */
  readonly dagId: string;
  /** For people; empty means none. */
  readonly description: string;
  /** By its author. */
  readonly tags: readonly string[];
  /** The bundle that brought it. */
  readonly bundle: string;
  /** Its path within the bundle. */
  readonly file: string;
  /** When runs are created without anybody asking. */
  readonly schedule: DagSchedule;
  /** No run has its logical date before it; undefined means no bound. */
  readonly startDate: Date | undefined;
  /** No run has its logical date after it; undefined means no bound. */
  readonly endDate: Date | undefined;
  /** Whether instants that passed while nobody looked get a run each; else only the newest of them does. */
  readonly catchup: boolean;
  /** Runs that may be running at once. */
  readonly maxActiveRuns: number;
  /** Tasks of the newest definition. */
  readonly taskCount: number;
  /** The newest definition, from 1n; runs pin the one that they were created with. */
  readonly definitionVersion: bigint;
  /** False once a complete newer snapshot came without it: its runs go on, no new ones are created. */
  readonly active: boolean;
  /** Paused by an operator. */
  readonly paused: boolean;
  /** Why its file cannot be parsed any more, and since when; the last good definition stays in force. */
  readonly importError: { readonly message: string; readonly since: Date | undefined } | undefined;
  /** When a snapshot first brought it. */
  readonly firstSeenAt: Date | undefined;
  /** When its definition last changed. */
  readonly changedAt: Date | undefined;
  /** The next instant of its timetable that gets a run; undefined when there is none. */
  readonly nextRunAt: Date | undefined;
  /** Logical date of its newest scheduled run; undefined when it has had none. */
  readonly lastRunAt: Date | undefined;
  /** Assets of its schedule that had events which no run has taken yet. */
  readonly pendingAssets: readonly AssetEvents[];
  /** Its runs that wait to begin. */
  readonly queuedRuns: number;
  /** Its runs that have begun and not ended. */
  readonly runningRuns: number;
  /** Milliseconds since anybody was connected that reads its bundle; undefined while somebody is. It deletes nothing. */
  readonly bundleUnheardForMs: number | undefined;
}

/** A param that runs of a DAG have. */
export interface DagParam {
  /** Its name. */
  readonly name: string;
  /** Such as `integer`. */
  readonly type: string;
  /** Whether whoever triggers a run must give it: it has no default. */
  readonly required: boolean;
  /** Its value in runs that nobody gives one; undefined when it is required. */
  readonly default: unknown;
  /** For people; empty means none. */
  readonly description: string;
  /** Only these values; empty means any. */
  readonly oneOf: readonly unknown[];
  /** Of a number; undefined means no bound. */
  readonly minimum: number | undefined;
  /** Of a number; undefined means no bound. */
  readonly maximum: number | undefined;
}

/** A task of a DAG's definition. */
export interface DagTask {
  /** Its name within the DAG. */
  readonly task: string;
  /** The tasks that come before it. */
  readonly needs: readonly string[];
  /** Airflow's name, such as `all_success`. */
  readonly triggerRule: string;
  /** `command`, `handler`, or `none` for one that ends by itself. */
  readonly work: string;
  /** Name of the handler; empty when its work is none. */
  readonly handler: string;
  /** Whether it has one instance for each element of a list. */
  readonly mapped: boolean;
  /** Kind of the trigger that it waits for before its first try; empty means none. */
  readonly waitsFor: string;
  /** The queue that its instances wait in. */
  readonly queue: string;
  /** The pool that they take slots of. */
  readonly pool: string;
  /** Slots that each of them takes. */
  readonly poolSlots: number;
  /** Further tries after one that failed by itself. */
  readonly retries: number;
  /** Assets that it reads; told to people only. */
  readonly inlets: readonly string[];
  /** Assets that its success updates. */
  readonly outlets: readonly string[];
}

/** One definition of a DAG that is kept. */
export interface DagVersion {
  /** From 1n. */
  readonly definitionVersion: bigint;
  /** SHA-256 of the definition, in hex. */
  readonly hash: string;
  /** When a snapshot first brought it. */
  readonly createdAt: Date | undefined;
}

/** A DAG with what one of its definitions says. */
export interface DagDescription {
  /** As it is now. */
  readonly dag: Dag;
  /** The definition that the rest is of. */
  readonly definitionVersion: bigint;
  /** Params of its runs. */
  readonly params: readonly DagParam[];
  /** The needs of each come before it. */
  readonly tasks: readonly DagTask[];
  /** Definitions that are kept, newest first, at most 20. */
  readonly versions: readonly DagVersion[];
  /** The whole definition; undefined unless it was asked for. */
  readonly definition: unknown;
  /** Task instances of one run that may be queued or running at once; 0 when the coordinator is too old to say. */
  readonly maxActiveTasks: number;
  /** Milliseconds after which a run that is still running fails; undefined means never. */
  readonly dagrunTimeoutMs: number | undefined;
}

/** Which DAGs are meant: those that fit every field that is there. */
export interface DagFilter {
  /** With this tag. */
  readonly tag?: string | undefined;
  /** Of this bundle. */
  readonly bundle?: string | undefined;
  /** Paused, or not. Default both. */
  readonly paused?: boolean | undefined;
  /** Also those that the newest snapshot of their bundle came without. Default false. */
  readonly inactive?: boolean | undefined;
}

/** What a run by hand is to be. */
export interface TriggerChoices {
  /** Values of params; those left out have their defaults. */
  readonly params?: Readonly<Record<string, unknown>> | undefined;
  /** The instant that it stands for. Default now. */
  readonly logicalDate?: Date | undefined;
  /** Unique within the DAG: 1 to 250 letters, digits and any of `_.~:+-`. Default one made of its logical date. */
  readonly runId?: string | undefined;
}

/** A DAG run as it is now. */
export interface Run {
  /** Its DAG. */
  readonly dagId: string;
  /** Unique within its DAG. */
  readonly runId: string;
  /** What made it. */
  readonly type: RunType;
  /** Where it stands. */
  readonly state: RunState;
  /** Stable code of why the state is what it is; empty when there is none. */
  readonly reason: string;
  /** The definition that it pins. */
  readonly definitionVersion: bigint;
  /** The instant that it stands for; undefined when it stands for none. */
  readonly logicalDate: Date | undefined;
  /** Start of its data: the instant before its own; undefined when it has no logical date. */
  readonly intervalStart: Date | undefined;
  /** End of its data: its logical date; undefined when it has none. */
  readonly intervalEnd: Date | undefined;
  /** Every param of the definition, defaults filled in. */
  readonly params: Readonly<Record<string, unknown>>;
  /** Asset events that made it. */
  readonly consumed: readonly AssetEvents[];
  /** The backfill that it belongs to; empty means none. */
  readonly backfill: string;
  /** By the wall clock of the coordinator. */
  readonly createdAt: Date | undefined;
  /** Undefined while it is queued. */
  readonly startedAt: Date | undefined;
  /** Undefined before its end. */
  readonly endedAt: Date | undefined;
}

/** A task instance of a run. It is made when it is decided what becomes of it, not before. */
export interface RunInstance {
  /** Its name within the DAG. */
  readonly task: string;
  /** From 0 for an instance of a mapped task; undefined for others. */
  readonly mapIndex: number | undefined;
  /** By which `tasks` knows it: its history, result and output are there. */
  readonly taskId: string;
  /** Where it stands. */
  readonly state: TaskState;
  /** All that it needs has ended, and it waits for a slot of its pool, or of its run. */
  readonly waitsForRoom: boolean;
  /** 0 before the first permit. */
  readonly tryNumber: number;
  /** The queue that it waits in. */
  readonly queue: string;
  /** The pool that it takes slots of. */
  readonly pool: string;
  /** Slots that it takes. */
  readonly poolSlots: number;
  /** The agent of the newest permit; empty before the first. */
  readonly agentId: string;
  /** Stable code of why the state is what it is; empty when there is none. */
  readonly reason: string;
  /** For people: more about the reason. */
  readonly message: string;
  /** When it was first decided. */
  readonly createdAt: Date | undefined;
  /** When the current try was permitted; undefined when none runs. */
  readonly startedAt: Date | undefined;
  /** Undefined before its end. */
  readonly endedAt: Date | undefined;
  /** Whether its agent is lost and the try is not closed. */
  readonly lost: boolean;
}

/** A run with its tasks and their instances. */
export interface RunDescription {
  /** As it is now. */
  readonly run: Run;
  /** Tasks of the definition that it pins; the needs of each come before it. */
  readonly tasks: readonly DagTask[];
  /** In the order of the tasks, then of their map index. A task without any is not decided yet. */
  readonly instances: readonly RunInstance[];
}

/** Instances of one task of a run. */
export interface InstanceChoice {
  /** Its name within the DAG. */
  readonly task: string;
  /** One instance of a mapped task. Default all of its instances. */
  readonly mapIndex?: number | undefined;
}

/** Which instances of a run to clear, and whether to. */
export interface ClearChoices {
  /** At most 1,000. Default all of the run's. */
  readonly tasks?: readonly InstanceChoice[] | undefined;
  /** Also everything that comes before them. Default false. */
  readonly upstream?: boolean | undefined;
  /** Also everything that comes after them. Default false. */
  readonly downstream?: boolean | undefined;
  /** Of all these only what has failed, was cancelled, or could not run because of that. Default false. */
  readonly onlyFailed?: boolean | undefined;
  /** Says what would be cleared, and clears nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Kept in the history of the tasks. */
  readonly reason?: string | undefined;
}

/** An instance that a call was about, as the call found it. */
export interface ChosenInstance {
  /** Its name within the DAG. */
  readonly task: string;
  /** From 0 for an instance of a mapped task; undefined for others. */
  readonly mapIndex: number | undefined;
  /** Empty for one that nothing was decided of before. */
  readonly taskId: string;
  /** Before the call; undefined for one that nothing was decided of before. */
  readonly state: TaskState | undefined;
  /** Whether the agent that holds it must answer first. */
  readonly requested: boolean;
}

/** What a call did to instances of a run. */
export interface ChosenInstances {
  /** The run after the call. */
  readonly run: Run;
  /** The instances that it was about. */
  readonly instances: readonly ChosenInstance[];
}

/** Something of a watched run that has changed. */
export type RunChange =
  | { readonly kind: 'run'; readonly run: Run }
  | { readonly kind: 'instance'; readonly instance: RunInstance };

/** Which runs are meant: those that fit every field that is there. */
export interface RunFilter {
  /** Of this DAG. */
  readonly dagId?: string | undefined;
  /** In one of these states. */
  readonly states?: readonly RunState[] | undefined;
  /** Of this type. */
  readonly type?: RunType | undefined;
  /** Of this backfill. */
  readonly backfill?: string | undefined;
}
