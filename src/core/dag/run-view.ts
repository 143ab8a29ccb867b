import type { TaskId } from '../../kit/ids.js';
import { invariant } from '../../kit/invariant.js';
import { isFinal, type TaskRow, type TaskState } from '../rows.js';
import type { RunRow } from './rows.js';

/** A task instance as its run sees it; everything else of it is in its row. */
export interface InstanceAt {
  readonly taskId: TaskId;
  readonly mapIndex: number;
  readonly state: TaskState;
  /** See Instance.ready. */
  readonly ready: boolean;
  readonly pool: string;
  readonly poolSlots: number;
  readonly rank: number;
}

/** Instances of one task of a run, by map index. */
export type Instances = ReadonlyMap<number, InstanceAt>;

const NONE: Instances = new Map();

export function instanceAt(task: TaskRow): InstanceAt {
  const { taskId, state, rank, instance } = task;
  invariant(instance !== null, 'a submitted task is no instance');
  const { mapIndex, ready, pool, poolSlots } = instance;
  return { taskId, mapIndex, state, ready, pool, poolSlots, rank };
}

/** Whether an instance takes up room of its run and its pool. */
export function takesRoom({ state }: Pick<InstanceAt, 'state'>): boolean {
  return state === 'queued' || state === 'running';
}

/** Whether an instance waits for room only. */
export function waitsForRoom({ state, ready }: Pick<InstanceAt, 'state' | 'ready'>): boolean {
  return state === 'scheduled' && ready;
}

/** Whether an instance is to be decided, for the first time or once more: cleared, or its wait is over. */
export function isUndecided({ state, ready }: Pick<InstanceAt, 'state' | 'ready'>): boolean {
  return state === 'scheduled' && !ready;
}

/**
 * A run with its instances: as committed, or as a draft makes it over the committed one. What a draft changes is
 * copied task by task; what is thrown away leaves no trace.
 */
export class RunView {
  row: RunRow;
  /** Tasks that have changed since what comes after them was last decided. */
  touched: Set<string> | 'all';
  readonly #base: RunView | null;
  readonly #instances = new Map<string, Map<number, InstanceAt>>();
  /** Instances that take up room. */
  active: number;

  constructor(row: RunRow, base: RunView | null = null) {
    this.row = row;
    this.#base = base;
    this.active = base?.active ?? 0;
    this.touched = base?.touched === 'all' ? 'all' : new Set(base?.touched);
  }

  /** Instances of a task that exist; none before it is decided. */
  of(task: string): Instances {
    return this.#instances.get(task) ?? this.#base?.of(task) ?? NONE;
  }

  /** Names of the tasks that have instances. */
  *tasks(): Iterable<string> {
    yield* this.#instances.keys();
    if (this.#base === null) return;
    for (const task of this.#base.tasks()) if (!this.#instances.has(task)) yield task;
  }

  put(task: string, instance: InstanceAt): void {
    const instances = this.#instances.get(task) ?? new Map(this.of(task));
    const old = instances.get(instance.mapIndex);
    this.active += Number(takesRoom(instance)) - Number(old !== undefined && takesRoom(old));
    instances.set(instance.mapIndex, instance);
    this.#instances.set(task, instances);
  }

  touch(task: string): void {
    if (this.touched !== 'all') this.touched.add(task);
  }

  /** Takes over what a committed draft has made of it. */
  settle(draft: RunView): void {
    invariant(draft.#base === this, 'a draft settles into what it was made from');
    for (const [task, instances] of draft.#instances) this.#instances.set(task, instances);
    this.row = draft.row;
    this.active = draft.active;
    this.touched = draft.touched;
  }
}

/** How the instances of a task, or of several, stand. */
export interface Standing {
  readonly total: number;
  readonly success: number;
  /** Failed or cancelled. */
  readonly failed: number;
  readonly upstreamFailed: number;
  readonly skipped: number;
}

/** Whether all of them have ended. A task that is not decided yet counts as one that has not. */
export function isDone({ total, success, failed, upstreamFailed, skipped }: Standing): boolean {
  return success + failed + upstreamFailed + skipped === total;
}

export function standingOf(view: RunView, tasks: readonly string[]): Standing {
  const standing = { total: 0, success: 0, failed: 0, upstreamFailed: 0, skipped: 0 };
  for (const task of tasks) {
    const instances = view.of(task);
    // Instances of a mapped task come all at once, so a task with any has all of them.
    standing.total += Math.max(1, instances.size);
    for (const { state, ready } of instances.values()) {
      if (!isFinal(state) || !ready) continue;
      if (state === 'success') standing.success++;
      else if (state === 'skipped') standing.skipped++;
      else if (state === 'upstream_failed') standing.upstreamFailed++;
      else standing.failed++;
    }
  }
  return standing;
}
