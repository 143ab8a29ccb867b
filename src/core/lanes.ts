import type { TaskId } from '../kit/ids.js';
import { laneOf, type Needs, type TaskRow } from './rows.js';

/**
 * The ready tasks, lane by lane, in the order they are offered. A lane keeps a window of its first tasks in memory;
 * the rest stays in the store, so that a million waiting tasks cost no memory.
 */
export interface Lane extends Needs {
  readonly key: string;
  /** The window: sorted by rank, then task id. Offered tasks are not in it. */
  tasks: TaskRow[];
  /** Whether the window holds every ready task of the lane that is not offered. */
  complete: boolean;
}

/** Negative when `a` is offered before `b`. */
export function compareReady(
  a: { readonly rank: number; readonly taskId: TaskId },
  b: { readonly rank: number; readonly taskId: TaskId },
): number {
  if (a.rank !== b.rank) return a.rank - b.rank;
  return a.taskId < b.taskId ? -1 : a.taskId > b.taskId ? 1 : 0;
}

export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  /** Lanes whose window may have tasks, by queue. */
  readonly #byQueue = new Map<string, Set<Lane>>();
  readonly #window: number;

  constructor(window: number) {
    this.#window = window;
  }

  get size(): number {
    return this.#lanes.size;
  }

  get(key: string): Lane | undefined {
    return this.#lanes.get(key);
  }

  all(): IterableIterator<Lane> {
    return this.#lanes.values();
  }

  inQueue(queue: string): Iterable<Lane> {
    return this.#byQueue.get(queue) ?? [];
  }

  queues(): IterableIterator<string> {
    return this.#byQueue.keys();
  }

  /** Names a lane that the store has tasks of; its window is filled when somebody can run them. */
  known(key: string, { queue, requiredLabels, handler }: Needs, complete: boolean): Lane {
    const old = this.#lanes.get(key);
    if (old !== undefined) return old;
    const lane: Lane = { key, queue, requiredLabels, handler, tasks: [], complete };
    this.#lanes.set(key, lane);
    const peers = this.#byQueue.get(queue) ?? new Set();
    peers.add(lane);
    this.#byQueue.set(queue, peers);
    return lane;
  }

  insert(task: TaskRow): void {
    const lane = this.known(laneOf(task), task, true);
    const at = position(lane.tasks, task);
    const isLast = at === lane.tasks.length;
    if (isLast && !lane.complete) return;
    lane.tasks.splice(at, 0, task);
    if (lane.tasks.length > this.#window) {
      lane.tasks.pop();
      lane.complete = false;
    }
  }

  remove(task: TaskRow): void {
    const lane = this.#lanes.get(laneOf(task));
    if (lane === undefined) return;
    const at = position(lane.tasks, task);
    if (lane.tasks[at]?.taskId === task.taskId) lane.tasks.splice(at, 1);
    this.#forgetIfEmpty(lane);
  }

  /** Takes the head of a lane out of its window. */
  take(lane: Lane): TaskRow | undefined {
    const task = lane.tasks.shift();
    this.#forgetIfEmpty(lane);
    return task;
  }

  /** Replaces a window by what the store has: the lane's first tasks that are not offered. */
  refill(lane: Lane, tasks: TaskRow[], complete: boolean): void {
    lane.tasks = tasks;
    lane.complete = complete;
    this.#forgetIfEmpty(lane);
  }

  /** Whether the window runs low while the store has more. */
  wantsRefill(lane: Lane): boolean {
    return !lane.complete && lane.tasks.length < this.#window / 4;
  }

  #forgetIfEmpty(lane: Lane): void {
    if (lane.tasks.length > 0 || !lane.complete) return;
    this.#lanes.delete(lane.key);
    const peers = this.#byQueue.get(lane.queue);
    peers?.delete(lane);
    if (peers?.size === 0) this.#byQueue.delete(lane.queue);
  }
}

/** Where a task stands, or would stand, in a sorted window. */
function position(tasks: readonly TaskRow[], task: TaskRow): number {
  let low = 0;
  let high = tasks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareReady(tasks[middle] as TaskRow, task) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
