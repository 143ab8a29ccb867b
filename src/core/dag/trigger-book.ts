import type { Epoch, TaskId } from '../../kit/ids.js';
import { add, drop } from '../../kit/sets.js';
import type { AssetRow, TriggerRow } from './rows.js';

/**
 * Kinds that wait for what the coordinator itself is the first to know; no triggerer is asked for them. A triggerer that
 * names them gets none.
 */
export const CORE_KINDS: ReadonlySet<string> = new Set(['asset', 'external']);

/** What a trigger of kind `asset` waits for. The core writes `after`, so that a restart forgets no event. */
export interface AssetInput {
  readonly asset: string;
  /** The event must have a higher number. */
  readonly after: number;
}

/** Every trigger there is, with where each is to be looked for. */
export class TriggerBook {
  /** Triggers of kind `asset` whose event has come; what is to be resumed is read first. */
  readonly due = new Set<string>();
  readonly #rows = new Map<string, TriggerRow>();
  readonly #ofTask = new Map<TaskId, string>();
  readonly #assigned = new Map<Epoch, Set<string>>();
  readonly #unowned = new Map<string, Set<string>>();
  readonly #ofAsset = new Map<string, Set<string>>();

  get size(): number {
    return this.#rows.size;
  }

  get(triggerId: string): TriggerRow | undefined {
    return this.#rows.get(triggerId);
  }

  values(): Iterable<TriggerRow> {
    return this.#rows.values();
  }

  /** The trigger that a deferred task waits for. */
  ofTask(taskId: TaskId): string | undefined {
    return this.#ofTask.get(taskId);
  }

  /** Triggers that are assigned to a session. */
  of(epoch: Epoch): ReadonlySet<string> {
    return this.#assigned.get(epoch) ?? NONE;
  }

  /** Triggers without a live session, by kind; those of CORE_KINDS never have one. */
  get unowned(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#unowned;
  }

  /** Sessions that some trigger names. */
  get sessions(): Iterable<Epoch> {
    return this.#assigned.keys();
  }

  put(trigger: TriggerRow): void {
    this.#unlist(trigger.triggerId);
    this.#rows.set(trigger.triggerId, trigger);
    this.#ofTask.set(trigger.taskId, trigger.triggerId);
    if (trigger.epoch === 0n) add(this.#unowned, trigger.kind, trigger.triggerId);
    else add(this.#assigned, trigger.epoch, trigger.triggerId);
    if (trigger.kind === 'asset') add(this.#ofAsset, assetInput(trigger).asset, trigger.triggerId);
  }

  remove(triggerId: string): void {
    const row = this.#rows.get(triggerId);
    if (row === undefined) return;
    this.#unlist(triggerId);
    this.#rows.delete(triggerId);
    if (this.#ofTask.get(row.taskId) === triggerId) this.#ofTask.delete(row.taskId);
    if (row.kind === 'asset') drop(this.#ofAsset, assetInput(row).asset, triggerId);
    this.due.delete(triggerId);
  }

  /**
   * A session is over: what was assigned to it has no owner. The rows go on naming it, so that the loss of a triggerer
   * with thousands of triggers writes nothing but its session; the next assignment replaces them.
   */
  release(epoch: Epoch): void {
    for (const triggerId of this.#assigned.get(epoch) ?? []) {
      const row = this.#rows.get(triggerId);
      if (row !== undefined) add(this.#unowned, row.kind, triggerId);
    }
    this.#assigned.delete(epoch);
  }

  /** An asset has had an event: triggers that were made before it are due. */
  noteAsset({ asset, lastEvent }: AssetRow): void {
    for (const triggerId of this.#ofAsset.get(asset) ?? []) {
      const row = this.#rows.get(triggerId);
      if (row !== undefined && lastEvent > assetInput(row).after) this.due.add(triggerId);
    }
  }

  #unlist(triggerId: string): void {
    const row = this.#rows.get(triggerId);
    if (row === undefined) return;
    drop(this.#unowned, row.kind, triggerId);
    drop(this.#assigned, row.epoch, triggerId);
  }
}

const NONE: ReadonlySet<string> = new Set();

function assetInput({ input }: Pick<TriggerRow, 'input'>): AssetInput {
  return JSON.parse(input) as AssetInput;
}
