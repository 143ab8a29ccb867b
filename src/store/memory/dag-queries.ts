import {
  type AssetEventRow,
  type BackfillRow,
  type DagVersionRow,
  instantKeyOf,
  type RunInstant,
  type RunKey,
  type RunRow,
} from '../../core/dag/rows.js';
import { isUnderWay } from '../../core/dag/state.js';
import type { TaskRow } from '../../core/rows.js';
import type { TaskId } from '../../kit/ids.js';
import type {
  BackfillPosition,
  EndedPosition,
  LoadedDags,
  RunFilter,
  RunPosition,
  VersionKey,
} from '../dags.js';
import { byCreation, type DagTables, inOrder, isActive, versionKeyOf } from './dag-tables.js';
import { byText, type Sorted } from './sorted.js';
import type { Tables } from './tables.js';

/** What the tables of DAGs are asked. */
export class DagQueries {
  readonly #tables: Tables;
  readonly #dags: DagTables;

  constructor(tables: Tables) {
    this.#tables = tables;
    this.#dags = tables.dags;
  }

  load(): LoadedDags {
    const { dags, runs, pools, assets, triggers, bundles, backfills } = this.#dags;
    const active = inOrder(runs, ({ run }) => run).filter(isActive);
    return {
      dags: inOrder(dags, ({ dagId }) => dagId),
      runs: active,
      instances: active.flatMap(({ run }) => this.instances(run)),
      pools: inOrder(pools, ({ pool }) => pool),
      assets: inOrder(assets, ({ asset }) => asset),
      triggers: inOrder(triggers, ({ triggerId }) => triggerId),
      bundles: inOrder(bundles, ({ bundle }) => bundle),
      backfills: inOrder(backfills, ({ backfill }) => backfill).filter(isUnderWay),
    };
  }

  versions(keys: readonly VersionKey[]): DagVersionRow[] {
    return found(keys.map(versionKeyOf), this.#dags.versions);
  }

  runs(runs: readonly RunKey[]): RunRow[] {
    return found(runs, this.#dags.runs);
  }

  runsOfInstants(instants: readonly RunInstant[]): RunRow[] {
    const { ofInstant, runs } = this.#dags;
    return instants.flatMap((instant) =>
      found([...(ofInstant.get(instantKeyOf(instant)) ?? [])], runs)
        .sort((a, b) => byCreation(a, b))
        .slice(0, 1),
    );
  }

  listRuns(filter: RunFilter, before: RunPosition | null, limit: number): RunRow[] {
    const { byCreation, runs } = this.#dags;
    const rows: RunRow[] = [];
    for (const { run } of backwards(byCreation, before)) {
      if (rows.length >= limit) break;
      const row = runs.get(run);
      if (row !== undefined && fits(row, filter)) rows.push(row);
    }
    return rows;
  }

  instances(run: RunKey, after: TaskId | null = null, limit = Number.MAX_SAFE_INTEGER): TaskRow[] {
    const { instances, tasks } = this.#tables;
    const behind = [...(instances.get(run) ?? [])].filter((taskId) => after === null || taskId > after);
    const rows = found(behind.sort(byText).slice(0, limit), tasks);
    return rows.map(({ row }) => ({ ...row, result: null }));
  }

  listEvents(asset: string | null, before: number | null, limit: number): AssetEventRow[] {
    const { assetEvents, events } = this.#dags;
    const rows: AssetEventRow[] = [];
    for (const n of backwards(events, before)) {
      if (rows.length >= limit) break;
      const row = assetEvents.get(n);
      if (row !== undefined && (asset === null || row.asset === asset)) rows.push(row);
    }
    return rows;
  }

  events(asset: string, first: number, last: number, limit: number): AssetEventRow[] {
    const { assetEvents, events } = this.#dags;
    const numbers = events.slice(events.placeOf(first), events.placeAfter(last));
    return found(numbers, assetEvents)
      .filter((row) => row.asset === asset)
      .slice(0, limit);
  }

  newestEvent(): number {
    const { events } = this.#dags;
    return events.at(events.size - 1) ?? 0;
  }

  ended(after: EndedPosition | null, limit: number): RunRow[] {
    const { ended, runs } = this.#dags;
    const from = after === null ? 0 : ended.placeAfter(after);
    return found(
      ended.slice(from, from + limit).map(({ run }) => run),
      runs,
    );
  }

  backfills(backfills: readonly string[]): BackfillRow[] {
    return found(backfills, this.#dags.backfills);
  }

  endedBackfills(limit: number): BackfillRow[] {
    return [...this.#dags.backfills.values()]
      .filter((row) => !isUnderWay(row))
      .sort((a, b) => (isOlder(a, b) ? -1 : 1))
      .slice(0, limit);
  }

  listBackfills(dagId: string | null, before: BackfillPosition | null, limit: number): BackfillRow[] {
    return [...this.#dags.backfills.values()]
      .filter((row) => (dagId === null || row.dagId === dagId) && (before === null || isOlder(row, before)))
      .sort((a, b) => (isOlder(a, b) ? 1 : -1))
      .slice(0, limit);
  }
}

/** Values before that one, the last first. */
function* backwards<Value>(values: Sorted<Value>, before: Value | null): Generator<Value> {
  for (let at = before === null ? values.size : values.placeOf(before); at > 0; at--)
    yield values.at(at - 1) as Value;
}

function found<Key, Row>(keys: readonly Key[], stored: ReadonlyMap<Key, Row>): Row[] {
  return [...new Set(keys)].map((key) => stored.get(key)).filter((row) => row !== undefined);
}

const isOlder = (a: BackfillPosition, b: BackfillPosition): boolean =>
  a.createdAt < b.createdAt || (a.createdAt === b.createdAt && byText(a.backfill, b.backfill) < 0);

const fits = (row: RunRow, { dagId, states, type, backfill }: RunFilter): boolean =>
  (dagId === undefined || row.dagId === dagId) &&
  (states === undefined || states.includes(row.state)) &&
  (type === undefined || row.type === type) &&
  (backfill === undefined || row.backfill === backfill);
