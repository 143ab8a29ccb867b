import { Heap, type Placed } from '../kit/heap.js';
import type { TaskId } from '../kit/ids.js';
import { groupOf, laneOf, type Needs, type TaskRow } from './rows.js';
import { Usage } from './usage.js';

/**
 * The ready tasks, lane by lane, in the order they are offered. A lane keeps a window of its first tasks in memory;
 * the rest stays in the store, so that a million waiting tasks cost no memory. Lanes of the same needs form a group: who
 * looks for work compares the first lanes of the groups, however many concurrency keys wait.
 */
export interface Lane extends Placed {
  readonly key: string;
  readonly group: Group;
  /** Empty for the lane of tasks without one. */
  readonly concurrencyKey: string;
  /** The window: sorted by rank, then task id. Offered tasks are not in it. */
  tasks: TaskRow[];
  /** Whether the window holds every ready task of the lane that is not offered. */
  complete: boolean;
}

/** The lanes whose tasks need the same. */
export interface Group extends Needs {
  readonly key: string;
  /** How many lanes it has. */
  lanes: number;
  /** Those of them whose head may be offered. */
  readonly open: Heap<Lane>;
}

/** What the name of a lane says. */
export type LaneParts = Needs & Pick<TaskRow, 'concurrencyKey'>;

/** Negative when `a` is offered before `b`. */
export function compareReady(
  a: { readonly rank: number; readonly taskId: TaskId },
  b: { readonly rank: number; readonly taskId: TaskId },
): number {
  if (a.rank !== b.rank) return a.rank - b.rank;
  return a.taskId < b.taskId ? -1 : a.taskId > b.taskId ? 1 : 0;
}

const headFirst = (a: Lane, b: Lane): boolean =>
  compareReady(a.tasks[0] as TaskRow, b.tasks[0] as TaskRow) < 0;

/** Window of a lane with a concurrency key, besides what its limit lets start: there may be very many of them. */
const KEY_WINDOW = 32;
/** Lanes refilled in one go: after a restart there may be very many. */
const REFILLS = 256;

export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  readonly #groups = new Map<string, Group>();
  /** Groups whose windows may have tasks, by queue. */
  readonly #byQueue = new Map<string, Set<Group>>();
  readonly #byKey = new Map<string, Set<Lane>>();
  /** Lanes of which the store has more. */
  readonly #incomplete = new Set<Lane>();
  readonly #window: number;
  readonly #claimed: Usage;

  /** `claimed`: the places that tasks of each key hold or are offered. */
  constructor(window: number, claimed: Usage = new Usage()) {
    this.#window = window;
    this.#claimed = claimed;
  }

  /** Number of groups. */
  get size(): number {
    return this.#groups.size;
  }

  /** Number of concurrency keys with waiting tasks. */
  get keys(): number {
    return this.#byKey.size;
  }

  get(key: string): Lane | undefined {
    return this.#lanes.get(key);
  }

  hasGroup(key: string): boolean {
    return this.#groups.has(key);
  }

  hasKey(concurrencyKey: string): boolean {
    return this.#byKey.has(concurrencyKey);
  }

  all(): IterableIterator<Lane> {
    return this.#lanes.values();
  }

  inQueue(queue: string): Iterable<Group> {
    return this.#byQueue.get(queue) ?? [];
  }

  queues(): IterableIterator<string> {
    return this.#byQueue.keys();
  }

  /** Names a lane that the store has tasks of; its window is filled when somebody can run them. */
  known(key: string, parts: LaneParts, complete: boolean): Lane {
    const old = this.#lanes.get(key);
    if (old !== undefined) return old;
    const { concurrencyKey } = parts;
    const group = this.#group(parts);
    group.lanes++;
    const lane: Lane = { key, group, concurrencyKey, tasks: [], complete, place: -1 };
    this.#lanes.set(key, lane);
    if (!complete) this.#incomplete.add(lane);
    if (concurrencyKey === '') return lane;
    const peers = this.#byKey.get(concurrencyKey) ?? new Set();
    this.#byKey.set(concurrencyKey, peers.add(lane));
    return lane;
  }

  #group({ queue, requiredLabels, handler }: Needs): Group {
    const key = groupOf({ queue, requiredLabels, handler });
    const old = this.#groups.get(key);
    if (old !== undefined) return old;
    const group: Group = { key, queue, requiredLabels, handler, lanes: 0, open: new Heap(headFirst) };
    this.#groups.set(key, group);
    const peers = this.#byQueue.get(queue) ?? new Set();
    this.#byQueue.set(queue, peers.add(group));
    return group;
  }

  insert(task: TaskRow): void {
    const lane = this.known(laneOf(task), task, true);
    const at = position(lane.tasks, task);
    const isLast = at === lane.tasks.length;
    if (isLast && !lane.complete) return;
    lane.tasks.splice(at, 0, task);
    if (lane.tasks.length > this.windowOf(lane)) {
      lane.tasks.pop();
      lane.complete = false;
    }
    this.#settle(lane);
  }

  remove(task: TaskRow): void {
    const lane = this.#lanes.get(laneOf(task));
    if (lane === undefined) return;
    const at = position(lane.tasks, task);
    if (lane.tasks[at]?.taskId === task.taskId) lane.tasks.splice(at, 1);
    this.#settle(lane);
  }

  /** Takes the head of a lane out of its window. */
  take(lane: Lane): TaskRow | undefined {
    const task = lane.tasks.shift();
    this.#settle(lane);
    return task;
  }

  /** Lengthens a window by what the store has behind it: the next tasks that are not offered. */
  refill(lane: Lane, tasks: readonly TaskRow[], complete: boolean): void {
    lane.tasks = [...lane.tasks, ...tasks];
    lane.complete = complete;
    this.#settle(lane);
  }

  /** Places of a concurrency key were taken or have become free. */
  recheck(concurrencyKey: string): void {
    for (const lane of this.#byKey.get(concurrencyKey) ?? []) this.#settle(lane);
  }

  /** How many tasks of a lane are kept in memory. */
  windowOf({ concurrencyKey, tasks }: Lane): number {
    if (concurrencyKey === '') return this.#window;
    return Math.min(this.#window, KEY_WINDOW + 4 * (tasks[0]?.concurrencyLimit ?? 0));
  }

  /** Whether the window runs low while the store has more. */
  wantsRefill(lane: Lane): boolean {
    return !lane.complete && lane.tasks.length < this.windowOf(lane) / 4;
  }

  /** The first lanes that want a refill and whose queue `isWanted`; the others follow when these are filled. */
  toRefill(isWanted: (queue: string) => boolean): Lane[] {
    const wanted: Lane[] = [];
    for (const lane of this.#incomplete) {
      if (wanted.length === REFILLS) break;
      if (this.wantsRefill(lane) && isWanted(lane.group.queue)) wanted.push(lane);
    }
    return wanted;
  }

  /** After any change of a lane: whether its head may be offered, whether the store has more, whether it is over. */
  #settle(lane: Lane): void {
    const [head] = lane.tasks;
    const { concurrencyKey: key, group } = lane;
    if (head !== undefined && (key === '' || this.#claimed.allows(key, head.concurrencyLimit)))
      group.open.put(lane);
    else group.open.remove(lane);
    if (lane.complete) this.#incomplete.delete(lane);
    else this.#incomplete.add(lane);
    if (head === undefined && lane.complete) this.#forget(lane);
  }

  #forget(lane: Lane): void {
    const { group, key, concurrencyKey } = lane;
    if (!this.#lanes.delete(key)) return;
    const siblings = this.#byKey.get(concurrencyKey);
    siblings?.delete(lane);
    if (siblings?.size === 0) this.#byKey.delete(concurrencyKey);
    group.lanes--;
    if (group.lanes > 0) return;
    this.#groups.delete(group.key);
    const peers = this.#byQueue.get(group.queue);
    peers?.delete(group);
    if (peers?.size === 0) this.#byQueue.delete(group.queue);
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
