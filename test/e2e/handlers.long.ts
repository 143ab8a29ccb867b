import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { events, type Program, Site } from './support/site.js';

const SDK = resolve(import.meta.dirname, '../../dist/agent/index.js');
const MODULE = `
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { defineHandlers, handler } from ${JSON.stringify(SDK)};
const number = { '~standard': { version: 1, vendor: 'test', validate: (value) =>
  typeof value === 'number' ? { value } : { issues: [{ message: 'expected a number' }] } } };
let calls = 0;
export default defineHandlers({
  double: handler({ input: number, run: async (n, ctx) => {
    ctx.log.info('doubling', { n, token: ctx.token });
    console.log('as plain text');
    return 2 * n;
  } }),
  about: async (_, { token, tryNumber, taskId, agentId, queue, deadline }) =>
    ({ token: String(token), tryNumber, taskId, agentId, queue, deadline: deadline !== null, secret: process.env.HOLDFAST_AGENT_TOKEN ?? null }),
  pid: () => ({ pid: process.pid, calls: ++calls }),
  throws: () => { throw new Error('boom'); },
  exits: () => process.exit(3),
  blocks: () => { for (;;); },
  heap: () => { const held = []; for (;;) held.push(new Array(1000).fill({})); },
  buffers: () => { const held = []; for (;;) held.push(Buffer.alloc(8_000_000, 1)); },
  waits: (_, { signal, progress }) => {
    progress(0.5, 'half way');
    return new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason)));
  },
  deaf: (_, { progress }) => { progress('listening to nobody'); return new Promise(() => setInterval(() => {}, 1000)); },
  lasts: (file, { agentId }) => {
    const write = () => appendFileSync(file, agentId + '\\n');
    write();
    return agentId === 'w' ? new Promise(() => setInterval(write, 20)) : 'ended';
  },
  leaves: () => { spawn('sleep', ['4711'], { stdio: 'ignore' }).unref(); return 'left'; },
});
`;

let site: Site;

/** Makes a site with a worker that has the handlers above. */
async function started(slots = 2, ...flags: string[]): Promise<Program> {
  site = await Site.start('--heartbeat-interval', '500ms');
  writeFileSync(site.path('handlers.mjs'), MODULE);
  const all = ['--handlers', site.path('handlers.mjs'), '--handler-memory', '192', ...flags];
  return site.connected('w', { slots, flags: all });
}

const call = async (handler: string, input?: unknown, more: object = {}): Promise<string> => {
  const given =
    input === undefined ? {} : { input: Buffer.from(JSON.stringify(input)), inputType: 'application/json' };
  const [taskId = ''] = await site.api.submit({ work: { handler: { name: handler, ...given } }, ...more });
  return taskId;
};
const resultOf = async (taskId: string): Promise<unknown> =>
  JSON.parse(Buffer.from((await site.reaches(taskId, 'SUCCESS')).result).toString());

describe('a handler', () => {
  // None of these harms the worker, or the next one.
  beforeAll(() => started());
  afterAll(() => site.close());

  test('is called with the input, and its result, its log and its console are kept with the task', async () => {
    const taskId = await call('double', 21);
    expect(await resultOf(taskId)).toBe(42);
    const { stdout } = await site.cli('task', 'logs', taskId);
    const [line = '', plain] = stdout.split('\n');
    const { fencingToken: token } = await site.task(taskId);
    expect(JSON.parse(line)).toMatchObject({ level: 'info', message: 'doubling', n: 21, token });
    expect(plain).toBe('as plain text');
  });

  test('is told token, try, task, agent and deadline', async () => {
    const taskId = await call('about', undefined, { executionTimeout: { seconds: 9 } });
    expect(await resultOf(taskId)).toEqual({
      token: (await site.task(taskId)).fencingToken,
      tryNumber: 1,
      taskId,
      agentId: 'w',
      queue: 'default',
      deadline: true,
      secret: null,
    });
  });

  test('that fails, exits, blocks or eats memory is a failed try with its reason, and the next one runs', async () => {
    const soon = { executionTimeout: { seconds: 1 }, killGrace: { nanos: 100_000_000 } };
    const cases: readonly (readonly [string, string, string | RegExp])[] = [
      [await call('throws'), 'handler_failed', 'Error: boom'],
      [await call('exits'), 'handler_exited', /^its process ended with exit code 3$/],
      [await call('heap'), 'handler_out_of_memory', /memory|heap/],
      [await call('buffers'), 'handler_out_of_memory', /took more than 192 MiB/],
      [await call('blocks', undefined, soon), 'execution_timeout', ''],
      [await call('double', 'x', { retries: 3 }), 'handler_input_invalid', /expected a number/],
    ];
    for (const [taskId, reason, message] of cases) {
      const task = await site.reaches(taskId, 'FAILED');
      expect(task).toMatchObject({ reason, tryNumber: 1 });
      expect(task.message).toMatch(message);
    }
    expect(await resultOf(await call('double', 1))).toBe(2);
    expect((await site.agentShown('w')).sessionEpoch).toBe('1');
  });

  test('hears of a cancel by its signal, and shows how far it has come until then', async () => {
    const taskId = await call('waits');
    await site.progresses(taskId, { fraction: 0.5, message: 'half way' });
    await site.api.call('CancelTask', { taskId, reason: 'enough' });
    expect(events(await site.reaches(taskId, 'CANCELLED')).at(-1)).toBe('cancelled');
  });

  test('that does not hear its signal is killed when the grace is over', async () => {
    const taskId = await call('deaf', undefined, { killGrace: { nanos: 200_000_000 } });
    await site.progresses(taskId, { message: 'listening to nobody' });
    await site.api.call('CancelTask', { taskId, reason: 'enough' });
    expect(events(await site.reaches(taskId, 'CANCELLED')).at(-1)).toBe('cancelled');
  });

  test('takes the processes that it started with it', async () => {
    expect(await resultOf(await call('leaves'))).toBe('left');
    expect(site.commandLines('sleep 4711')).toEqual([]);
  });

  test('that no worker has is not offered, and explained', async () => {
    const taskId = await call('resize');
    const { stdout } = await site.cli('task', 'explain', taskId);
    expect(stdout).toContain('no agent has handler resize: w has double, about, pid');
  });
});

describe('a handler of a worker of its own', () => {
  afterEach(() => site.close());

  test('shares a warm process with the runs before it, one at a time, until that has served its time', async () => {
    await started(1, '--handler-runs', '2', '--handlers-warm', '1');
    const seen = [];
    for (let i = 0; i < 3; i++) seen.push(await resultOf(await call('pid')));
    expect(seen).toMatchObject([{ calls: 1 }, { calls: 2 }, { calls: 1 }]);
  });

  test('costs no lease and no other task, although eight slots are full of handlers that block, eat memory or exit', async () => {
    await started(8, '--handlers-warm', '2');
    // Three leases long: whoever did not heartbeat for so long would have failed.
    const long = { executionTimeout: { seconds: 5 }, killGrace: { nanos: 100_000_000 } };
    const blocked = await Promise.all(Array.from({ length: 5 }, () => call('blocks', undefined, long)));
    const eaters = [await call('heap'), await call('buffers')];
    const exits = await Promise.all(Array.from({ length: 3 }, () => call('exits')));
    const others = await Promise.all(Array.from({ length: 10 }, (_, n) => call('double', n)));
    for (const taskId of others)
      expect(await site.reaches(taskId, 'SUCCESS')).toMatchObject({ tryNumber: 1 });
    const reasons = [];
    for (const taskId of [...blocked, ...eaters, ...exits]) {
      const { reason, tryNumber, history } = await site.reaches(taskId, 'FAILED');
      // The coordinator counts from the permit: where children are slow to come, it asks before the runner acts.
      const told = history.map(({ event }) => event).filter((event) => event !== 'timeout_requested');
      reasons.push(`${reason} ${tryNumber} ${told.join()}`);
    }
    const once = '1 submitted,permitted,failed';
    expect(reasons).toEqual([
      ...blocked.map(() => `execution_timeout ${once}`),
      ...eaters.map(() => `handler_out_of_memory ${once}`),
      ...exits.map(() => `handler_exited ${once}`),
    ]);
    expect(await site.agentShown('w')).toMatchObject({
      sessionEpoch: '1',
      state: 'AGENT_STATE_HEALTHY',
    });
  });

  test('under single_run is dead at the end of the gate and its grace, although its agent is stopped and it hears no signal', async () => {
    const agent = await started(1);
    const file = site.path('lines');
    const lines = () => readFileSync(file, 'utf8').trim().split('\n');
    writeFileSync(file, '');
    const policy = { partitionPolicy: 'PARTITION_POLICY_SINGLE_RUN', killGrace: { nanos: 200_000_000 } };
    const taskId = await call('lasts', file, policy);
    await eventually('the run', () => lines().includes('w'));
    await site.connected('other', { slots: 1, flags: ['--handlers', site.path('handlers.mjs')] });
    agent.signal('SIGSTOP');
    expect(await site.reaches(taskId, 'SUCCESS')).toMatchObject({ agentId: 'other', tryNumber: 2 });
    const atTheEnd = lines();
    expect(atTheEnd.filter((line) => line === 'other')).toHaveLength(1);
    expect(atTheEnd.at(-1)).toBe('other');
    agent.signal('SIGCONT');
    await agent.says('gate closed');
    expect(lines()).toEqual(atTheEnd);
  });

  test('does not survive the kill -9 of its agent', async () => {
    const agent = await started();
    await site.progresses(await call('deaf'), { message: 'listening to nobody' });
    expect(site.commandLines('handlers/child.js')).not.toEqual([]);
    await agent.kill();
    await eventually('the end of its children', () => site.commandLines('handlers/child.js').length === 0);
  });

  test('leaves nothing to complain of when its worker is drained: idle processes end with it', async () => {
    const worker = await started(4);
    await site.reaches(await call('pid'), 'SUCCESS');
    worker.signal('SIGTERM');
    expect(await worker.exited).toMatchObject({ code: 0 });
    expect(worker.stderr).not.toContain('idle process');
    expect(worker.stderr).not.toMatch(/"level":"(warn|error)"/);
  });

  test('a module without handlers stops the start, and says what it should be', async () => {
    site = await Site.start();
    writeFileSync(site.path('handlers.mjs'), 'export default { double: () => 2 };');
    const agent = site.agent('w', { flags: ['--handlers', site.path('handlers.mjs')] });
    expect((await agent.exited).code).toBe(78);
    expect(agent.stderr).toContain('it has no handlers: write `export default defineHandlers({ … })`');
  });
});
