import type { DagDefinition } from '../../../core/dag/definition.js';
import type {
  AssetRow,
  BackfillRow,
  BundleRow,
  DagRow,
  PoolRow,
  RunKey,
  RunRow,
  TriggerRow,
} from '../../../core/dag/rows.js';
import { planKey } from '../../../core/dag/state.js';
import type { TaskRow } from '../../../core/rows.js';
import type { TaskId } from '../../../kit/ids.js';
import type { WallMs } from '../../../kit/time.js';
import type { Puts } from '../../../store/store.js';

/** The rows of DAGs as the disk has them, put together from every commit. */
export class DagRows {
  readonly dags = new Map<string, DagRow>();
  readonly runs = new Map<RunKey, RunRow>();
  readonly instances = new Map<RunKey, Map<TaskId, TaskRow>>();
  readonly pools = new Map<string, PoolRow>();
  readonly assets = new Map<string, AssetRow>();
  readonly triggers = new Map<string, TriggerRow>();
  readonly bundles = new Map<string, BundleRow>();
  readonly backfills = new Map<string, BackfillRow>();
  readonly #runOf = new Map<TaskId, RunKey>();
  /** By planKey. */
  readonly definitions = new Map<string, DagDefinition>();

  definitionOf({ dagId, definitionVersion }: Pick<RunRow, 'dagId' | 'definitionVersion'>): DagDefinition {
    const definition = this.definitions.get(planKey(dagId, definitionVersion));
    if (definition === undefined) throw new Error(`DAG ${dagId} has no version ${definitionVersion}`);
    return definition;
  }

  /** An instance that was not removed. */
  instance(taskId: TaskId): TaskRow | undefined {
    const run = this.#runOf.get(taskId);
    return run === undefined ? undefined : this.instances.get(run)?.get(taskId);
  }

  /** Runs that have not ended. */
  get active(): RunRow[] {
    return [...this.runs.values()].filter(({ state }) => state === 'queued' || state === 'running');
  }

  /** DAGs that should have had a run by now and had none, with the instant that waits for it. */
  late(wall: WallMs): ReadonlyMap<string, WallMs> {
    const late = new Map<string, WallMs>();
    const { active } = this;
    for (const { dagId, active: isThere, paused, nextInstant, maxActiveRuns } of this.dags.values()) {
      if (!isThere || paused || nextInstant === null || nextInstant > wall) continue;
      const own = active.filter((run) => run.dagId === dagId && run.backfill === '');
      if (own.length < maxActiveRuns) late.set(dagId, nextInstant);
    }
    return late;
  }

  committed({ tasks, removals, dags }: Puts): void {
    for (const { taskId } of removals) {
      const run = this.#runOf.get(taskId);
      if (run !== undefined) this.instances.get(run)?.delete(taskId);
      this.#runOf.delete(taskId);
    }
    if (dags !== null) this.#dags(dags);
    for (const { row } of tasks) {
      if (row.instance === null) continue;
      const rows = this.instances.get(row.instance.run) ?? new Map<TaskId, TaskRow>();
      this.instances.set(row.instance.run, rows.set(row.taskId, row));
      this.#runOf.set(row.taskId, row.instance.run);
    }
  }

  #dags(puts: NonNullable<Puts['dags']>): void {
    for (const { pool } of puts.poolRemovals) this.pools.delete(pool);
    for (const { triggerId } of puts.triggerRemovals) this.triggers.delete(triggerId);
    for (const { backfill } of puts.backfillRemovals) this.backfills.delete(backfill);
    for (const { run } of puts.runRemovals) {
      this.runs.delete(run);
      this.instances.delete(run);
    }
    for (const row of puts.dags) this.dags.set(row.dagId, row);
    for (const row of puts.versions)
      this.definitions.set(
        planKey(row.dagId, row.definitionVersion),
        JSON.parse(row.definition) as DagDefinition,
      );
    for (const row of puts.runs) this.runs.set(row.run, row);
    for (const row of puts.pools) this.pools.set(row.pool, row);
    for (const row of puts.assets) this.assets.set(row.asset, row);
    for (const row of puts.triggers) this.triggers.set(row.triggerId, row);
    for (const row of puts.bundles) this.bundles.set(row.bundle, row);
    for (const row of puts.backfills) this.backfills.set(row.backfill, row);
  }
}
