import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, test } from '@jest/globals';
import { readyLane } from '../../src/core/rows.js';
import { dueAt } from '../../src/core/task.js';
import type { ServiceMs } from '../../src/kit/time.js';
import { copyBeforeUpgrade, migrate } from '../../src/store/sqlite/migrate.js';
import { openDriver, openSqliteStore } from '../../src/store/sqlite/open.js';
import { APPLICATION_ID, MIGRATIONS, type Migration } from '../../src/store/sqlite/schema.js';
import { StoreError } from '../../src/store/store.js';
import { dagPuts } from './dag-rows.js';
import { folder } from './files.js';
import { type AllRows, allStates } from './fixtures/states.js';
import { fromText } from './fixtures/text.js';
import { next, put, puts } from './rows.js';

const FIXTURES = join(import.meta.dirname, 'fixtures');
const released = readdirSync(FIXTURES)
  .map((name) => Number(/^schema-(\d+)\.sql$/.exec(name)?.[1]))
  .filter((version) => version > 0)
  .sort((a, b) => a - b);
const newest = MIGRATIONS.at(-1)?.version ?? 0;
const LEASE_MS = 15_000;

const files = folder();
let count = 0;
afterAll(() => files.end());

/** A database as the release with that schema left it. */
function databaseOf(version: number): string {
  const file = files.file(`released-${count++}.db`);
  const db = new DatabaseSync(file);
  db.exec(readFileSync(join(FIXTURES, `schema-${version}.sql`), 'utf8'));
  db.close();
  return file;
}
/** Its rows, with the defaults of what later releases have added to them. */
function rowsOf(version: number): AllRows {
  const rows = fromText(readFileSync(join(FIXTURES, `schema-${version}.json`), 'utf8')) as AllRows;
  return {
    ...rows,
    tasks: rows.tasks.map((row) => ({
      ...row,
      handler: row.handler ?? '',
      startAfter: row.startAfter ?? null,
      startBefore: row.startBefore ?? null,
      concurrencyKey: row.concurrencyKey ?? '',
      concurrencyLimit: row.concurrencyLimit ?? 1,
    })),
    dags: rows.dags ?? null,
    sessions: rows.sessions.map((row) => ({ ...row, handlers: row.handlers ?? [] })),
  };
}

/** Tables with their columns, and indexes; in an order that does not tell how they came to be. */
function shapeOf(file: string): unknown {
  const db = new DatabaseSync(file, { readOnly: true });
  const objects = db.prepare('SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name').all();
  const shape = objects.map((object) => ({
    ...object,
    columns: db
      .prepare('SELECT name, type, "notnull", pk FROM pragma_table_info(?) ORDER BY name')
      .all(object.name as string),
    indexed: db.prepare('SELECT name, desc FROM pragma_index_xinfo(?)').all(object.name as string),
  }));
  db.close();
  return shape;
}

function thrownBy(call: () => unknown): StoreError {
  try {
    call();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('the schemas', () => {
  test('are numbered from 1 without gaps, and the first release has a fixture', () => {
    expect(MIGRATIONS.map(({ version }) => version)).toEqual(MIGRATIONS.map((_, i) => i + 1));
    expect(released).toContain(1);
  });

  test('a fixture has a task in every state', () => {
    const states = new Set(allStates().tasks.map(({ state }) => state));
    expect(states.size).toBe(10);
    expect(new Set(rowsOf(1).tasks.map(({ state }) => state))).toEqual(states);
  });

  test.each(released)('steps up to released schema %d are those that were released', (version) => {
    const file = files.file(`steps-${count++}.db`);
    const db = new DatabaseSync(file);
    for (const { up } of MIGRATIONS.slice(0, version)) db.exec(up);
    db.close();
    expect(shapeOf(file)).toEqual(shapeOf(databaseOf(version)));
  });
});

describe.each(released)('a database of released schema %d', (version) => {
  test('is opened by this program with every row unharmed', async () => {
    const expected = rowsOf(version);
    const store = openSqliteStore({ file: databaseOf(version) });
    const ids = expected.tasks.map(({ taskId }) => taskId);
    const byId = <T extends { readonly taskId: string }>(rows: readonly T[]): T[] =>
      [...rows].sort((a, b) => (a.taskId < b.taskId ? -1 : 1));
    expect(byId(await store.readTasks(ids))).toMatchObject(byId(expected.tasks));
    expect(byId(await store.readSpecs(ids))).toMatchObject(byId(expected.specs));
    for (const taskId of ids) {
      expect(await store.readHistory(taskId)).toMatchObject(
        expected.history.filter((row) => row.taskId === taskId),
      );
    }
    const { openTasks, agents, sessions, counters, dags } = await store.load();
    expect({ agents, sessions, counters }).toMatchObject({
      agents: expected.agents,
      sessions: expected.sessions,
      counters: expected.counters,
    });
    const { dags: all, pools, assets, triggers, bundles } = expected.dags ?? dagPuts({});
    expect(dags).toMatchObject({ dags: all, pools, assets, triggers, bundles });
    expect(byId(openTasks)).toMatchObject(expected.tasks.filter(({ open }) => open !== null));
    await store.close();
  });

  test('finds its tasks again as before: by lane, deadline, key and state', async () => {
    const { tasks } = rowsOf(version);
    const store = openSqliteStore({ file: databaseOf(version) });
    const lanes = new Set(tasks.map(readyLane).filter((lane) => lane !== null));
    expect(new Set((await store.readLanes()).map(({ lane }) => lane))).toEqual(lanes);
    for (const lane of lanes) {
      const ready = await store.readReady(lane, null, 99);
      expect(ready.map(({ taskId }) => taskId).sort()).toEqual(
        tasks.filter((row) => readyLane(row) === lane).map(({ taskId }) => taskId),
      );
    }
    const due = tasks.filter((row) => dueAt(row, LEASE_MS) !== null);
    expect(await store.readDue(1e12 as ServiceMs, 99)).toHaveLength(due.length);
    for (const row of tasks.filter(({ idempotencyKey }) => idempotencyKey !== '')) {
      expect(await store.readByIdempotencyKey([row.idempotencyKey])).toMatchObject([row]);
    }
    const counts: Record<string, number> = {};
    for (const { state } of tasks) counts[state] = (counts[state] ?? 0) + 1;
    expect(await store.countTasks()).toEqual(counts);
    await store.close();
  });

  test('takes the next version of every row', async () => {
    const { tasks } = rowsOf(version);
    const store = openSqliteStore({ file: databaseOf(version) });
    const rows = (await store.readTasks(tasks.map(({ taskId }) => taskId))).map((row) =>
      next(row, { message: 'later' }),
    );
    await store.commit(puts({ tasks: rows.map((row) => put(row, readyLane(row), dueAt(row, LEASE_MS))) }));
    const read = await store.readTasks(rows.map(({ taskId }) => taskId));
    expect(new Set(read.map(({ message }) => message))).toEqual(new Set(['later']));
    await store.close();
  });

  test('has the shape of a new database once it was opened', async () => {
    const [old, fresh] = [databaseOf(version), files.file(`fresh-${count++}.db`)];
    for (const file of [old, fresh]) await openSqliteStore({ file }).close();
    expect(shapeOf(old)).toEqual(shapeOf(fresh));
    expect(existsSync(copyBeforeUpgrade(old, version))).toBe(version < newest);
  });
});

describe('an upgrade', () => {
  const step: Migration = { version: newest + 1, name: 'one more', up: 'CREATE TABLE added (a)' };
  const bad: Migration = { version: newest + 2, name: 'bad', up: 'CREATE TABLE half (a); SELECT nonsense' };

  test('keeps a copy of what was there, whole, for its owner only', async () => {
    const file = databaseOf(1);
    const driver = openDriver({ file });
    migrate(driver, file, [...MIGRATIONS, step]);
    driver.close();
    const copy = copyBeforeUpgrade(file, newest);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const before = openSqliteStore({ file: copy });
    expect(await before.countTasks()).toMatchObject({ running: 3, success: 2 });
    await before.close();
    expect(existsSync(`${copy}.unfinished`)).toBe(false);
  });

  test('that fails leaves the file with the last whole step, and the copy', () => {
    const file = databaseOf(1);
    const driver = openDriver({ file });
    expect(thrownBy(() => migrate(driver, file, [...MIGRATIONS, step, bad])).fault).toBe('other');
    expect(driver.pragma('user_version')).toBe(newest + 1);
    expect(() => driver.statement('SELECT * FROM half')).toThrow('no such table');
    expect(existsSync(copyBeforeUpgrade(file, newest))).toBe(true);
    driver.close();
  });

  test('replaces a copy that was begun and not finished, or is older', () => {
    const file = databaseOf(1);
    const driver = openDriver({ file });
    const copy = copyBeforeUpgrade(file, newest);
    writeFileSync(copy, 'of an earlier upgrade');
    writeFileSync(`${copy}.unfinished`, 'half a copy');
    migrate(driver, file, [...MIGRATIONS, step]);
    driver.close();
    expect(readFileSync(copy).subarray(0, 15).toString()).toBe('SQLite format 3');
    expect(existsSync(`${copy}.unfinished`)).toBe(false);
  });

  test('copies nothing when the file is new', () => {
    const file = files.file(`new-${count++}.db`);
    openDriver({ file }).close();
    expect(
      readdirSync(join(file, '..')).filter((name) => name.startsWith(`new-${count - 1}.db.schema`)),
    ).toEqual([]);
  });

  test('back is refused with the way back: the copy, when it is there', () => {
    const file = databaseOf(1);
    const driver = openDriver({ file });
    driver.pragma('application_id', APPLICATION_ID);
    driver.pragma('user_version', newest + 1);
    driver.close();
    const plain = thrownBy(() => openSqliteStore({ file }));
    expect(plain.fault).toBe('newer');
    expect(plain.message).toContain(
      `schema ${newest + 1} and this program knows only up to ${newest}; start the newer`,
    );
    writeFileSync(copyBeforeUpgrade(file, newest), '');
    const withCopy = thrownBy(() => openSqliteStore({ file }));
    expect(withCopy.message).toContain(`start with --restore ${copyBeforeUpgrade(file, newest)}`);
  });
});
