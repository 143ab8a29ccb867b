import type { TaskId } from '../../kit/ids.js';
import { invariant } from '../../kit/invariant.js';
import { add, drop } from '../../kit/sets.js';
import { earliest, type ServiceMs, type WallMs } from '../../kit/time.js';
import type { TaskRow } from '../rows.js';
import { type AssetCondition, DEFAULT_POOL } from './definition.js';
import type { Plan } from './plan.js';
import type {
  AssetRow,
  BackfillRow,
  BundleRow,
  DagRow,
  PoolRow,
  RunKey,
  RunRow,
  TriggerRow,
} from './rows.js';
import { type InstanceAt, instanceAt, RunView, takesRoom, waitsForRoom } from './run-view.js';
import { TriggerBook } from './trigger-book.js';
import { WaitList } from './wait-list.js';

/** The rows of DAGs that a coordinator starts from (see Store.load). */
export interface DagStart {
  readonly dags: readonly DagRow[];
  readonly runs: readonly RunRow[];
  readonly instances: readonly TaskRow[];
  readonly pools: readonly PoolRow[];
  readonly assets: readonly AssetRow[];
  readonly triggers: readonly TriggerRow[];
  readonly bundles: readonly BundleRow[];
  readonly backfills: readonly BackfillRow[];
  /** Number of the newest asset event ever written; 0 when there was none. */
  readonly newestEvent: number;
}

export const NO_DAGS: DagStart = {
  ...{ dags: [], runs: [], instances: [], pools: [], assets: [], triggers: [], bundles: [], backfills: [] },
  newestEvent: 0,
};

/**
 * What the coordinator keeps in memory of DAGs: all of them without their definitions, the runs that have not ended with
 * where their instances stand, and definitions that those pin, once something of them was decided. Changes in settleDags
 * alone, after the commit.
 */
export class DagState {
  readonly dags = new Map<string, DagRow>();
  /** Runs that are queued or running. */
  readonly runs = new Map<RunKey, RunView>();
  readonly runsOf = new Map<string, Set<RunKey>>();
  /** How many there are, by DAG and backfill. */
  readonly #active = new Map<string, number>();
  readonly #timeouts = new Map<RunKey, ServiceMs>();
  #nextTimeout: ServiceMs | null = null;
  /** Definitions in memory, by definition key. */
  readonly plans = new Map<string, Plan>();
  readonly pools = new Map<string, PoolRow>();
  /** Slots of each pool that are taken. */
  readonly poolUse = new Map<string, number>();
  /** Runs with instances that wait for room, by the pool that they wait in. */
  readonly waiting = new Map<string, Map<RunKey, WaitList>>();
  readonly assets = new Map<string, AssetRow>();
  /** DAGs whose schedule names an asset. */
  readonly dagsOfAsset = new Map<string, Set<string>>();
  /** DAGs whose assets have had all the events that a run takes, and that nobody has looked at since. */
  readonly ripe = new Set<string>();
  /** Number of the newest asset event. */
  newestEvent: number;
  readonly triggers = new TriggerBook();
  readonly bundles = new Map<string, BundleRow>();
  /** Those under way, and those that have ended while a run goes on in their turn, done again: their limits hold for it. */
  readonly backfills = new Map<string, BackfillRow>();
  /** Runs of which something is to be decided. */
  readonly dirty = new Set<RunKey>();
  /** Whether some instance may have room that nobody has looked at yet. */
  unfinished = true;
  /** The earliest instant of any timetable; null when there is none. */
  nextInstant: WallMs | null = null;

  constructor(start: DagStart) {
    this.newestEvent = start.newestEvent;
    for (const dag of start.dags) this.putDag(dag);
    for (const pool of start.pools) this.pools.set(pool.pool, pool);
    for (const trigger of start.triggers) this.triggers.put(trigger);
    for (const asset of start.assets) this.putAsset(asset);
    for (const bundle of start.bundles) this.bundles.set(bundle.bundle, bundle);
    for (const backfill of start.backfills) this.backfills.set(backfill.backfill, backfill);
    for (const run of start.runs) {
      const view = new RunView(run);
      view.touched = 'all';
      this.#addRun(view);
    }
    for (const task of start.instances) {
      const view = task.instance === null ? undefined : this.runs.get(task.instance.run);
      if (view === undefined || task.instance === null) continue;
      const instance = instanceAt(task);
      this.count(task.instance.run, undefined, instance);
      view.put(task.instance.task, instance);
    }
  }

  putDag(dag: DagRow): void {
    // What a pause has held back goes on.
    if (this.dags.get(dag.dagId)?.paused === true && !dag.paused) {
      for (const run of this.runsOf.get(dag.dagId) ?? []) this.dirty.add(run);
    }
    for (const asset of assetsOf(this.dags.get(dag.dagId))) drop(this.dagsOfAsset, asset, dag.dagId);
    this.dags.set(dag.dagId, dag);
    for (const asset of assetsOf(dag)) add(this.dagsOfAsset, asset, dag.dagId);
    if (mayCreate(dag)) this.nextInstant = earliest(this.nextInstant, dag.nextInstant);
    this.#lookAtAssets(dag);
  }

  /** Whether a DAG has the events that it waits for; whoever has room then makes a run of them. */
  #lookAtAssets(dag: DagRow | undefined): void {
    if (dag !== undefined && mayCreate(dag) && isRipe(dag)) this.ripe.add(dag.dagId);
  }

  putAsset(asset: AssetRow): void {
    this.assets.set(asset.asset, asset);
    this.triggers.noteAsset(asset);
  }

  /** After the runs that have their turn in it. */
  putBackfill(row: BackfillRow): void {
    const isWanted = isUnderWay(row) || this.activeRuns(row.dagId, row.backfill) > 0;
    if (isWanted) this.backfills.set(row.backfill, row);
    else this.backfills.delete(row.backfill);
  }

  /** The definition that a run pins, or a DAG has now, if it is in memory. */
  planOf({ dagId, definitionVersion }: Pick<DagRow, 'dagId' | 'definitionVersion'>): Plan | undefined {
    return this.plans.get(planKey(dagId, definitionVersion));
  }

  /** Whether a tick may have runs to create. */
  isDue(wall: WallMs): boolean {
    return this.backfills.size > 0 || (this.nextInstant !== null && this.nextInstant <= wall);
  }

  /** DAGs with an instant that has come, and when the next one comes; looks at all of them. */
  dueDags(wall: WallMs): DagRow[] {
    if (this.nextInstant === null || this.nextInstant > wall) return [];
    const due: DagRow[] = [];
    this.nextInstant = null;
    for (const dag of this.dags.values()) {
      if (!mayCreate(dag) || dag.nextInstant === null) continue;
      this.nextInstant = earliest(this.nextInstant, dag.nextInstant);
      if (dag.nextInstant <= wall) due.push(dag);
    }
    return due;
  }

  /** A run in memory takes over what a draft made of it; one that has ended leaves. */
  settleRun(draft: RunView): void {
    const { run } = draft.row;
    const view = this.runs.get(run);
    if (view === undefined) this.#addRun(draft);
    else view.settle(draft);
    if (isActive(draft.row)) {
      const changed = draft.touched === 'all' || draft.touched.size > 0;
      const held = draft.row.state === 'queued' || this.dags.get(draft.row.dagId)?.paused === true;
      // A pause holds a run, and so does its turn; what an operator ends, clears or marks is so nevertheless.
      if (draft.row.sweeps.length > 0) this.dirty.add(run);
      else if (changed && (!held || endingOf(draft.row) !== null)) this.dirty.add(run);
      this.#noteTimeout(draft.row);
      return;
    }
    this.runs.delete(run);
    this.#countActive(draft.row, -1);
    const backfill = this.backfills.get(turnOf(draft.row));
    if (backfill !== undefined) this.putBackfill(backfill);
    this.#timeouts.delete(run);
    this.dirty.delete(run);
    drop(this.runsOf, draft.row.dagId, run);
    this.#lookAtAssets(this.dags.get(draft.row.dagId));
    for (const other of this.runsOf.get(draft.row.dagId) ?? []) this.dirty.add(other);
    this.#forgetPlan(draft.row);
  }

  #noteTimeout({ run, timeoutAt }: RunRow): void {
    if (timeoutAt === null) this.#timeouts.delete(run);
    else this.#timeouts.set(run, timeoutAt);
    this.#nextTimeout = earliest(this.#nextTimeout, timeoutAt);
  }

  /** Whether any run has a timeout: then the service clock has to be durable. */
  get hasTimeouts(): boolean {
    return this.#timeouts.size > 0;
  }

  /** Runs whose timeout has come, those included that are about to end because of it; looks at all only when one may have. */
  timedOut(service: ServiceMs): RunKey[] {
    if (this.#nextTimeout === null || this.#nextTimeout > service) return [];
    const due: RunKey[] = [];
    this.#nextTimeout = null;
    for (const [run, at] of this.#timeouts) {
      this.#nextTimeout = earliest(this.#nextTimeout, at);
      if (at <= service) due.push(run);
    }
    return due;
  }

  #addRun(view: RunView): void {
    const { run, dagId } = view.row;
    this.#noteTimeout(view.row);
    this.#countActive(view.row, 1);
    this.runs.set(run, view);
    add(this.runsOf, dagId, run);
    this.dirty.add(run);
  }

  /** Runs of a DAG that are queued or running: those of one backfill, or, by default, those of none. */
  activeRuns(dagId: string, backfill = ''): number {
    return this.#active.get(activeKey(dagId, backfill)) ?? 0;
  }

  #countActive(row: RunRow, by: 1 | -1): void {
    const key = activeKey(row.dagId, turnOf(row));
    const count = (this.#active.get(key) ?? 0) + by;
    if (count === 0) this.#active.delete(key);
    else this.#active.set(key, count);
  }

  #forgetPlan({ dagId, definitionVersion }: RunRow): void {
    for (const run of this.runsOf.get(dagId) ?? []) {
      if (this.runs.get(run)?.row.definitionVersion === definitionVersion) return;
    }
    this.plans.delete(planKey(dagId, definitionVersion));
  }

  /** Moves an instance from its old place to its new one in what is counted over runs. */
  count(run: RunKey, old: InstanceAt | undefined, now: InstanceAt): void {
    const { pool } = now;
    const by =
      (takesRoom(now) ? now.poolSlots : 0) - (old !== undefined && takesRoom(old) ? old.poolSlots : 0);
    if (by !== 0) this.poolUse.set(pool, (this.poolUse.get(pool) ?? 0) + by);
    if (old !== undefined && waitsForRoom(old) && !waitsForRoom(now))
      this.#waitsNoMore(pool, run, now.taskId);
    if (waitsForRoom(now)) this.#waits(pool, run, now);
    invariant((this.poolUse.get(pool) ?? 0) >= 0, 'a pool is left as often as it is entered');
  }

  #waits(pool: string, run: RunKey, instance: InstanceAt): void {
    const runs = this.waiting.get(pool) ?? new Map<RunKey, WaitList>();
    const instances = runs.get(run) ?? new WaitList();
    instances.put(instance);
    this.waiting.set(pool, runs.set(run, instances));
  }

  #waitsNoMore(pool: string, run: RunKey, taskId: TaskId): void {
    const runs = this.waiting.get(pool);
    const instances = runs?.get(run);
    instances?.remove(taskId);
    if (instances?.size === 0) runs?.delete(run);
    if (runs?.size === 0) this.waiting.delete(pool);
  }

  /** Slots of a pool. */
  slotsOf(pool: string): number {
    return this.pools.get(pool)?.slots ?? slotsOfNone(pool);
  }
}

/** Slots of a pool that nobody has made: the default one has no limit, and any other lets nothing in. */
export function slotsOfNone(pool: string): number {
  return pool === DEFAULT_POOL ? Number.POSITIVE_INFINITY : 0;
}

/** How a run that somebody has ended by hand is to end; null for any other. Its reason says so until it has. */
export function endingOf({ state, reason }: Pick<RunRow, 'state' | 'reason'>): Ending | null {
  return isActive({ state }) && Object.hasOwn(ENDINGS, reason) ? (ENDINGS[reason] as Ending) : null;
}

export type Ending = 'cancelled' | 'success' | 'failed' | 'timed_out';

const ENDINGS: Readonly<Record<string, Ending>> = {
  cancel_requested: 'cancelled',
  success_requested: 'success',
  failure_requested: 'failed',
  run_timeout: 'timed_out',
};

/** The reason of an active run that somebody wants to end so. */
export function requestOf(ending: Ending): string {
  return Object.keys(ENDINGS).find((reason) => ENDINGS[reason] === ending) ?? '';
}

/** The backfill that a run has its turn in: the one that made it, or that has it done again; empty means its DAG's own. */
export function turnOf({ backfill, rerunBy }: Pick<RunRow, 'backfill' | 'rerunBy'>): string {
  return rerunBy === '' ? backfill : rerunBy;
}

/** No DAG's name contains a slash. */
function activeKey(dagId: string, backfill: string): string {
  return `${dagId}/${backfill}`;
}

/** Whether a run has not ended. */
export function isActive({ state }: Pick<RunRow, 'state'>): boolean {
  return state === 'queued' || state === 'running';
}

/** Whether a backfill has not ended. */
export function isUnderWay({ state }: Pick<BackfillRow, 'state'>): boolean {
  return state === 'running' || state === 'paused';
}

/** Where a definition is kept. */
export function planKey(dagId: string, definitionVersion: number): string {
  return `${dagId}@${definitionVersion}`;
}

/** Whether a DAG makes runs by itself. */
export function mayCreate(dag: Pick<DagRow, 'active' | 'paused'>): boolean {
  return dag.active && !dag.paused;
}

/** Whether each asset that its schedule asks for has had an event that no run has taken. */
export function isRipe({ schedule, pendingAssets }: Pick<DagRow, 'schedule' | 'pendingAssets'>): boolean {
  if (schedule.kind !== 'assets' || pendingAssets.length === 0) return false;
  const pending = new Set(pendingAssets.map(({ asset }) => asset));
  const holds = (condition: AssetCondition): boolean => {
    switch (condition.kind) {
      case 'asset':
        return pending.has(condition.asset);
      case 'all':
        return condition.of.every(holds);
      case 'any':
        return condition.of.some(holds);
    }
  };
  return holds(schedule.condition);
}

/** The assets that a DAG's schedule names. */
export function assetsOf(dag: Pick<DagRow, 'schedule'> | undefined): string[] {
  if (dag?.schedule.kind !== 'assets') return [];
  const names = (condition: AssetCondition): string[] =>
    condition.kind === 'asset' ? [condition.asset] : condition.of.flatMap(names);
  return [...new Set(names(dag.schedule.condition))];
}
