import type { RunRow } from '../../core/dag/rows.js';
import { isUnderWay } from '../../core/dag/state.js';
import {
  encodeAssetEvent,
  encodeBackfill,
  encodeBundle,
  encodeDag,
  encodeRun,
  encodeTrigger,
} from '../dag-codec.js';
import { type DagPuts, EVENTS_AT_ONCE, type VersionKey } from '../dags.js';
import type { Driver, Param, Statement } from './driver.js';
import { conflict } from './errors.js';

/** Rows of one table with a key and a version. `fixed` columns are written with version 1 only. */
class Versioned {
  readonly #what: string;
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #delete: Statement;

  constructor(
    driver: Driver,
    what: string,
    names: {
      readonly table: string;
      readonly key: string;
      readonly fixed?: readonly string[];
      readonly changing: readonly string[];
    },
  ) {
    const { table, key, fixed = [], changing } = names;
    const all = ['version', ...changing, key, ...fixed];
    this.#what = what;
    this.#insert = driver.statement(
      `INSERT INTO ${table} (${all.join(', ')}) VALUES (${all.map(() => '?').join(', ')})`,
    );
    const set = ['version', ...changing].map((column) => `${column} = ?`).join(', ');
    this.#update = driver.statement(`UPDATE ${table} SET ${set} WHERE ${key} = ? AND version = ?`);
    this.#delete = driver.statement(`DELETE FROM ${table} WHERE ${key} = ? AND version = ?`);
  }

  put(key: string, version: number, changing: readonly Param[], fixed: readonly Param[] = []): void {
    if (version === 1) this.#insert.run(version, ...changing, key, ...fixed);
    else if (this.#update.run(version, ...changing, key, version - 1) !== 1)
      throw conflict(`${this.#what} ${key}`, version - 1);
  }

  remove(key: string, version: number): void {
    if (this.#delete.run(key, version) !== 1) throw conflict(`the removal of ${this.#what} ${key}`, version);
  }
}

/** Writes puts of DAGs; the caller holds the transaction. Throws StoreError, `conflict` for a row of another version. */
export class DagWriter {
  readonly #dags: Versioned;
  readonly #runs: Versioned;
  readonly #pools: Versioned;
  readonly #assets: Versioned;
  readonly #triggers: Versioned;
  readonly #bundles: Versioned;
  readonly #backfills: Versioned;
  readonly #insertVersion: Statement;
  readonly #deleteVersion: Statement;
  readonly #insertEvent: Statement;
  readonly #deleteEvents: Statement;

  constructor(driver: Driver) {
    this.#dags = new Versioned(driver, 'DAG', {
      ...{ table: 'dags', key: 'dag_id', changing: ['definition_version', 'data'] },
    });
    this.#runs = new Versioned(driver, 'run', {
      ...{ table: 'runs', key: 'run', fixed: ['dag_id', 'type', 'backfill', 'created_at', 'logical_date'] },
      changing: ['state', 'definition_version', 'ended_at', 'data'],
    });
    this.#pools = new Versioned(driver, 'pool', {
      ...{ table: 'pools', key: 'pool', changing: ['slots', 'description'] },
    });
    this.#assets = new Versioned(driver, 'asset', {
      ...{ table: 'assets', key: 'asset', changing: ['last_event', 'last_event_at'] },
    });
    this.#triggers = new Versioned(driver, 'trigger', {
      ...{ table: 'triggers', key: 'trigger_id', changing: ['task_id', 'data'] },
    });
    this.#bundles = new Versioned(driver, 'bundle', { table: 'bundles', key: 'bundle', changing: ['data'] });
    this.#backfills = new Versioned(driver, 'backfill', {
      ...{ table: 'backfills', key: 'backfill', changing: ['dag_id', 'is_under_way', 'created_at', 'data'] },
    });
    this.#insertVersion = driver.statement(
      'INSERT INTO dag_versions (dag_id, definition_version, hash, created_at, definition) VALUES (?, ?, ?, ?, ?)',
    );
    this.#deleteVersion = driver.statement(
      `DELETE FROM dag_versions AS v WHERE dag_id = ? AND definition_version = ?
        AND NOT EXISTS (SELECT 1 FROM runs r
          WHERE r.dag_id = v.dag_id AND r.definition_version = v.definition_version)
        AND NOT EXISTS (SELECT 1 FROM dags d
          WHERE d.dag_id = v.dag_id AND d.definition_version = v.definition_version)`,
    );
    this.#deleteEvents = driver.statement(
      'DELETE FROM asset_events WHERE n IN (SELECT n FROM asset_events WHERE n <= ? ORDER BY n LIMIT ?)',
    );
    this.#insertEvent = driver.statement('INSERT INTO asset_events (n, asset, data) VALUES (?, ?, ?)');
  }

  write(puts: DagPuts): void {
    for (const { run, version } of puts.runRemovals) this.#runs.remove(run, version);
    for (const { backfill, version } of puts.backfillRemovals) this.#backfills.remove(backfill, version);
    for (const { pool, version } of puts.poolRemovals) this.#pools.remove(pool, version);
    for (const { triggerId, version } of puts.triggerRemovals) this.#triggers.remove(triggerId, version);
    for (const row of puts.dags)
      this.#dags.put(row.dagId, row.version, [row.definitionVersion, encodeDag(row)]);
    for (const { dagId, definitionVersion, hash, createdAt, definition } of puts.versions)
      this.#insertVersion.run(dagId, definitionVersion, hash, createdAt, definition);
    for (const row of puts.runs) this.#run(row);
    for (const { pool, version, slots, description } of puts.pools)
      this.#pools.put(pool, version, [slots, description]);
    for (const { asset, version, lastEvent, lastEventAt } of puts.assets)
      this.#assets.put(asset, version, [lastEvent, lastEventAt]);
    for (const row of puts.assetEvents) this.#insertEvent.run(row.n, row.asset, encodeAssetEvent(row));
    for (const row of puts.triggers)
      this.#triggers.put(row.triggerId, row.version, [row.taskId, encodeTrigger(row)]);
    for (const row of puts.bundles) this.#bundles.put(row.bundle, row.version, [encodeBundle(row)]);
    for (const row of puts.backfills) {
      const values = [row.dagId, isUnderWay(row) ? 1 : null, row.createdAt, encodeBackfill(row)];
      this.#backfills.put(row.backfill, row.version, values);
    }
    if (puts.assetEventsUpTo > 0) this.#deleteEvents.run(puts.assetEventsUpTo, EVENTS_AT_ONCE);
    for (const key of puts.versionRemovals) this.#removeVersion(key);
  }

  #run(row: RunRow): void {
    this.#runs.put(
      row.run,
      row.version,
      [row.state, row.definitionVersion, row.endedAt, encodeRun(row)],
      [row.dagId, row.type, row.backfill, row.createdAt, row.logicalDate],
    );
  }

  #removeVersion({ dagId, definitionVersion }: VersionKey): void {
    this.#deleteVersion.run(dagId, definitionVersion);
  }
}
