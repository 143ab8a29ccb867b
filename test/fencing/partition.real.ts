import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { PausingProxy } from '../e2e/support/proxy.js';
import { events, linesOf, Site } from '../e2e/support/site.js';
import { eventually } from '../wire/support/wait.js';
import { type Database, openDatabase } from './support/database.js';
import * as examples from './support/examples.js';
import { startObjects } from './support/object-store.js';

let database: Database;
let site: Site;

beforeAll(async () => {
  database = await openDatabase();
}, 90_000);
afterEach(() => site.close());
afterAll(() => database?.close(), 60_000);

/** Runs the task's command on an agent that is cut off, then on another; then lets the first one write, too late. */
async function lateWriter(
  how: string,
  target: string,
  values: { cut: string; other: string },
): Promise<string> {
  const proxy = await PausingProxy.start(site.address);
  site.atClose(() => proxy.close());
  await site.connected('cut', { coordinator: proxy.address, slots: 1 });
  const [started, go, ended] = ['started', 'go', 'ended'].map((name) => site.path(name)) as [
    string,
    string,
    string,
  ];
  const write = `"${process.execPath}" ${join(examples.folder, 'write.mjs')} ${how} "${target}" a`;
  const script = [
    `if [ "$HOLDFAST_AGENT_ID" = other ]; then exec ${write} ${values.other}; fi`,
    `touch ${started}; while [ ! -e ${go} ]; do sleep 0.05; done`,
    `code=0; ${write} ${values.cut} 2> ${site.path('said')} || code=$?; echo "$code" > ${ended}; exit $code`,
  ].join('\n');
  const taskId = await site.submit(script);
  const { fencingToken } = await site.reaches(taskId, 'RUNNING');
  await eventually('the run', () => existsSync(started));
  await site.connected('other');
  proxy.pause();
  const done = await site.reaches(taskId, 'SUCCESS');
  expect(done).toMatchObject({ agentId: 'other', tryNumber: 2 });
  expect(BigInt(done.fencingToken)).toBeGreaterThan(BigInt(fencingToken));

  // Still cut from the coordinator, not from the store: nobody can stop it there but the store itself.
  writeFileSync(go, '');
  await eventually('the late write', () => linesOf(ended).length === 1);
  expect(linesOf(site.path('said'))).toEqual([expect.stringContaining('a newer try than that of token')]);
  expect(linesOf(ended)).toEqual(['3']);
  proxy.resume();
  await eventually('the refusal of its report', async () =>
    events(await site.task(taskId)).includes('late_report_refused'),
  );
  return done.fencingToken;
}

test('a worker that is cut from its coordinator and writes to PostgreSQL after its task was reassigned is refused', async () => {
  site = await Site.start('--heartbeat-interval', '500ms');
  const { SCHEMA } = await examples.postgres();
  const client = new pg.Client(database.url);
  await client.connect();
  site.atClose(() => client.end());
  await client.query(SCHEMA);
  const fence = await lateWriter('postgres', database.url, { cut: '111', other: '222' });
  const { rows } = await client.query('SELECT account, amount, fence FROM balances');
  expect(rows).toEqual([{ account: 'a', amount: '222', fence }]);
}, 120_000);

test('and so is one that writes to an HTTP server', async () => {
  site = await Site.start('--heartbeat-interval', '500ms');
  const store = await (await examples.httpServer()).startStore(site.path('store.db'));
  site.atClose(() => store.close());
  const fence = await lateWriter('http', store.url, { cut: 'late', other: 'new' });
  const answer = await fetch(`${store.url}/a`);
  expect(await answer.text()).toBe('new');
  expect(answer.headers.get('fencing-token')).toBe(fence);
}, 120_000);

test('and so is one that writes to an object store with conditional writes', async () => {
  site = await Site.start('--heartbeat-interval', '500ms');
  const store = await startObjects();
  site.atClose(() => store.close());
  const fence = await lateWriter('objects', store.url, { cut: 'late', other: 'new' });
  const pointer = await (await examples.objects()).current(store.url, 'a');
  expect(pointer).toMatchObject({ fence });
  expect(await (await fetch(`${store.url}/${pointer?.key}`)).text()).toBe('new');
}, 120_000);
