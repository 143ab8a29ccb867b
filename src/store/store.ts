import type { RunKey } from '../core/dag/rows.js';
import type { FinishedTask } from '../core/retention.js';
import type {
  AgentRow,
  Counters,
  HistoryRow,
  NotificationRow,
  QueueRow,
  SessionRow,
  TaskRow,
  TaskSpecRow,
  TaskState,
} from '../core/rows.js';
import type { AgentId, TaskId } from '../kit/ids.js';
import type { ServiceMs, WallMs } from '../kit/time.js';
import type { DagPuts, DagStore, LoadedDags } from './dags.js';

/**
 * Rows in, rows out. One coordinator decides everything; the store makes it durable and finds it again. Reads see what
 * was committed. Every store keeps the same contract, tested by test/store for all of them.
 */
export interface Store extends DagStore {
  /** Everything a starting coordinator keeps in memory. */
  load(): Promise<Loaded>;
  /** The tasks of these ids that exist, in no order. */
  readTasks(taskIds: readonly TaskId[]): Promise<TaskRow[]>;
  readSpecs(taskIds: readonly TaskId[]): Promise<TaskSpecRow[]>;
  /** Tasks by idempotency key, of those keys that are known. */
  readByIdempotencyKey(keys: readonly string[]): Promise<TaskRow[]>;
  /** History of one task, oldest first. */
  readHistory(taskId: TaskId): Promise<HistoryRow[]>;
  /** Lanes that have at least one ready task, with how many. Looks at every ready task: once at a start. */
  readLanes(): Promise<LaneCount[]>;
  /** Ready tasks of a lane in the order they are offered: rank, then task id. `after` is exclusive. */
  readReady(lane: string, after: ReadyPosition | null, limit: number): Promise<TaskRow[]>;
  /** Tasks whose deadline is at or before `now`, earliest first. */
  readDue(now: ServiceMs, limit: number): Promise<TaskRow[]>;
  /** The earliest deadline of any task; null when there is none. */
  nextDue(): Promise<ServiceMs | null>;
  /** Tasks whose instant of the wall clock is at or before `now`, earliest first. */
  readWallDue(now: WallMs, limit: number): Promise<TaskRow[]>;
  /** The earliest instant of the wall clock that any task waits for; null when there is none. */
  nextWallDue(): Promise<WallMs | null>;
  /** Tasks newest first (task ids grow with time), without results. */
  listTasks(filter: TaskFilter, before: TaskId | null, limit: number): Promise<TaskRow[]>;
  /**
   * Tasks that have ended and have no open token, without results, in the order in which they ended. `after` is
   * exclusive.
   */
  readFinished(
    after: FinishedPosition | null,
    limit: number,
    filter?: FinishedFilter,
  ): Promise<FinishedTask[]>;
  /** How many tasks there are of each state. Looks at every task: for people, and once at a start. */
  countTasks(): Promise<Partial<Record<TaskState, number>>>;
  /**
   * Makes all puts durable in one transaction, or none of them. Throws StoreError: `conflict` when a row's stored
   * version is not the put's version minus one (or that of its removal), what is insert-only is there already, or an
   * idempotency key is taken.
   */
  commit(puts: Puts): Promise<void>;
  /** Notifications with a number above `after`, in order. */
  readNotifications(after: number, limit: number): Promise<StoredNotification[]>;
  /** The number of the newest notification ever written; 0 when there was none. */
  newestNotification(): Promise<number>;
  /** How far each endpoint is. */
  readDeliveries(): Promise<DeliveryRow[]>;
  /**
   * In one transaction: these are the endpoints now, whatever they were, and notifications up to the number `done` are
   * of use to nobody any more. Apart from commit(), because the core decides nothing on it.
   */
  putDeliveries(rows: readonly DeliveryRow[], done: number): Promise<void>;
  /**
   * Writes a copy of everything committed to a new file while commits go on, for its owner only; on disk when it
   * settles. `tell` hears how far it is, in pages. Throws StoreError: `conflict` if `file` is there, `full`, `other`.
   */
  backup(
    file: string,
    tell?: (progress: { readonly copied: number; readonly total: number }) => void,
  ): Promise<void>;
  /**
   * Of a store that another process may take over: whether that is certainly not so at this moment, nor so lately that an
   * agent may be told otherwise (P18). A store without it is its owner's for as long as it is open.
   */
  isOwned?(): boolean;
  /** Settles once isOwned() holds again. Throws StoreError, `locked` when there is another owner. */
  proveOwned?(): Promise<void>;
  close(): Promise<void>;
}

/** A notification with the number that the store gave it: increasing in the order of commits, never given twice. */
export interface StoredNotification extends NotificationRow {
  readonly n: number;
}

/** How far one endpoint is with its notifications. */
export interface DeliveryRow {
  /** Its URL. */
  readonly endpoint: string;
  /** Everything up to this number is delivered, not wanted, or missed. */
  readonly cursor: number;
  /** Notifications given up and not told of yet; null when there are none. */
  readonly missed: Missed | null;
}

export interface Missed {
  readonly count: number;
  /** Number of the first one. */
  readonly first: number;
  /** When the first and the last of them were written. */
  readonly from: WallMs;
  readonly to: WallMs;
}

export interface Loaded {
  readonly counters: Counters;
  readonly agents: readonly AgentRow[];
  /** Live sessions, and the newest session of each agent. */
  readonly sessions: readonly SessionRow[];
  /** Every task with an open token, whatever its state. */
  readonly openTasks: readonly TaskRow[];
  readonly queues: readonly QueueRow[];
  readonly dags: LoadedDags;
}

export interface LaneCount {
  readonly lane: string;
  /** Its ready tasks. */
  readonly waiting: number;
}

/** A place in a lane: the order is rank, then task id, both ascending. */
export interface ReadyPosition {
  readonly rank: number;
  readonly taskId: TaskId;
}

/** A place in the order in which tasks ended. */
export interface FinishedPosition {
  readonly finishedAt: ServiceMs;
  readonly taskId: TaskId;
}

export interface FinishedFilter {
  /**
   * `ended` (default) leaves out the instances of runs that are queued or running, which retention must not take from
   * them; `any` leaves out none.
   */
  readonly runs?: 'ended' | 'any';
  /** Those that ended up to then; default all. What ended later costs nothing. */
  readonly until?: ServiceMs | null;
}

export interface TaskFilter {
  readonly states?: readonly TaskState[];
  readonly queue?: string;
  /** The agent of the newest token (`lastAgentId`). */
  readonly agentId?: AgentId;
  /** Instances of this run. */
  readonly run?: RunKey;
  /** Instances of this DAG's runs. */
  readonly dagId?: string;
}

/** A task row with what is derived from it for finding it again. */
export interface TaskPut {
  readonly row: TaskRow;
  /** The lane it is ready in (`readyLane`), else null. */
  readonly lane: string | null;
  /** Its next deadline (`dueAt`), else null. */
  readonly dueAt: ServiceMs | null;
  /** The next instant of the wall clock that it waits for (`wallDueAt`), else null. */
  readonly wallDueAt: WallMs | null;
  /** The service clock if its state is final, else null. The store keeps the first of a row of final ones. */
  readonly finishedAt: ServiceMs | null;
}

/** A task to remove, with its specification, its history and its idempotency key. */
export interface Removal {
  readonly taskId: TaskId;
  /** The stored version; with another one it is a conflict. */
  readonly version: number;
}

export interface AgentRemoval {
  readonly agentId: AgentId;
  /** The stored version; with another one it is a conflict. */
  readonly version: number;
}

export interface Puts {
  /** Made before the puts, so that an idempotency key that becomes free may be used again at once. */
  readonly removals: readonly Removal[];
  /**
   * version 1 inserts, a higher one replaces. At most one put of a task. What was submitted (the fields of TaskRow from
   * `priority` to `submittedAt`, and its instance but for `ready`) is kept from version 1; the queue may change.
   */
  readonly tasks: readonly TaskPut[];
  /** Replaces that of a task whose put has a version above 1: an instance that is decided anew. Else insert only. */
  readonly specs: readonly TaskSpecRow[];
  /** Insert only; for those of a task that is also put, its version says that they are new. */
  readonly history: readonly HistoryRow[];
  readonly agents: readonly AgentRow[];
  /** With all of their sessions; none of them is also put. */
  readonly agentRemovals: readonly AgentRemoval[];
  /** With a new one, those of its agent before it that are not live are forgotten: nobody reads them again. */
  readonly sessions: readonly SessionRow[];
  readonly queues: readonly QueueRow[];
  /** Insert only, in this order. */
  readonly notifications: readonly NotificationRow[];
  /** Null when no counter changed. Token and epoch never go back: that is a conflict. */
  readonly counters: Counters | null;
  /** Null when there is nothing of DAGs to put. */
  readonly dags: DagPuts | null;
}

/**
 * - `conflict`: a row has another version; reload and decide again.
 * - `busy`: somebody else holds a lock; try again.
 * - `full`: no space; nothing was written, try again later.
 * - `io`: a read or sync failed; the store must not be used any more.
 * - `corrupt`: what was read makes no sense; the store must not be used any more.
 * - `locked`: another coordinator has the store.
 * - `newer`: written by a newer version of the program.
 * - `older`: written by an older version, and asked for as it is, without an upgrade.
 * - `unknown`: the commit's outcome is not known; re-read before deciding.
 * - `other`: a fault of ours.
 */
export type StoreFault =
  | 'conflict'
  | 'busy'
  | 'full'
  | 'io'
  | 'corrupt'
  | 'locked'
  | 'newer'
  | 'older'
  | 'unknown'
  | 'other';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly fault: StoreFault;
  constructor(fault: StoreFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}
