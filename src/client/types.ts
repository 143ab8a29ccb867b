/** Where a task stands; Airflow's names. */
export type TaskState =
  | 'scheduled'
  | 'queued'
  | 'running'
  | 'success'
  | 'failed'
  | 'up_for_retry'
  | 'deferred'
  | 'upstream_failed'
  | 'skipped'
  | 'cancelled';

/** Every task state, in the order of a task's life. */
export const TASK_STATES: readonly TaskState[] = [
  'scheduled',
  'queued',
  'running',
  'success',
  'failed',
  'up_for_retry',
  'deferred',
  'upstream_failed',
  'skipped',
  'cancelled',
];

const ENDED: ReadonlySet<TaskState> = new Set([
  'success',
  'failed',
  'upstream_failed',
  'skipped',
  'cancelled',
]);

/** Whether nothing more happens to a task of this state by itself. */
export const hasEnded = (state: TaskState): boolean => ENDED.has(state);

/** What may happen to a run whose agent is lost. */
export type PartitionPolicy = 'reassign' | 'single_run' | 'hold';

/** Every partition policy. */
export const PARTITION_POLICIES: readonly PartitionPolicy[] = ['reassign', 'single_run', 'hold'];

/** What a submitter asks for: a command or a handler. What is left out has the coordinator's default. */
export type TaskSpec = TaskChoices & (CommandSpec | HandlerSpec);

/** A program to run. */
export interface CommandSpec {
  /** Program and arguments; no shell is involved unless it names one. */
  readonly command: readonly string[];
  /** Added to the agent's allow-listed environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Default: a directory of the run's own. */
  readonly workingDirectory?: string | undefined;
  /**
   * Memory of all its processes together, in bytes: 1 MiB to 1 PiB, default none. Beyond it the run is killed, and fails
   * with reason `out_of_memory`. Only agents that enforce it are offered the task.
   */
  readonly memoryLimitBytes?: number | undefined;
  /** In thousandths of a CPU: 10 to 1,000,000, default none. Only agents that enforce it are offered the task. */
  readonly cpuLimitMillis?: number | undefined;
  readonly handler?: undefined;
  readonly input?: undefined;
  readonly inputType?: undefined;
}

/** A function to call that a worker has registered by this name. */
export interface HandlerSpec {
  /** Name of the function, as its worker has registered it. */
  readonly handler: string;
  /**
   * What it is called with, at most 256 KiB: a value that JSON can hold, or bytes with an `inputType`. Of a task read
   * from the coordinator: the parsed JSON, or bytes; left out in lists of tasks.
   */
  readonly input?: unknown;
  /** Content type of the input. Default `application/json`, for bytes `application/octet-stream`. */
  readonly inputType?: string | undefined;
  readonly command?: undefined;
  readonly env?: undefined;
  readonly workingDirectory?: undefined;
  readonly memoryLimitBytes?: undefined;
  readonly cpuLimitMillis?: undefined;
}

/** What may be chosen for a task of any kind. */
export interface TaskChoices {
  /** Default `default`. */
  readonly queue?: string | undefined;
  /** Higher goes first; a step is worth one ageing interval of waiting (1 min). -1000 to 1000, default 0. */
  readonly priority?: number | undefined;
  /** Further tries after one that failed by itself; 0 to 100, default 0. Lost agents never use them. */
  readonly retries?: number | undefined;
  /** Wait before a retry: `initialMs` (default 1 s) doubled each time up to `maxMs` (default 5 min), with jitter. */
  readonly retryBackoff?:
    | { readonly initialMs?: number | undefined; readonly maxMs?: number | undefined }
    | undefined;
  /** Longest time of one try, counted by its agent. Default none. */
  readonly executionTimeoutMs?: number | undefined;
  /** Longest time in the queue; then the task fails. Default the coordinator's, 600 s. */
  readonly queuedTimeoutMs?: number | undefined;
  /** Default `reassign`. */
  readonly partitionPolicy?: PartitionPolicy | undefined;
  /** Between SIGTERM and SIGKILL. Default 10 s. */
  readonly killGraceMs?: number | undefined;
  /** Policy `hold` gives up waiting after this. Default 24 h. */
  readonly holdTimeoutMs?: number | undefined;
  /** Tasks that share it, in whichever queue, run at most `concurrencyLimit` at once. Default none. */
  readonly concurrencyKey?: string | undefined;
  /** 1 to 10,000, default 1; only with a key. Where tasks of a key differ, the smallest limit of those at hand counts. */
  readonly concurrencyLimit?: number | undefined;
  /** Waits in state `scheduled` until then, by the coordinator's wall clock. Default: queued at once. */
  readonly startAfter?: Date | undefined;
  /** Fails as `expired` unless its first try is permitted before this, by the coordinator's wall clock. Default none. */
  readonly startBefore?: Date | undefined;
  /** Labels that an agent must have. */
  readonly requiredLabels?: Readonly<Record<string, string>> | undefined;
  /** A second submission with the same key and content returns the first task; with other content it is refused. */
  readonly idempotencyKey?: string | undefined;
  /** W3C Trace Context of the submitter. */
  readonly traceparent?: string | undefined;
}

/** One accepted task. */
export interface SubmittedTask {
  /** The id that the coordinator has given it. */
  readonly taskId: string;
  /** Whether its idempotency key was known already. */
  readonly existing: boolean;
}

/** A task as it is now. Absent strings are empty, absent tokens 0n. */
export interface Task {
  /** Given at its submission; ids grow with time. */
  readonly taskId: string;
  /** As it was submitted, with the defaults filled in. */
  readonly spec: TaskSpec;
  /** The queue that it waits in. */
  readonly queue: string;
  /** Where it stands. */
  readonly state: TaskState;
  /** 0 before the first permit. */
  readonly tryNumber: number;
  /** Token of the newest permit; 0n before the first. */
  readonly fencingToken: bigint;
  /** The agent of the newest permit; empty before the first. */
  readonly agentId: string;
  /** Stable code of why the state is what it is. */
  readonly reason: string;
  /** For people: more about the reason. */
  readonly message: string;
  /** Only from `get` and `watch`; empty without `resultType`. */
  readonly result: Uint8Array;
  /** Content type of the result; empty when there is none. */
  readonly resultType: string;
  /** Of the last command that exited; undefined when none has. */
  readonly exitCode: number | undefined;
  /** By the wall clock of the coordinator. */
  readonly submittedAt: Date | undefined;
  /** When its state became final; undefined before. */
  readonly endedAt: Date | undefined;
  /** While the newest try's agent is lost and the try is not closed. */
  readonly lost: LostTry | undefined;
  /** Whether a cancel waits for the answer of its agent. */
  readonly cancelRequested: boolean;
  /** How many tries were lost with their agents. */
  readonly lostTries: number;
  /** What the current run last said of itself; undefined when it has said nothing, or runs no longer. */
  readonly progress: Progress | undefined;
  /** The instance of a DAG run that it is; undefined for one that was submitted. */
  readonly instance: InstanceName | undefined;
  /** Oldest first; only from `get`. */
  readonly history: readonly HistoryEvent[];
}

/** Which instance of which run a task is. */
export interface InstanceName {
  /** The run's DAG. */
  readonly dagId: string;
  /** Unique within its DAG. */
  readonly runId: string;
  /** Its name within the DAG. */
  readonly task: string;
  /** From 0 for an instance of a mapped task; undefined for others. */
  readonly mapIndex: number | undefined;
}

/** How far a run says it has come. */
export interface Progress {
  /** 0 to 1; undefined when it does not know. */
  readonly fraction: number | undefined;
  /** For people. */
  readonly message: string;
  /** When it was said, by the wall clock of the coordinator. */
  readonly at: Date | undefined;
}

/** A try whose agent is lost, while it is not closed. */
export interface LostTry {
  /** When the agent was failed. */
  readonly at: Date | undefined;
  /** The agent that was lost. */
  readonly agentId: string;
  /** How much longer the next permit is held back. */
  readonly heldForMs: number;
}

/** One thing that happened to a task. */
export interface HistoryEvent {
  /** By the wall clock of the coordinator. */
  readonly at: Date | undefined;
  /** A stable name, such as `submitted`, `permitted`, `success`, `lost`. */
  readonly event: string;
  /** The agent concerned; empty when none is. */
  readonly agentId: string;
  /** The try concerned; 0 before the first. */
  readonly tryNumber: number;
  /** The token concerned; 0n when none is. */
  readonly fencingToken: bigint;
  /** The session of the agent; 0n when none is concerned. */
  readonly sessionEpoch: bigint;
  /** Stable code of why; empty when there is nothing to say. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
  /** Of a permit: when the task was offered to the agent. */
  readonly offeredAt: Date | undefined;
}

/** What a task waits for, and what happens next. */
export interface Explanation {
  /** The task, without history. */
  readonly task: Task;
  /** What it waits for, in one sentence. */
  readonly summary: string;
  /** What stands in the way, most important first. */
  readonly findings: readonly { readonly code: string; readonly message: string; readonly try: string }[];
  /** What happens next by itself, earliest first; `inMs` from now. */
  readonly next: readonly { readonly code: string; readonly inMs: number; readonly message: string }[];
  /** What its partition policy guarantees. */
  readonly guarantee: string;
}

/** The operator's word on a lost try. */
export type Verdict = 'reassign' | 'fail' | 'succeed';

/** Where output was written; `system` is what the agent says about the run. */
export type LogStreamName = 'stdout' | 'stderr' | 'system';

/** A piece of a task's output. A character may be split over two pieces. */
export interface LogPiece {
  /** The try that wrote it. */
  readonly tryNumber: number;
  /** The token that the try had. */
  readonly fencingToken: bigint;
  /** Where it was written. */
  readonly stream: LogStreamName;
  /** Bytes as they were written. */
  readonly data: Uint8Array;
  /** When its agent read it, by the clock of that machine. */
  readonly at: Date | undefined;
}

/** Which tasks to list; an empty filter means all. */
export interface TaskFilter {
  /** In any of these states. Default all. */
  readonly states?: readonly TaskState[] | undefined;
  /** In this queue. Default all. */
  readonly queue?: string | undefined;
  /** Whose newest permit this agent has. Default all. */
  readonly agentId?: string | undefined;
  /** Instances of this DAG's runs. Default all tasks. */
  readonly dagId?: string | undefined;
  /** Instances of this run; only with its DAG. Default all. */
  readonly runId?: string | undefined;
}

/** What an agent does. */
export type AgentKind = 'worker' | 'triggerer' | 'dag_processor';
/** `healthy` is heard; `suspect` has lost its stream or is silent; `failed` has missed its lease; `gone` has said goodbye. */
export type AgentState = 'healthy' | 'suspect' | 'failed' | 'gone';

/** Every kind of agent. */
export const AGENT_KINDS: readonly AgentKind[] = ['worker', 'triggerer', 'dag_processor'];
/** Every state of an agent. */
export const AGENT_STATES: readonly AgentState[] = ['healthy', 'suspect', 'failed', 'gone'];

/** An agent as the coordinator sees it. */
export interface Agent {
  /** Its configured name. */
  readonly agentId: string;
  /** What it does. */
  readonly kind: AgentKind;
  /** Whether it is heard, and its lease lives. */
  readonly state: AgentState;
  /** Random name of its process. */
  readonly instanceId: string;
  /** Number of its session; a new one after each failure. */
  readonly sessionEpoch: bigint;
  /** Until it is failed; 0 without a live session. */
  readonly leaseRemainingMs: number;
  /** Queues that it serves. */
  readonly queues: readonly string[];
  /** Tasks that it runs at once. */
  readonly slots: number;
  /** Tasks that it runs now. */
  readonly running: number;
  /** Labels that tasks may require. */
  readonly labels: Readonly<Record<string, string>>;
  /** Whether it gets no new work. */
  readonly cordoned: boolean;
  /** Whether it ends once its work is done. */
  readonly draining: boolean;
  /** Name of its machine; for people. */
  readonly hostname: string;
  /** Name and version of its program. */
  readonly software: string;
  /** Since when its session lives; undefined when it never had one. */
  readonly connectedAt: Date | undefined;
  /** Round trip of its heartbeats in milliseconds, as it measures; undefined before the first. */
  readonly rttMs: number | undefined;
  /** How late its own timers are, in milliseconds; undefined before the first heartbeat. */
  readonly loopLagMs: number | undefined;
  /** How many streams its process has dialled. */
  readonly streamNo: bigint;
  /** Names of the functions that it can call. */
  readonly handlers: readonly string[];
}

/** A run or permit that an agent holds. */
export interface HeldRun {
  /** The task. */
  readonly taskId: string;
  /** The token of its permit. */
  readonly fencingToken: bigint;
  /** The try, from 1. */
  readonly tryNumber: number;
  /** `running`, `stopping`, `finished` or the like. */
  readonly phase: string;
}

/** An agent with what it holds. */
export interface AgentDescription {
  /** The agent. */
  readonly agent: Agent;
  /** What it holds. */
  readonly runs: readonly HeldRun[];
}

/** A queue as the coordinator sees it. */
export interface Queue {
  /** As tasks name it. */
  readonly name: string;
  /** How many of its tasks run at once; undefined means as many as there are slots. */
  readonly runLimit: number | undefined;
  /** Tasks with a permit, those of lost agents included until they are released. */
  readonly running: number;
  /** Tasks that are ready for an agent; scheduled ones, and those in a back-off, are not. */
  readonly waiting: number;
  /** Live workers that serve it. */
  readonly agents: number;
}

/** What a coordinator says about itself. */
export interface CoordinatorInfo {
  /** Random name of this run of the coordinator. */
  readonly coordinatorId: string;
  /** Version of its program. */
  readonly version: string;
  /** When this run began. */
  readonly startedAt: Date | undefined;
  /** Pace of heartbeats, in milliseconds. */
  readonly heartbeatIntervalMs: number;
  /** Longest time in the queue for tasks that do not say, in milliseconds. */
  readonly queuedTimeoutMs: number;
  /** Figures since the start, by name. */
  readonly counters: Readonly<Record<string, bigint>>;
  /** What an operator should look at, as stable codes such as `store_full`; empty when all is well. */
  readonly alarms: readonly string[];
}

/** A finished copy of the coordinator's database. */
export interface BackupMade {
  /** Its path on the coordinator's machine. */
  readonly file: string;
  /** Pages that were copied. */
  readonly pages: number;
  /** How long it took, in milliseconds. */
  readonly elapsedMs: number;
}
