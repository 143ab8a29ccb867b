import {
  type AssetEventRow,
  type AssetRow,
  type BackfillRow,
  type BundleRow,
  type DagRow,
  type DagVersionRow,
  instantKeyOf,
  type PoolRow,
  type RunKey,
  type RunRow,
  type TriggerRow,
} from '../../core/dag/rows.js';
import {
  type DagPuts,
  type EndedPosition,
  EVENTS_AT_ONCE,
  type RunPosition,
  type VersionKey,
} from '../dags.js';
import { StoreError } from '../store.js';
import { checkVersion, conflict, unique } from './checks.js';
import { byText, Sorted } from './sorted.js';

export const byCreation = (a: RunPosition, b: RunPosition): number =>
  a.createdAt - b.createdAt || byText(a.run, b.run);
const byEnd = (a: EndedPosition, b: EndedPosition): number => a.endedAt - b.endedAt || byText(a.run, b.run);

/** The rows of DAGs and what finds them again; see Tables. */
export class DagTables {
  readonly dags = new Map<string, DagRow>();
  readonly versions = new Map<string, DagVersionRow>();
  readonly runs = new Map<RunKey, RunRow>();
  readonly pools = new Map<string, PoolRow>();
  readonly assets = new Map<string, AssetRow>();
  readonly assetEvents = new Map<number, AssetEventRow>();
  readonly triggers = new Map<string, TriggerRow>();
  readonly bundles = new Map<string, BundleRow>();
  readonly backfills = new Map<string, BackfillRow>();

  readonly byCreation = new Sorted<RunPosition>(byCreation);
  /** By instantKeyOf, in the order in which they were written first. */
  readonly ofInstant = new Map<string, Set<RunKey>>();
  readonly ended = new Sorted<EndedPosition>(byEnd);
  /** Numbers of the events. */
  readonly events = new Sorted<number>((a, b) => a - b);

  /** Throws StoreError `conflict` if any of the puts may not be written. */
  check(puts: DagPuts): void {
    checkRows('DAG', puts.dags, ({ dagId }) => dagId, this.dags);
    unique('definition', puts.versions, versionKeyOf, this.versions);
    const { runs, pools, triggers } = this;
    const goneRuns = checkRemovals('run', puts.runRemovals, ({ run }) => run, runs);
    const gonePools = checkRemovals('pool', puts.poolRemovals, ({ pool }) => pool, pools);
    const goneBackfills = checkRemovals(
      'backfill',
      puts.backfillRemovals,
      ({ backfill }) => backfill,
      this.backfills,
    );
    const goneTriggers = checkRemovals(
      'trigger',
      puts.triggerRemovals,
      ({ triggerId }) => triggerId,
      triggers,
    );
    checkRows('run', puts.runs, ({ run }) => run, runs, goneRuns);
    for (const row of puts.runs) if (row.version > 1) checkCreation(runs.get(row.run), row);
    checkRows('pool', puts.pools, ({ pool }) => pool, pools, gonePools);
    checkRows('asset', puts.assets, ({ asset }) => asset, this.assets);
    unique('asset event', puts.assetEvents, ({ n }) => n, this.assetEvents);
    checkRows('trigger', puts.triggers, ({ triggerId }) => triggerId, triggers, goneTriggers);
    checkRows('bundle', puts.bundles, ({ bundle }) => bundle, this.bundles);
    checkRows('backfill', puts.backfills, ({ backfill }) => backfill, this.backfills, goneBackfills);
  }

  /** Makes checked puts. */
  apply(puts: DagPuts): void {
    for (const { run } of puts.runRemovals) this.#removeRun(run);
    for (const { backfill } of puts.backfillRemovals) this.backfills.delete(backfill);
    for (const { pool } of puts.poolRemovals) this.pools.delete(pool);
    for (const { triggerId } of puts.triggerRemovals) this.triggers.delete(triggerId);
    for (const row of puts.dags) this.dags.set(row.dagId, row);
    for (const row of puts.versions) this.versions.set(versionKeyOf(row), row);
    for (const row of puts.runs) this.#replaceRun(row);
    for (const row of puts.pools) this.pools.set(row.pool, row);
    for (const row of puts.assets) this.assets.set(row.asset, row);
    for (const row of puts.assetEvents) {
      this.assetEvents.set(row.n, row);
      this.events.add(row.n);
    }
    for (const row of puts.triggers) this.triggers.set(row.triggerId, row);
    for (const row of puts.bundles) this.bundles.set(row.bundle, row);
    for (const row of puts.backfills) this.backfills.set(row.backfill, row);
    this.#removeEvents(puts.assetEventsUpTo);
    for (const key of puts.versionRemovals) if (!this.#isPinned(key)) this.versions.delete(versionKeyOf(key));
  }

  #removeEvents(upTo: number): void {
    const old = this.events.slice(0, Math.min(EVENTS_AT_ONCE, this.events.placeAfter(upTo)));
    for (const n of old) {
      this.assetEvents.delete(n);
      this.events.remove(n);
    }
  }

  /** Whether a run of that key is queued or running. */
  isActive(run: RunKey): boolean {
    const row = this.runs.get(run);
    return row !== undefined && isActive(row);
  }

  /** Puts that make these rows, in a fixed order. */
  snapshot(): DagPuts {
    return {
      dags: inOrder(this.dags, ({ dagId }) => dagId),
      versions: inOrder(this.versions, versionKeyOf),
      runs: inOrder(this.runs, ({ run }) => run),
      pools: inOrder(this.pools, ({ pool }) => pool),
      assets: inOrder(this.assets, ({ asset }) => asset),
      assetEvents: [...this.assetEvents.values()].sort((a, b) => a.n - b.n),
      triggers: inOrder(this.triggers, ({ triggerId }) => triggerId),
      bundles: inOrder(this.bundles, ({ bundle }) => bundle),
      backfills: inOrder(this.backfills, ({ backfill }) => backfill),
      poolRemovals: [],
      triggerRemovals: [],
      backfillRemovals: [],
      runRemovals: [],
      versionRemovals: [],
      assetEventsUpTo: 0,
    };
  }

  #replaceRun(row: RunRow): void {
    const isNew = !this.runs.has(row.run);
    this.#forget(row.run);
    this.runs.set(row.run, row);
    if (isNew) this.#standFor(row);
    this.byCreation.add(creationOf(row));
    const ended = endOf(row);
    if (ended !== null) this.ended.add(ended);
  }

  #standFor({ run, dagId, logicalDate }: RunRow): void {
    if (logicalDate === null) return;
    const key = instantKeyOf({ dagId, at: logicalDate });
    this.ofInstant.set(key, (this.ofInstant.get(key) ?? new Set()).add(run));
  }

  #removeRun(run: RunKey): void {
    const row = this.runs.get(run);
    if (row === undefined) return;
    this.#forget(run);
    if (row.logicalDate !== null)
      this.ofInstant.get(instantKeyOf({ dagId: row.dagId, at: row.logicalDate }))?.delete(run);
  }

  #forget(run: RunKey): void {
    const row = this.runs.get(run);
    if (row === undefined) return;
    this.runs.delete(run);
    this.byCreation.remove(creationOf(row));
    const ended = endOf(row);
    if (ended !== null) this.ended.remove(ended);
  }

  #isPinned({ dagId, definitionVersion }: VersionKey): boolean {
    if (this.dags.get(dagId)?.definitionVersion === definitionVersion) return true;
    for (const run of this.runs.values())
      if (run.dagId === dagId && run.definitionVersion === definitionVersion) return true;
    return false;
  }
}

export const versionKeyOf = ({ dagId, definitionVersion }: VersionKey): string =>
  `${dagId} version ${String(definitionVersion).padStart(10, '0')}`;

export const isActive = ({ state }: RunRow): boolean => state === 'queued' || state === 'running';

const creationOf = ({ createdAt, run }: RunRow): RunPosition => ({ createdAt, run });

function endOf(row: RunRow): EndedPosition | null {
  const { endedAt, run } = row;
  return endedAt === null || isActive(row) ? null : { endedAt, run };
}

function checkRows<Key, Row extends { readonly version: number }>(
  what: string,
  rows: readonly Row[],
  keyOf: (row: Row) => Key,
  stored: ReadonlyMap<Key, Row>,
  removed: ReadonlySet<Key> = new Set(),
): void {
  unique(what, rows, keyOf);
  for (const row of rows) {
    const key = keyOf(row);
    checkVersion(
      `${what} ${String(key)}`,
      row.version,
      removed.has(key) ? undefined : stored.get(key)?.version,
    );
  }
}

/** The keys that the removals make free. */
function checkRemovals<Key, Removal extends { readonly version: number }>(
  what: string,
  removals: readonly Removal[],
  keyOf: (removal: Removal) => Key,
  stored: ReadonlyMap<Key, { readonly version: number }>,
): ReadonlySet<Key> {
  unique(`the removal of ${what}`, removals, keyOf);
  for (const removal of removals) {
    const key = keyOf(removal);
    if (stored.get(key)?.version !== removal.version)
      throw conflict(
        `the removal of ${what} ${String(key)}`,
        `it is not stored with version ${removal.version}`,
      );
  }
  return new Set(removals.map(keyOf));
}

/** The other stores keep what a run was created with from version 1 on; a change of it would silently be lost there. */
function checkCreation(stored: RunRow | undefined, row: RunRow): void {
  const same =
    stored?.dagId === row.dagId &&
    stored.type === row.type &&
    stored.backfill === row.backfill &&
    stored.createdAt === row.createdAt;
  if (same) return;
  throw new StoreError(
    'other',
    `run ${row.run} is not written, because what it was created with never changes; this is a bug, report it`,
  );
}

/** Rows in the order of their keys. */
export const inOrder = <Key, Row>(rows: ReadonlyMap<Key, Row>, keyOf: (row: Row) => string): Row[] =>
  [...rows.values()].sort((a, b) => byText(keyOf(a), keyOf(b)));
