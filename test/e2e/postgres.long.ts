import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, expect, test } from '@jest/globals';
import { PostgresServer } from '../store/postgres-bench.js';
import { eventually } from '../wire/support/wait.js';
import { PausingProxy } from './support/proxy.js';
import { events, linesOf, Site } from './support/site.js';

const server = new PostgresServer();
let site: Site;
afterEach(() => site.close());
afterAll(() => server.end());

/** A coordinator whose rows are in a schema of its own, reached through a proxy. */
async function onPostgres(): Promise<{ proxy: PausingProxy; flags: readonly string[] }> {
  const { target, urlAt } = await server.way();
  const proxy = await PausingProxy.start(target);
  const flags = ['--store', urlAt(proxy.address), '--store-schema', server.newSchema()];
  site = await Site.start('--heartbeat-interval', '1s', ...flags);
  site.atClose(() => proxy.close());
  return { proxy, flags };
}

const wait = (gate: string): string => `while [ ! -e ${gate} ]; do sleep 0.1; done`;

test('kill -9 of a coordinator on PostgreSQL amid 200 tasks: every one ends, none twice, running ones go on', async () => {
  await onPostgres();
  const [file, gate] = [site.path('lines'), site.path('go')];
  const say = (word: string) => `echo "${word} $HOLDFAST_TASK_ID $HOLDFAST_FENCING_TOKEN" >> ${file}`;
  for (const id of ['w1', 'w2']) site.agent(id, { slots: 6 });
  const long = await site.submit(`${say('start')}; ${wait(gate)}; ${say('end')}`, { priority: 1 });
  await site.reaches(long, 'RUNNING');
  const argv = ['sh', '-c', `${say('start')}; ${say('end')}`];
  const ids = [
    long,
    ...(await site.api.submit(...Array.from({ length: 199 }, () => ({ work: { command: { argv } } })))),
  ];
  const ended = () => linesOf(file).filter((line) => line.startsWith('end')).length;
  await eventually('the first thirty ends', () => ended() >= 30, 60_000);
  await site.server.kill();
  expect(ended()).toBeLessThan(ids.length - 1);
  await site.startServer();
  await eventually('all other ends', () => ended() >= ids.length - 1, 60_000);
  writeFileSync(gate, '');
  for (const taskId of ids) {
    const task = await site.reaches(taskId, 'SUCCESS');
    expect(events(task).filter((event) => ['success', 'failed', 'lost'].includes(event))).toEqual([
      'success',
    ]);
    const mine = linesOf(file).filter((line) => line.includes(taskId));
    expect(mine).toEqual(['start', 'end'].map((word) => `${word} ${taskId} ${task.fencingToken}`));
  }
}, 120_000);

test('a second coordinator on one schema is refused, and told who has it and what to do', async () => {
  const { flags } = await onPostgres();
  const second = site.run('server', 'start', '--port', '0', '--db-file', site.path('other.db'), ...flags);
  expect(await second.exited).toMatchObject({ code: 1 });
  expect(second.stderr).toContain(`process ${site.server.pid}) has it`);
  expect(second.stderr).toMatch(/stop that coordinator first, or name another database or schema/);
  expect(existsSync(site.path('other.db'))).toBe(false);
  expect((await site.api.call<{ coordinatorId: string }>('GetCoordinator', {})).coordinatorId).not.toBe('');
});

test('while nothing passes to the database or back, agents keep their leases and runs go on; then all that waited happens', async () => {
  const { proxy } = await onPostgres();
  const gate = site.path('go');
  await site.connected('w1', { slots: 2 });
  const running = await site.submit(wait(gate));
  await site.reaches(running, 'RUNNING');
  const { sessionEpoch } = await site.agentShown('w1');
  proxy.pause();
  const submitted = site.submit('true');
  // Longer than a lease, which is three seconds; shorter than the owner may go on without the database.
  await pause(7_000);
  expect(await site.agentShown('w1')).toMatchObject({ state: 'AGENT_STATE_HEALTHY', sessionEpoch });
  writeFileSync(gate, '');
  proxy.resume();
  await site.reaches(await submitted, 'SUCCESS');
  const task = await site.reaches(running, 'SUCCESS');
  expect(events(task)).not.toContain('lost');
  expect(await site.agentShown('w1')).toMatchObject({ state: 'AGENT_STATE_HEALTHY', sessionEpoch });
}, 90_000);

test('a password is not taken from the command line, where every user could read it', async () => {
  site = await Site.start();
  const url = 'postgres://someone:secret-word@127.0.0.1:1/none';
  const refused = site.run('server', 'start', '--db-file', site.path('other.db'), '--store', url);
  expect(await refused.exited).toMatchObject({ code: 2 });
  expect(refused.stderr).toContain('HOLDFAST_STORE_FILE');
  expect(refused.stderr + refused.stdout).not.toContain('secret-word');
});
