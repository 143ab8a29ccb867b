import type { TaskId } from '../../kit/ids.js';
import { invariant } from '../../kit/invariant.js';
import type { TaskRow, TaskState } from '../rows.js';
import type { RunRow } from './rows.js';
import {
  addTo,
  isDone,
  type MappedSoFar,
  NOTHING_DECIDED,
  type Standing,
  Sums,
  soFar,
  withoutGaps,
} from './standing.js';

/** A task instance as its run sees it; everything else of it is in its row. */
export interface InstanceAt {
  readonly taskId: TaskId;
  readonly mapIndex: number;
  readonly state: TaskState;
  /** See Instance.ready. */
  readonly ready: boolean;
  /** Its element is not there any more: it was cleared, and the list has become shorter. It counts for nothing. */
  readonly gone: boolean;
  readonly pool: string;
  readonly poolSlots: number;
  readonly rank: number;
}

/** Reason of an instance whose element is not there any more. */
export const NO_ELEMENT = 'no_element';

export function instanceAt(task: TaskRow): InstanceAt {
  const { taskId, state, rank, instance } = task;
  invariant(instance !== null, 'a submitted task is no instance');
  const { mapIndex, ready, pool, poolSlots } = instance;
  const gone = state === 'skipped' && task.reason === NO_ELEMENT;
  return { taskId, mapIndex, state, ready, gone, pool, poolSlots, rank };
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
 * A run with its instances: as committed, or as a draft makes it over the committed one. A draft keeps what it changes
 * and counts it, so that it costs what it changes; what is thrown away leaves no trace.
 */
export class RunView {
  row: RunRow;
  /** Tasks that have changed since what comes after them was last decided. */
  touched: Set<string> | 'all';
  /** Instances that take up room. */
  active: number;
  /** Tasks that have instances, and those of which all have ended. */
  decided: number;
  over: number;
  readonly #base: RunView | null;
  readonly #instances = new Map<string, Map<number, InstanceAt>>();
  readonly #standings = new Map<string, Standing>();
  readonly #mapped = new Map<string, MappedSoFar>();
  /** Of committed views alone: a draft asks its base, and adds what it has changed. */
  readonly #sums = new Sums((task) => this.standing(task));

  constructor(row: RunRow, base: RunView | null = null) {
    this.row = row;
    this.#base = base;
    this.active = base?.active ?? 0;
    this.decided = base?.decided ?? 0;
    this.over = base?.over ?? 0;
    this.touched = base?.touched === 'all' ? 'all' : new Set(base?.touched);
  }

  get(task: string, mapIndex: number): InstanceAt | undefined {
    return this.#instances.get(task)?.get(mapIndex) ?? this.#base?.get(task, mapIndex);
  }

  /** Whether anything of the task is decided. */
  has(task: string): boolean {
    return this.#instances.has(task) || this.#base?.has(task) === true;
  }

  /** Instances of a task that exist, by map index if they were made so; none before it is decided. */
  *of(task: string): Iterable<InstanceAt> {
    const mine = this.#instances.get(task);
    for (const instance of this.#base?.of(task) ?? []) yield mine?.get(instance.mapIndex) ?? instance;
    for (const instance of mine?.values() ?? []) {
      if (this.#base?.get(task, instance.mapIndex) === undefined) yield instance;
    }
  }

  /** Names of the tasks that have instances. */
  *tasks(): Iterable<string> {
    yield* this.#instances.keys();
    if (this.#base === null) return;
    for (const task of this.#base.tasks()) if (!this.#instances.has(task)) yield task;
  }

  /** Instances that there are. */
  get count(): number {
    let count = 0;
    for (const task of this.tasks()) count += this.standing(task).instances;
    return count;
  }

  /** How the instances of one task stand. */
  standing(task: string): Standing {
    return this.#standings.get(task) ?? this.#base?.standing(task) ?? NOTHING_DECIDED;
  }

  /** How those of several stand together; asked again for the same list, it costs what has changed since. */
  standings(tasks: readonly string[]): Standing {
    if (this.#base === null) return this.#sums.of(tasks);
    return this.#base.#sums.changed(tasks, this.#standings, (task) => this.standing(task));
  }

  /** How far a task is mapped; undefined for one that is not. */
  mapped(task: string): MappedSoFar | undefined {
    return this.#mapped.get(task) ?? this.#base?.mapped(task);
  }

  put(task: string, instance: InstanceAt): void {
    const old = this.get(task, instance.mapIndex);
    const before = this.standing(task);
    const bare = withoutGaps(before);
    const now = this.#withGaps(
      task,
      instance,
      old,
      addTo(old === undefined ? bare : addTo(bare, old, -1), instance, 1),
    );
    this.active += Number(takesRoom(instance)) - Number(old !== undefined && takesRoom(old));
    this.decided += Number(before.instances === 0);
    this.over += Number(isDone(now)) - Number(isDone(before));
    const instances = this.#instances.get(task) ?? new Map<number, InstanceAt>();
    this.#instances.set(task, instances.set(instance.mapIndex, instance));
    if (this.#base === null) this.#sums.change(task, before, now);
    this.#standings.set(task, now);
  }

  #withGaps(
    task: string,
    { mapIndex }: InstanceAt,
    old: InstanceAt | undefined,
    standing: Standing,
  ): Standing {
    const before = this.mapped(task);
    if (before === undefined && mapIndex < 0) return standing;
    const { length, instances } = before ?? { length: 0, instances: 0 };
    const isNew = old === undefined && mapIndex >= 0;
    const now = isNew ? { length: Math.max(length, mapIndex + 1), instances: instances + 1 } : before;
    if (now === undefined) return standing;
    if (isNew) this.#mapped.set(task, now);
    return soFar(standing, now);
  }

  /** Whether all that has begun is over; elements of a list that have no instance yet have not. */
  get isStill(): boolean {
    if (this.over === this.decided) return true;
    for (const task of this.tasks()) if (!isDone(withoutGaps(this.standing(task)))) return false;
    return true;
  }

  touch(task: string): void {
    if (this.touched !== 'all') this.touched.add(task);
  }

  /** Takes over what a committed draft has made of it. */
  settle(draft: RunView): void {
    invariant(draft.#base === this, 'a draft settles into what it was made from');
    for (const [task, instances] of draft.#instances) {
      for (const instance of instances.values()) this.put(task, instance);
    }
    this.row = draft.row;
    this.touched = draft.touched;
    invariant(this.active === draft.active && this.over === draft.over, 'a draft counts as its base does');
  }
}

export function standingOf(view: RunView, tasks: readonly string[]): Standing {
  return view.standings(tasks);
}

export { isDone, type Standing };
