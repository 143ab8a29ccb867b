import type { Epoch, StreamId, TaskId } from '../../kit/ids.js';
import { invariant } from '../../kit/invariant.js';
import type { WallMs } from '../../kit/time.js';
import { MARKED } from '../requests.js';
import { isFinal, type TaskRow } from '../rows.js';
import type { DueRun, LoadedDags } from './inputs.js';
import { type Plan, taskOf } from './plan.js';
import {
  type AssetEventRow,
  type AssetRow,
  type BackfillRow,
  type BundleRow,
  type DagRow,
  type DagVersionRow,
  type Instance,
  type PoolRow,
  type RunKey,
  type RunRow,
  type TriggerRow,
  withEvent,
} from './rows.js';
import { type InstanceAt, instanceAt, isUndecided, RunView, takesRoom, waitsForRoom } from './run-view.js';
import { type DagState, isActive, planKey, slotsOfNone, turnOf } from './state.js';

/** Whom a session is told that a bundle is held by: itself, or another. */
export interface BundleHold {
  readonly epoch: Epoch;
  readonly bundle: string;
  readonly held: boolean;
  /** Of the snapshot in force, hex; empty when it is to be sent in any case. */
  readonly hash: string;
}

/** What has become of a whole snapshot. */
export interface SnapshotAnswer {
  readonly streamId: StreamId;
  readonly bundle: string;
  readonly sequence: bigint;
  readonly state: 'in_force' | 'refused' | 'not_held';
  /** Why it is refused, for people. */
  readonly message: string;
}

/** An instance that a draft changes: where it stood when committed, and where it stands now. */
interface InstanceChange {
  readonly run: RunKey;
  readonly old: InstanceAt | undefined;
  now: InstanceAt;
}

/** What a draft changes of DAGs. */
export class DagDraft {
  readonly dags = new Map<string, DagRow>();
  readonly versions: DagVersionRow[] = [];
  /** Runs that this draft looks at, with what it makes of them. */
  readonly views = new Map<RunKey, RunView>();
  /** Those whose rows change. */
  readonly runs = new Map<RunKey, RunRow>();
  readonly pools = new Map<string, PoolRow>();
  readonly poolRemovals = new Map<string, number>();
  readonly assets = new Map<string, AssetRow>();
  readonly assetEvents: AssetEventRow[] = [];
  readonly triggers = new Map<string, TriggerRow>();
  readonly triggerRemovals = new Map<string, number>();
  readonly bundles = new Map<string, BundleRow>();
  readonly backfills = new Map<string, BackfillRow>();
  readonly runRemovals = new Map<RunKey, number>();
  /** Ended ones that retention removes, by name, with their versions. */
  readonly backfillRemovals = new Map<string, number>();
  /** P17: what DAG processors are told, and how their snapshots are answered. */
  readonly holds: BundleHold[] = [];
  readonly answers: SnapshotAnswer[] = [];
  readonly versionRemovals: { readonly dagId: string; readonly definitionVersion: number }[] = [];
  /** Asset events up to this number are of use to nobody; 0 for none. */
  eventsUpTo = 0;
  readonly changes = new Map<TaskId, InstanceChange>();
  /** Runs that this draft has advanced. */
  readonly advanced = new Set<RunKey>();
  /** Whether this draft has looked for whatever has room. */
  looksForRoom = false;
  /** Whether there is more to decide at once: room that was left, rows that were not read yet. */
  unfinished = false;
  /** DAGs whose pending assets this draft has looked at. */
  readonly looked = new Set<string>();
  newestEvent: number;
  readonly #touched = new Set<RunKey>();
  #fullAt = Number.POSITIVE_INFINITY;
  readonly #removed = new Set<TaskId>();
  readonly #poolUse = new Map<string, number>();
  readonly #triggerOf = new Map<TaskId, string>();
  readonly #state: DagState;
  readonly #loaded: LoadedDags;

  constructor(state: DagState, loaded: LoadedDags) {
    this.#state = state;
    this.#loaded = loaded;
    this.newestEvent = state.newestEvent;
  }

  dag(dagId: string): DagRow | undefined {
    return this.dags.get(dagId) ?? this.#state.dags.get(dagId);
  }

  putDag(dag: DagRow): DagRow {
    const row = { ...dag, version: (this.#state.dags.get(dag.dagId)?.version ?? 0) + 1 };
    this.dags.set(row.dagId, row);
    return row;
  }

  plan({ dagId, definitionVersion }: Pick<DagRow, 'dagId' | 'definitionVersion'>): Plan | undefined {
    const run = { dagId, definitionVersion };
    return this.#state.planOf(run) ?? this.#loaded.plans.get(planKey(dagId, definitionVersion));
  }

  /** From here on so many instances may change; the rest is for the next commit. */
  limitChanges(most: number): void {
    this.#fullAt = this.changes.size + most;
  }

  /** How many more may change. */
  get room(): number {
    return Math.max(0, this.#fullAt - this.changes.size);
  }

  /** What a tick has to create. */
  get due(): readonly DueRun[] {
    return this.#loaded.due;
  }

  /** Runs that stand for the instants that were asked for. */
  get instants(): LoadedDags['instants'] {
    return this.#loaded.instants;
  }

  /** A run that is queued or running, as this draft makes it. */
  run(key: RunKey): RunView | undefined {
    const view = this.views.get(key);
    if (view !== undefined) return view;
    const base = this.#state.runs.get(key);
    if (base === undefined) return undefined;
    const fresh = new RunView(base.row, base);
    this.views.set(key, fresh);
    return fresh;
  }

  /** As `run`, for who only looks. */
  peek(key: RunKey): RunView | undefined {
    return this.views.get(key) ?? this.#state.runs.get(key);
  }

  /** A run's row, whether it has ended or not; undefined when it is not known, or was not asked for. */
  runRow(key: RunKey): RunRow | undefined {
    if (this.runRemovals.has(key)) return undefined;
    return this.views.get(key)?.row ?? this.#state.runs.get(key)?.row ?? this.#loaded.runs.get(key);
  }

  /** Instances of a run that are not in memory, as they were read. */
  instancesOf(run: RunKey): readonly TaskRow[] {
    return (this.#loaded.instances.get(run) ?? []).filter(({ taskId }) => !this.#removed.has(taskId));
  }

  /** Runs of a DAG that are queued or running, those of backfills left out, this draft's changes included. */
  activeRuns(dagId: string): number {
    let active = this.#state.activeRuns(dagId);
    for (const row of this.runs.values()) {
      if (row.dagId !== dagId || turnOf(row) !== '') continue;
      active += Number(isActive(row)) - Number(this.#state.runs.has(row.run));
    }
    return active;
  }

  /** Retention removes an ended run, and the definition that it pinned if no other run does. */
  removeRun({ run, version, dagId, definitionVersion }: RunRow): void {
    this.runRemovals.set(run, version);
    this.versionRemovals.push({ dagId, definitionVersion });
  }

  /** Hears of every task that the draft removes. */
  noteRemoval(taskId: TaskId): void {
    this.#removed.add(taskId);
  }

  /** Whether this draft has made a run of a backfill, or had one done again. */
  createdFor(backfill: string): boolean {
    for (const row of this.runs.values()) if (turnOf(row) === backfill && isActive(row)) return true;
    return false;
  }

  /** Something that holds a run back has changed. */
  touchRun(run: RunKey): void {
    this.#touched.add(run);
  }

  putRun(run: RunRow): RunView {
    const before = this.#state.runs.get(run.run)?.row ?? this.#loaded.runs.get(run.run);
    const row = { ...run, version: (before?.version ?? 0) + 1 };
    this.runs.set(row.run, row);
    const view = this.run(row.run);
    if (view !== undefined) {
      view.row = row;
      return view;
    }
    const fresh = new RunView(row);
    fresh.touched = 'all';
    this.views.set(row.run, fresh);
    // A run that had ended comes back with all of its instances.
    for (const task of this.instancesOf(row.run)) this.#note(fresh, task);
    return fresh;
  }

  /** Hears of every task that the draft puts. */
  noteTask(task: TaskRow): void {
    const { instance, state, taskId } = task;
    // Whatever takes it out of its wait: nobody waits for the event any more.
    const trigger = state === 'deferred' ? undefined : this.triggerOf(taskId);
    if (trigger !== undefined) this.removeTrigger(trigger.triggerId);
    const view = instance === null ? undefined : this.run(instance.run);
    // What ends after its run did, such as a cancelled try that still stopped, moves nothing.
    if (instance === null || view === undefined) return;
    const before = view.get(instance.task, instance.mapIndex);
    this.#note(view, task);
    const succeeds = state === 'success' && before?.state !== 'success' && task.reason !== MARKED;
    if (succeeds) this.#updateOutlets(view, task, instance);
  }

  /** The success of an instance updates its assets: in the commit of the success, or one might be without the other. */
  #updateOutlets(view: RunView, { endedAt }: TaskRow, { run, task, mapIndex }: Instance): void {
    const plan = this.plan(view.row);
    invariant(plan !== undefined && endedAt !== null, 'the definition of an instance is read before it ends');
    for (const asset of taskOf(plan, task).outlets) this.emit(asset, { run, task, mapIndex }, '', endedAt);
  }

  #note(view: RunView, task: TaskRow): void {
    const { instance, taskId } = task;
    invariant(instance !== null, 'a run has instances only');
    const before = view.get(instance.task, instance.mapIndex);
    const now = instanceAt(task);
    view.put(instance.task, now);
    // Only ends, and ends that are taken back, change what comes after it.
    // And an instance whose wait is over, which is to be decided itself.
    if (isFinal(now.state) || before?.ready !== now.ready || isUndecided(now)) view.touch(instance.task);
    const left = before !== undefined && takesRoom(before) && !takesRoom(now);
    if (left || waitsForRoom(now)) this.unfinished = true;
    const change = this.changes.get(taskId);
    if (change !== undefined) change.now = now;
    else this.changes.set(taskId, { run: instance.run, old: before, now });
    const by = roomOf(now) - (before === undefined ? 0 : roomOf(before));
    if (by !== 0) this.#poolUse.set(now.pool, this.poolUse(now.pool) + by);
  }

  /** Slots of a pool that are taken, this draft's changes included. */
  poolUse(pool: string): number {
    return this.#poolUse.get(pool) ?? this.#state.poolUse.get(pool) ?? 0;
  }

  putPool(pool: PoolRow): PoolRow {
    const removed = this.poolRemovals.has(pool.pool);
    const row = { ...pool, version: removed ? 1 : (this.#state.pools.get(pool.pool)?.version ?? 0) + 1 };
    this.pools.set(row.pool, row);
    this.unfinished = true;
    return row;
  }

  /** False when there is none. */
  removePool(pool: string): boolean {
    const stored = this.#state.pools.get(pool);
    const isThere = this.pools.delete(pool) || (stored !== undefined && !this.poolRemovals.has(pool));
    if (stored !== undefined) this.poolRemovals.set(pool, stored.version);
    this.unfinished ||= isThere;
    return isThere;
  }

  slotsOf(pool: string): number {
    if (this.poolRemovals.has(pool) && !this.pools.has(pool)) return slotsOfNone(pool);
    return this.pools.get(pool)?.slots ?? this.#state.slotsOf(pool);
  }

  trigger(triggerId: string): TriggerRow | undefined {
    if (this.triggerRemovals.has(triggerId)) return undefined;
    return this.triggers.get(triggerId) ?? this.#state.triggers.get(triggerId);
  }

  /** The trigger that a deferred task waits for. */
  triggerOf(taskId: TaskId): TriggerRow | undefined {
    const triggerId = this.#triggerOf.get(taskId) ?? this.#state.triggers.ofTask(taskId);
    return triggerId === undefined ? undefined : this.trigger(triggerId);
  }

  putTrigger(trigger: TriggerRow): TriggerRow {
    const version = (this.#state.triggers.get(trigger.triggerId)?.version ?? 0) + 1;
    const row = { ...trigger, version };
    this.triggers.set(row.triggerId, row);
    this.#triggerOf.set(row.taskId, row.triggerId);
    return row;
  }

  removeTrigger(triggerId: string): void {
    this.triggers.delete(triggerId);
    const stored = this.#state.triggers.get(triggerId);
    // One that this very draft has made was never stored.
    if (stored !== undefined) this.triggerRemovals.set(triggerId, stored.version);
  }

  asset(asset: string): AssetRow | undefined {
    return this.assets.get(asset) ?? this.#state.assets.get(asset);
  }

  putAsset(asset: AssetRow): AssetRow {
    const row = { ...asset, version: (this.#state.assets.get(asset.asset)?.version ?? 0) + 1 };
    this.assets.set(row.asset, row);
    return row;
  }

  /** Something happened to an asset: DAGs that wait for it have one event more, paused or not. */
  emit(asset: string, source: AssetEventRow['source'], extra: string, at: WallMs): AssetEventRow {
    this.newestEvent++;
    const event = { n: this.newestEvent, asset, at, source, extra };
    this.assetEvents.push(event);
    this.putAsset({ asset, version: 0, lastEvent: event.n, lastEventAt: at });
    for (const dagId of this.#state.dagsOfAsset.get(asset) ?? []) {
      const dag = this.dag(dagId);
      if (dag?.active === true) this.putDag({ ...dag, pendingAssets: withEvent(dag.pendingAssets, event) });
    }
    return event;
  }

  bundle(bundle: string): BundleRow | undefined {
    return this.bundles.get(bundle) ?? this.#state.bundles.get(bundle);
  }

  putBundle(bundle: BundleRow): BundleRow {
    const row = { ...bundle, version: (this.#state.bundles.get(bundle.bundle)?.version ?? 0) + 1 };
    this.bundles.set(row.bundle, row);
    return row;
  }

  backfill(backfill: string): BackfillRow | undefined {
    const known = this.backfills.get(backfill) ?? this.#state.backfills.get(backfill);
    return known ?? this.#loaded.backfills.get(backfill);
  }

  putBackfill(backfill: BackfillRow): BackfillRow {
    const version = (this.#state.backfills.get(backfill.backfill)?.version ?? 0) + 1;
    const row = { ...backfill, version };
    this.backfills.set(row.backfill, row);
    return row;
  }

  /** Whether there is anything to make durable besides tasks. */
  get writes(): boolean {
    if (this.eventsUpTo > 0 || this.versionRemovals.length > 0) return true;
    return [
      this.dags,
      this.runs,
      this.pools,
      this.poolRemovals,
      this.assets,
      this.triggers,
      this.triggerRemovals,
      this.bundles,
      this.backfills,
      this.runRemovals,
      this.backfillRemovals,
    ].some(({ size }) => size > 0);
  }

  /** After the commit: all of it becomes the state. */
  settle(): void {
    const state = this.#state;
    for (const dagId of this.looked) state.ripe.delete(dagId);
    state.newestEvent = this.newestEvent;
    for (const dag of this.dags.values()) state.putDag(dag);
    for (const pool of this.poolRemovals.keys()) state.pools.delete(pool);
    for (const pool of this.pools.values()) state.pools.set(pool.pool, pool);
    for (const triggerId of this.triggerRemovals.keys()) state.triggers.remove(triggerId);
    for (const trigger of this.triggers.values()) state.triggers.put(trigger);
    for (const asset of this.assets.values()) state.putAsset(asset);
    for (const bundle of this.bundles.values()) state.bundles.set(bundle.bundle, bundle);
    for (const run of this.advanced) state.dirty.delete(run);
    state.unfinished = this.unfinished || (!this.looksForRoom && state.unfinished);
    for (const { run, old, now } of this.changes.values()) state.count(run, old, now);
    for (const run of this.#touched) if (state.runs.has(run)) state.dirty.add(run);
    for (const [run, view] of this.views) {
      invariant(view.row.run === run, 'a view is of its own run');
      state.settleRun(view);
      const plan = this.#loaded.plans.get(planKey(view.row.dagId, view.row.definitionVersion));
      if (plan !== undefined && state.runs.has(run)) state.plans.set(plan.key, plan);
    }
    for (const backfill of [...this.#loaded.backfills.values(), ...this.backfills.values()])
      state.putBackfill(backfill);
  }
}

function roomOf(instance: InstanceAt): number {
  return takesRoom(instance) ? instance.poolSlots : 0;
}
