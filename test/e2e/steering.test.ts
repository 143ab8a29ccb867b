import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Client, connect } from '../../src/client/index.js';
import { inProcess } from '../cli/support/program.js';
import { eventually } from '../wire/support/wait.js';
import { events, linesOf, Site } from './support/site.js';

let site: Site;
let client: Client;
beforeAll(async () => {
  site = await Site.start('--heartbeat-interval', '1s');
  await site.connected('worker', { slots: 8, queues: ['default', 'reports', 'slow', 'fast'] });
  client = connect(site.address);
});
afterAll(async () => {
  client.close();
  await site.close();
});

/** A client command of this process against the real coordinator. */
const cli = (...args: string[]) => inProcess([...args, '--coordinator', site.address]);
const json = async (...args: string[]) => JSON.parse((await cli(...args, '-o', 'json')).stdout) as unknown;
const states = async (taskIds: readonly string[]): Promise<Set<string>> =>
  new Set(await Promise.all(taskIds.map(async (id) => (await site.task(id)).state)));
const submit = (count: number, change: object): Promise<readonly string[]> =>
  site.api.submit(...Array.from({ length: count }, () => change));
const shell = (script: string) => ({ work: { command: { argv: ['sh', '-c', script] } } });

describe('task retry', () => {
  test('of a selection tries again exactly what a dry run has counted and named, and nothing before', async () => {
    const go = site.path('go-retry');
    const broken = await submit(3, { queue: 'reports', ...shell(`test -e ${go}`) });
    const [other = ''] = await submit(1, { ...shell(`test -e ${go}`) });
    for (const taskId of [...broken, other]) await site.reaches(taskId, 'FAILED');
    const selection = ['task', 'retry', '--state', 'failed', '--queue', 'reports'];

    const dry = await cli(...selection, '--dry-run');
    const [said, ...named] = dry.stdout.trimEnd().split('\n');
    expect([dry.code, said]).toEqual([0, '3 tasks would be retried']);
    expect(named.map((line) => line.trim()).sort()).toEqual([...broken].sort());
    expect(await states(broken)).toEqual(new Set(['TASK_STATE_FAILED']));

    writeFileSync(go, '');
    const done = await cli(...selection, '--reason', 'mended');
    expect([done.code, done.stdout, done.stderr]).toEqual([0, '3 tasks retried\n', '']);
    for (const taskId of broken) {
      const task = await site.reaches(taskId, 'SUCCESS');
      expect(task.tryNumber).toBe(2);
      expect(task.history.find(({ event }) => event === 'retried')).toMatchObject({ reason: 'mended' });
    }
    expect((await site.task(other)).state).toBe('TASK_STATE_FAILED');
    expect((await cli(...selection)).stdout).toBe('0 tasks retried\n');
  });

  test('of one task by its id, in a process of its own, says what is wrong with it', async () => {
    const [waiting = ''] = await submit(1, { queue: 'nobody' });
    const refused = await site.cli('task', 'retry', waiting);
    expect([refused.code, refused.stderr.includes('[TASK_NOT_ENDED]')]).toEqual([5, true]);
    await cli('task', 'cancel', waiting);
    const retried = await site.cli('task', 'retry', waiting, '--reason', 'a mistake', '-o', 'json');
    expect(retried.code).toBe(0);
    expect(JSON.parse(retried.stdout)).toMatchObject({ taskId: waiting, state: 'queued' });
    await cli('task', 'cancel', waiting);
  });
});

describe('task move', () => {
  test('brings what nobody serves to a queue that somebody does, and leaves what has ended', async () => {
    const waiting = await submit(2, { queue: 'gone' });
    const [cancelled = ''] = await submit(1, { queue: 'gone' });
    await cli('task', 'cancel', cancelled);
    const move = ['task', 'move', '--queue', 'gone', '--to', 'default'];
    const told = { action: 'move', done: 2, skipped: { ended: 1 } };
    expect(await json(...move, '--dry-run')).toMatchObject({ ...told, dryRun: true });
    expect(await states(waiting)).toEqual(new Set(['TASK_STATE_QUEUED']));
    expect(await json(...move)).toMatchObject({ ...told, dryRun: false });
    for (const taskId of waiting) {
      const task = await site.reaches(taskId, 'SUCCESS');
      expect(events(task)).toEqual(['submitted', 'moved', 'permitted', 'success']);
    }
  });

  test('waits for the limit of the queue that it moves to, and explain says so', async () => {
    expect((await cli('queue', 'limit', 'slow', '0')).code).toBe(0);
    const [taskId = ''] = await submit(1, { queue: 'gone' });
    await cli('task', 'move', taskId, '--to', 'slow');
    const explained = await cli('task', 'explain', taskId);
    expect(explained.stdout).toContain('0 tasks of queue slow run or are offered, and its limit is 0');
    await cli('queue', 'limit', 'slow', 'none');
    await site.reaches(taskId, 'SUCCESS');
  });

  test('without a queue to move to, and any of them without a selection, does nothing', async () => {
    const nowhere = await cli('task', 'move', '--queue', 'gone');
    expect([nowhere.code, nowhere.stderr.includes('--to')]).toEqual([2, true]);
    const all = await cli('task', 'cancel');
    expect(all.code).not.toBe(0);
    expect(all.stderr).toContain('the selection is empty');
  });
});

describe('task cancel', () => {
  test('of a concurrency key ends what waits at once and asks what runs to end', async () => {
    const key = { queue: 'reports', concurrencyKey: 'customer-17' };
    const [running = '', ...waiting] = await submit(3, {
      ...{ ...key, ...shell('exec sleep 600') },
      killGrace: { seconds: 1 },
    });
    await site.reaches(running, 'RUNNING');
    const cancel = ['task', 'cancel', '--concurrency-key', 'customer-17'];
    expect((await cli(...cancel, '--dry-run')).stdout).toContain('3 tasks would be cancelled');
    expect((await site.task(running)).state).toBe('TASK_STATE_RUNNING');
    expect((await cli(...cancel)).stdout).toBe('3 tasks cancelled\n');
    expect(await states(waiting)).toEqual(new Set(['TASK_STATE_CANCELLED']));
    await site.reaches(running, 'CANCELLED');
  });
});

describe('queue limit', () => {
  test('bounds what runs of a queue at once, and queue list shows it, over a restart of the coordinator', async () => {
    await cli('queue', 'limit', 'fast', '1');
    const [lines, go] = [site.path('fast'), site.path('go-fast')];
    const run = shell(`echo up >> ${lines}; while [ ! -e ${go} ]; do sleep 0.05; done`);
    const taskIds = await submit(4, { queue: 'fast', ...run });
    await eventually('one runs', () => linesOf(lines).length > 0);
    const fast = { name: 'fast', runLimit: 1, running: 1, waiting: 3, agents: 1 };
    expect(await json('queue', 'list')).toContainEqual(fast);
    expect((await cli('queue', 'list')).stdout).toMatch(/^fast +1 +1 +3 +1$/m);
    await site.server.kill();
    await site.startServer();
    // Until the worker has a stream again nobody serves the queue: the count comes from the store.
    expect(await json('queue', 'list')).toContainEqual(expect.objectContaining({ name: 'fast', waiting: 3 }));
    expect(linesOf(lines)).toHaveLength(1);
    writeFileSync(go, '');
    await cli('queue', 'limit', 'fast', 'none');
    for (const taskId of taskIds) await site.reaches(taskId, 'SUCCESS');
    expect(linesOf(lines)).toHaveLength(4);
  });

  test('that is no number, or of no name, is refused', async () => {
    expect((await cli('queue', 'limit', 'fast', 'many')).code).toBe(2);
    const refused = await cli('queue', 'limit', 'a b', '1');
    expect([refused.code !== 0, refused.stderr.includes('[INVALID_REQUEST]')]).toEqual([true, true]);
  });
});

describe('the client', () => {
  test('steers many tasks, and tells each step', async () => {
    const taskIds = await submit(5, { queue: 'nobody' });
    const steer = async (...args: Parameters<Client['tasks']['steer']>) => {
      const steps = [];
      for await (const step of client.tasks.steer(...args)) steps.push(step);
      return { ids: steps.flatMap((step) => step.taskIds).sort(), steps };
    };
    const all = [...taskIds].sort();
    expect(await steer({ action: 'cancel' }, { taskIds }, { dryRun: true })).toMatchObject({ ids: all });
    expect(await steer({ action: 'cancel' }, { queue: 'nobody', states: ['queued'] })).toMatchObject({
      ids: all,
    });
    const again = await steer({ action: 'cancel' }, { taskIds });
    expect(again.steps).toEqual([{ taskIds: [], skipped: { ended: 5 } }]);
    const one = await client.tasks.retry(taskIds[0] ?? '', 'again');
    expect(one).toMatchObject({ taskId: taskIds[0], state: 'queued' });
    await expect(client.tasks.retry(taskIds[0] ?? '')).rejects.toMatchObject({ code: 'TASK_NOT_ENDED' });
    await steer({ action: 'move', queue: 'default' }, { queue: 'nobody', states: ['queued'] });
    await site.reaches(taskIds[0] ?? '', 'SUCCESS');
    await expect(steer({ action: 'retry' }, {})).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });

  test('limits queues and shows them', async () => {
    const limited = { name: 'slow', runLimit: 2, running: 0, waiting: 0, agents: 1 };
    expect(await client.queues.limit('slow', 2)).toEqual(limited);
    expect(await client.queues.list()).toContainEqual(limited);
    expect(await client.queues.limit('slow', undefined)).toEqual({ ...limited, runLimit: undefined });
    await expect(client.queues.limit('slow', 1e7)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });
});
