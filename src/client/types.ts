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
  readonly handler?: undefined;
  readonly input?: undefined;
  readonly inputType?: undefined;
}

/** A function to call that a worker has registered by this name. */
export interface HandlerSpec {
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
}

/** What may be chosen for a task of any kind. */
export interface TaskChoices {
  /** Default `default`. */
  readonly queue?: string | undefined;
  /** Higher goes first within a queue; -1000 to 1000, default 0. */
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
  /** Labels that an agent must have. */
  readonly requiredLabels?: Readonly<Record<string, string>> | undefined;
  /** A second submission with the same key and content returns the first task; with other content it is refused. */
  readonly idempotencyKey?: string | undefined;
  /** W3C Trace Context of the submitter. */
  readonly traceparent?: string | undefined;
}

/** One accepted task. */
export interface SubmittedTask {
  readonly taskId: string;
  /** Whether its idempotency key was known already. */
  readonly existing: boolean;
}

/** A task as it is now. Absent strings are empty, absent tokens 0n. */
export interface Task {
  readonly taskId: string;
  readonly spec: TaskSpec;
  readonly queue: string;
  readonly state: TaskState;
  /** 0 before the first permit. */
  readonly tryNumber: number;
  /** Token of the newest permit; 0n before the first. */
  readonly fencingToken: bigint;
  readonly agentId: string;
  /** Stable code of why the state is what it is. */
  readonly reason: string;
  readonly message: string;
  /** Only from `get` and `watch`; empty without `resultType`. */
  readonly result: Uint8Array;
  readonly resultType: string;
  readonly exitCode: number | undefined;
  readonly submittedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  /** While the newest try's agent is lost and the try is not closed. */
  readonly lost: LostTry | undefined;
  readonly cancelRequested: boolean;
  /** How many tries were lost with their agents. */
  readonly lostTries: number;
  /** What the current run last said of itself; undefined when it has said nothing, or runs no longer. */
  readonly progress: Progress | undefined;
  /** Oldest first; only from `get`. */
  readonly history: readonly HistoryEvent[];
}

/** How far a run says it has come. */
export interface Progress {
  /** 0 to 1; undefined when it does not know. */
  readonly fraction: number | undefined;
  readonly message: string;
  readonly at: Date | undefined;
}

export interface LostTry {
  readonly at: Date | undefined;
  readonly agentId: string;
  /** How much longer the next permit is held back. */
  readonly heldForMs: number;
}

/** One thing that happened to a task. */
export interface HistoryEvent {
  readonly at: Date | undefined;
  readonly event: string;
  readonly agentId: string;
  readonly tryNumber: number;
  readonly fencingToken: bigint;
  readonly sessionEpoch: bigint;
  readonly reason: string;
  readonly message: string;
  readonly offeredAt: Date | undefined;
}

/** What a task waits for, and what happens next. */
export interface Explanation {
  readonly task: Task;
  readonly summary: string;
  readonly findings: readonly { readonly code: string; readonly message: string; readonly try: string }[];
  readonly next: readonly { readonly code: string; readonly inMs: number; readonly message: string }[];
  /** What its partition policy guarantees. */
  readonly guarantee: string;
}

/** The operator's word on a lost try. */
export type Verdict = 'reassign' | 'fail' | 'succeed';

export type LogStreamName = 'stdout' | 'stderr' | 'system';

/** A piece of a task's output. A character may be split over two pieces. */
export interface LogPiece {
  readonly tryNumber: number;
  readonly fencingToken: bigint;
  readonly stream: LogStreamName;
  readonly data: Uint8Array;
  readonly at: Date | undefined;
}

export interface TaskFilter {
  readonly states?: readonly TaskState[] | undefined;
  readonly queue?: string | undefined;
  readonly agentId?: string | undefined;
}

export type AgentKind = 'worker' | 'triggerer' | 'dag_processor';
export type AgentState = 'healthy' | 'suspect' | 'failed' | 'gone';

export const AGENT_KINDS: readonly AgentKind[] = ['worker', 'triggerer', 'dag_processor'];
export const AGENT_STATES: readonly AgentState[] = ['healthy', 'suspect', 'failed', 'gone'];

/** An agent as the coordinator sees it. */
export interface Agent {
  readonly agentId: string;
  readonly kind: AgentKind;
  readonly state: AgentState;
  readonly instanceId: string;
  readonly sessionEpoch: bigint;
  /** Until it is failed; 0 without a live session. */
  readonly leaseRemainingMs: number;
  readonly queues: readonly string[];
  readonly slots: number;
  readonly running: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly cordoned: boolean;
  readonly draining: boolean;
  readonly hostname: string;
  readonly software: string;
  readonly connectedAt: Date | undefined;
  readonly rttMs: number | undefined;
  readonly loopLagMs: number | undefined;
  readonly streamNo: bigint;
  /** Names of the functions that it can call. */
  readonly handlers: readonly string[];
}

/** A run or permit that an agent holds. */
export interface HeldRun {
  readonly taskId: string;
  readonly fencingToken: bigint;
  readonly tryNumber: number;
  readonly phase: string;
}

export interface AgentDescription {
  readonly agent: Agent;
  readonly runs: readonly HeldRun[];
}

/** What a coordinator says about itself. */
export interface CoordinatorInfo {
  readonly coordinatorId: string;
  readonly version: string;
  readonly startedAt: Date | undefined;
  readonly heartbeatIntervalMs: number;
  readonly queuedTimeoutMs: number;
  readonly counters: Readonly<Record<string, bigint>>;
  readonly alarms: readonly string[];
}

/** A finished copy of the coordinator's database. */
export interface BackupMade {
  /** Its path on the coordinator's machine. */
  readonly file: string;
  /** Pages that were copied. */
  readonly pages: number;
  readonly elapsedMs: number;
}
