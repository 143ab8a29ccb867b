import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { RESTORED } from '../../src/core/recovery.js';
import { checkPostgres } from '../../src/store/postgres/open.js';
import { GRACE_MS, type Identity } from '../../src/store/postgres/owner.js';
import { PausingProxy } from '../e2e/support/proxy.js';
import { eventually } from '../wire/support/wait.js';
import { faultOf } from './bench.js';
import { dagPuts, pool } from './dag-rows.js';
import { IDENTITY, OUTSIDE, PostgresServer } from './postgres-bench.js';
import { put, puts, spec, task, taskId } from './rows.js';

const server = new PostgresServer();
const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});
afterAll(() => server.end());

const kept = <T extends { close(): unknown }>(each: T): T => {
  opened.push(each);
  return each;
};
const one = (n: number) => puts({ tasks: [put(task(n))] });
/** Another machine, which can know nothing of the processes of the first. */
const ELSEWHERE: Identity = { host: 'there', pid: 1, machine: 'another boot', isGone: () => true };
/** This machine, once the first process has ended. */
const NEXT: Identity = { ...IDENTITY, pid: 1, isGone: () => true };

const aWhile = () => new Promise((resolve) => void OUTSIDE.after(300, () => resolve('waits')));

/** To whom a second passes whenever it looks at the clock. */
function hasty(): typeof OUTSIDE {
  let now = 0;
  const mono = () => {
    now += 1_000;
    return now as never;
  };
  return { ...OUTSIDE, mono };
}

async function open(schema: string, changes: Parameters<PostgresServer['open']>[1] = {}) {
  return kept(await server.open(schema, changes));
}

/** A way to the server that can be cut. */
async function proxied(): Promise<{ proxy: PausingProxy; url: string }> {
  const { target, urlAt } = await server.way();
  const proxy = kept(await PausingProxy.start(target));
  return { proxy, url: urlAt(proxy.address) };
}

const endSessions = (like: string) =>
  server.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'holdfast ${like} %'`,
  );

describe('a PostgreSQL store', () => {
  test('is refused to a second coordinator, which is told who has it', async () => {
    const schema = server.newSchema();
    await open(schema);
    const second = server.open(schema, { identity: ELSEWHERE, outside: hasty() });
    await expect(second).rejects.toMatchObject({
      fault: 'locked',
      message: expect.stringMatching(
        new RegExp(
          `schema ${schema} .*because the coordinator on here \\(process ${process.pid}\\) has it; .+`,
        ),
      ),
    });
  });

  test('a former owner, cut off from the lock that it held, cannot commit any more', async () => {
    const schema = server.newSchema();
    const { proxy, url } = await proxied();
    const former = await open(schema, { url });
    await former.commit(one(1));
    proxy.pause();
    await endSessions('owner');
    const next = await open(schema, { identity: NEXT });
    await next.commit(one(2));
    proxy.resume();
    expect(await faultOf(former.commit(one(3)))).toBe('locked');
    expect(await faultOf(former.commit(one(3)))).toBe('locked');
    expect(await faultOf(former.proveOwned())).toBe('locked');
    expect(former.isOwned()).toBe(false);
    const found = await next.readTasks([taskId(1), taskId(2), taskId(3)]);
    expect(found.map((row) => row.taskId).sort()).toEqual([taskId(1), taskId(2)]);
  });

  test('a commit is made once, at whatever byte its connection breaks', async () => {
    const { proxy, url } = await proxied();
    const store = await open(server.newSchema(), { url });
    await store.commit(one(0));
    for (let n = 1; n <= 12; n++) {
      const cut = proxy.cutAfter(n * n * 20);
      await store.commit(puts({ tasks: [put(task(n))], notifications: [] }));
      await Promise.race([cut, store.readTasks(Array.from({ length: 50 }, (_, i) => taskId(i)))]);
      expect(await store.countTasks()).toEqual({ queued: n + 1 });
    }
  });

  test('goes on when the server has ended its sessions, the lock with them', async () => {
    const schema = server.newSchema();
    const store = await open(schema);
    await endSessions('%');
    await store.commit(one(1));
    await store.commit(one(2));
    expect(await store.countTasks()).toEqual({ queued: 2 });
    await eventually('the lock is taken again', async () => {
      const { rows } = await server.query(`SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND application_name LIKE 'holdfast owner %'`);
      return rows.length === 1;
    });
    const second = server.open(schema, { identity: ELSEWHERE, outside: hasty() });
    await expect(second).rejects.toMatchObject({ fault: 'locked' });
  });

  test.each([
    ['was closed in good order', ELSEWHERE, true, false],
    ['ended on this machine', NEXT, false, false],
    ['may be alive elsewhere', ELSEWHERE, false, true],
  ])(
    'waits for what an owner before it may have told agents: one that %s',
    async (_, identity, closed, waits) => {
      const schema = server.newSchema();
      const former = await open(schema);
      if (closed) await former.close();
      else await server.query(`UPDATE ${schema}.owner SET holder = 'nobody'`);
      await endSessions('owner');
      const pauses: number[] = [];
      const after = (ms: number, todo: () => void) => {
        pauses.push(ms);
        return OUTSIDE.after(0, todo);
      };
      await open(schema, { identity, outside: { ...OUTSIDE, after } });
      expect(pauses.includes(GRACE_MS)).toBe(waits);
    },
  );

  test('is not opened by a program that is older than its schema', async () => {
    const schema = server.newSchema();
    const store = await open(schema);
    await store.close();
    await server.query(`INSERT INTO ${schema}.migrations VALUES (99, 'later', now())`);
    await expect(server.open(schema)).rejects.toMatchObject({
      fault: 'newer',
      message: expect.stringMatching(/because it has version 99 .*; start the newer program/),
    });
  });

  test('leaves the tables of others alone', async () => {
    const schema = server.newSchema();
    await server.query(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.orders (id integer)`);
    await expect(server.open(schema)).rejects.toMatchObject({ fault: 'corrupt' });
    expect((await server.query(`SELECT count(*) FROM ${schema}.orders`)).rows).toHaveLength(1);
  });

  test('knows that it was restored from a dump, and permits nothing for a lease (P18)', async () => {
    const schema = server.newSchema();
    const store = await open(schema);
    await store.commit(one(1));
    await store.close();
    const again = await open(schema);
    expect((await again.load()).counters.recovery).toBeUndefined();
    await again.close();
    // As a dump does it: the same rows, in a table that was made anew.
    await server.query(
      `SET search_path = ${schema}; ALTER TABLE owner RENAME TO dumped; CREATE TABLE owner (LIKE dumped INCLUDING ALL);
        INSERT INTO owner SELECT * FROM dumped; DROP TABLE dumped`,
    );
    const restored = await open(schema);
    expect((await restored.load()).counters.recovery).toEqual(RESTORED);
    expect(await restored.countTasks()).toEqual({ queued: 1 });
  });

  test('is given up when the rows went back under a running coordinator', async () => {
    const schema = server.newSchema();
    const store = await open(schema);
    await store.commit(one(1));
    await server.query(`UPDATE ${schema}.owner SET commits = 0`);
    await endSessions('%');
    expect(await faultOf(store.commit(one(2)))).toBe('unknown');
    expect(await faultOf(store.load())).toBe('unknown');
  });

  test('waits a minute for a database that is away, then is given up', async () => {
    const { proxy, url } = await proxied();
    let now = 0;
    const outside = { ...OUTSIDE, mono: () => now as never };
    const store = await open(server.newSchema(), { url, outside });
    await store.commit(one(1));
    proxy.close();
    const commit = faultOf(store.commit(one(2)));
    expect(await Promise.race([commit, aWhile()])).toBe('waits');
    now += 59_000;
    expect(await Promise.race([commit, aWhile()])).toBe('waits');
    expect(store.isOwned()).toBe(false);
    now += 2_000;
    expect(await commit).toBe('io');
    expect(await faultOf(store.readTasks([taskId(1)]))).toBe('io');
  });

  test('keeps characters that PostgreSQL has no text for', async () => {
    const store = await open(server.newSchema());
    const odd = 'a\u0000b\ue000c';
    const row = task(1, { idempotencyKey: odd });
    const named = pool('small', { description: odd });
    await store.commit(puts({ tasks: [put(row)], dags: dagPuts({ pools: [named] }) }));
    expect(await store.readByIdempotencyKey([odd])).toEqual([row]);
    expect((await store.load()).dags.pools).toEqual([named]);
  });

  test('is read through by server check once it is closed, and what is wrong is told', async () => {
    const schema = server.newSchema();
    const store = await open(schema);
    await store.commit(
      puts({ tasks: [put(task(1), 'default'), put(task(2), 'default')], specs: [spec(1), spec(2)] }),
    );
    const url = await server.url();
    const check = () => checkPostgres({ url, schema, outside: hasty() });
    await expect(check()).rejects.toMatchObject({ fault: 'locked' });
    await store.close();
    expect(await check()).toEqual({ tasks: 2, findings: [], more: false });
    await server.query(
      `SET search_path = ${schema}; UPDATE submissions SET spec = NULL; UPDATE tasks SET lane = 'other' WHERE task_id = '${taskId(1)}';
        UPDATE tasks SET progress = '[7]' WHERE task_id = '${taskId(2)}'`,
    );
    expect((await check()).findings).toEqual([
      'there are 2 tasks without a specification',
      `task ${taskId(1)}: it is listed in a lane where it does not wait`,
      expect.stringMatching(new RegExp(`task ${taskId(2)}.* should be text`)),
    ]);
    await expect(checkPostgres({ url, schema: 'nowhere', outside: hasty() })).rejects.toMatchObject({
      fault: 'older',
    });
  });

  test('makes no copy of itself, and says what does', async () => {
    const store = await open(server.newSchema());
    await expect(store.backup()).rejects.toThrow(/because the rows are in PostgreSQL; use pg_dump/);
  });

  test('tells nobody the password when it cannot be reached', async () => {
    const url = 'postgres://someone:secret-word@127.0.0.1:1/none';
    const error = await server.open('any', { url }).then(
      () => null,
      (reason: unknown) => reason as Error,
    );
    expect(error).toMatchObject({ fault: 'io' });
    expect(`${error?.message} ${error?.stack} ${JSON.stringify(error)}`).not.toContain('secret-word');
  });
});
