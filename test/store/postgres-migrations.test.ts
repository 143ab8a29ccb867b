import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { readyLane } from '../../src/core/rows.js';
import { dueAt } from '../../src/core/task.js';
import type { ServiceMs } from '../../src/kit/time.js';
import { checkPostgres } from '../../src/store/postgres/open.js';
import { MIGRATIONS } from '../../src/store/postgres/schema.js';
import type { PostgresStore } from '../../src/store/postgres/store.js';
import type { AllRows } from './fixtures/states.js';
import { fromText } from './fixtures/text.js';
import { OUTSIDE, PostgresServer } from './postgres-bench.js';
import { next, put, puts } from './rows.js';

const FIXTURES = join(import.meta.dirname, 'fixtures');
const released = readdirSync(FIXTURES)
  .map((name) => Number(/^postgres-(\d+)\.sql$/.exec(name)?.[1]))
  .filter((version) => version > 0)
  .sort((a, b) => a - b);
const LEASE_MS = 15_000;

const server = new PostgresServer();
afterAll(() => server.end());

const rowsOf = (version: number): AllRows =>
  fromText(readFileSync(join(FIXTURES, `postgres-${version}.json`), 'utf8')) as AllRows;

/** A schema as the release with that version left it. */
async function schemaOf(version: number): Promise<string> {
  const schema = server.newSchema();
  const dump = readFileSync(join(FIXTURES, `postgres-${version}.sql`), 'utf8');
  await server.query(dump.replaceAll('holdfast_fixture', schema));
  return schema;
}

async function using<T>(schema: string, act: (store: PostgresStore) => Promise<T>): Promise<T> {
  const store = await server.open(schema);
  try {
    return await act(store);
  } finally {
    await store.close();
  }
}

const byId = <T extends { readonly taskId: string }>(rows: readonly T[]): T[] =>
  [...rows].sort((a, b) => (a.taskId < b.taskId ? -1 : 1));

/** Columns of tables, and indexes; in an order that does not tell how they came to be. */
async function shapeOf(schema: string): Promise<unknown> {
  const columns = await server.query(`SELECT table_name, column_name, data_type, is_nullable, collation_name
    FROM information_schema.columns WHERE table_schema = '${schema}' ORDER BY table_name, column_name`);
  const indexes = await server.query(
    `SELECT indexdef FROM pg_indexes WHERE schemaname = '${schema}' ORDER BY indexname`,
  );
  return [columns.rows, indexes.rows.map(({ indexdef }) => String(indexdef).replaceAll(schema, ''))];
}

describe('the schemas of PostgreSQL', () => {
  test('are numbered from 1 without gaps, and the first has a fixture', () => {
    expect(MIGRATIONS.map(({ version }) => version)).toEqual(MIGRATIONS.map((_, i) => i + 1));
    expect(released).toContain(1);
  });

  test.each(released)('steps up to version %d are those that were released', async (version) => {
    const schema = server.newSchema();
    await server.query(`CREATE SCHEMA ${schema}; SET search_path = ${schema};
      CREATE TABLE migrations (version integer PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL)`);
    for (const { up } of MIGRATIONS.slice(0, version)) await server.query(up);
    expect(await shapeOf(schema)).toEqual(await shapeOf(await schemaOf(version)));
  });
});

describe.each(released)('a PostgreSQL schema of version %d', (version) => {
  test('is opened by this program with every row unharmed', async () => {
    const expected = rowsOf(version);
    const ids = expected.tasks.map(({ taskId }) => taskId);
    const schema = await schemaOf(version);
    await using(schema, async (store) => {
      expect(byId(await store.readTasks(ids))).toEqual(byId(expected.tasks));
      expect(byId(await store.readSpecs(ids))).toEqual(byId(expected.specs));
      for (const taskId of ids)
        expect(await store.readHistory(taskId)).toEqual(
          expected.history.filter((row) => row.taskId === taskId),
        );
      const { openTasks, agents, sessions, counters, dags } = await store.load();
      expect({ agents, sessions, counters }).toMatchObject({
        ...{ agents: expected.agents, sessions: expected.sessions, counters: expected.counters },
      });
      expect(byId(openTasks)).toEqual(byId(expected.tasks.filter(({ open }) => open !== null)));
      expect(dags).toMatchObject({ dags: expected.dags?.dags, pools: expected.dags?.pools });
    });
    const checked = await checkPostgres({ url: await server.url(), schema, outside: OUTSIDE });
    expect(checked).toEqual({ tasks: ids.length, findings: [], more: false });
  });

  test('finds its tasks again as before: by lane, deadline, key and state', async () => {
    const { tasks } = rowsOf(version);
    await using(await schemaOf(version), async (store) => {
      for (const lane of new Set(tasks.map(readyLane).filter((each) => each !== null))) {
        const ready = await store.readReady(lane, null, 99);
        expect(byId(ready)).toEqual(byId(tasks.filter((row) => readyLane(row) === lane)));
      }
      const due = tasks.filter((row) => dueAt(row, LEASE_MS) !== null);
      expect(await store.readDue(1e12 as ServiceMs, 99)).toHaveLength(due.length);
      const keys = tasks.map((row) => row.idempotencyKey).filter((key) => key !== '');
      expect(await store.readByIdempotencyKey(keys)).toHaveLength(keys.length);
      for (const state of new Set(tasks.map((row) => row.state))) {
        const found = await store.listTasks({ states: [state] }, null, 99);
        expect(found.map(({ taskId }) => taskId).sort()).toEqual(
          tasks.filter((row) => row.state === state).map(({ taskId }) => taskId),
        );
      }
    });
  });

  test('takes the next version of every row', async () => {
    const rows = rowsOf(version).tasks.map((row) => next(row, {}));
    await using(await schemaOf(version), async (store) => {
      await store.commit(puts({ tasks: rows.map((row) => put(row, readyLane(row), dueAt(row, LEASE_MS))) }));
      expect(byId(await store.readTasks(rows.map(({ taskId }) => taskId)))).toEqual(byId(rows));
    });
  });
});
