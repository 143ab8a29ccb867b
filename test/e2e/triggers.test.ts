import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { PausingProxy } from './support/proxy.js';
import { events, linesOf, type Program, Site } from './support/site.js';

const SDK = resolve(import.meta.dirname, '../../dist/agent/index.js');
const HANDLERS = `
import { defineHandlers } from ${JSON.stringify(SDK)};
export default defineHandlers({
  defers: ({ trigger, state, timeout }, ctx) => {
    if (ctx.resumed === null) ctx.defer({ trigger, state, timeout });
    return { ...ctx.resumed, tryNumber: ctx.tryNumber };
  },
  skips: (_, ctx) => ctx.skip('nothing to do'),
});
`;
/** A trigger that leaves traces while it waits for a file; no trigger should, and so a test can see when it is alive. */
const TRIGGERS = `
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { defineTriggers, trigger } from ${JSON.stringify(SDK)};
const traces = trigger({ name: 'traces', async *run({ input }) {
  for (;;) {
    appendFileSync(input.file, process.pid + ' ' + Date.now() + '\\n');
    if (existsSync(input.go)) yield { pid: process.pid };
    await pause(20);
  }
} });
const blocks = trigger({ name: 'blocks', run: async ({ input }) => { await pause(input.ms); for (;;); } });
const throws = trigger({ name: 'throws', run: async () => { await pause(10); throw new Error('no such queue'); } });
const escapes = trigger({ name: 'escapes', run: () => new Promise(() => setTimeout(() => { throw new Error('too late'); }, 10)) });
const exits = trigger({ name: 'exits', run: async () => { await pause(10); process.exit(7); } });
const hoards = trigger({ name: 'hoards', run: async () => { const held = []; for (;;) { held.push(new Array(100_000).fill(held.length)); if (held.length % 50 === 0) await pause(1); } } });
const large = trigger({ name: 'large', run: async () => 'x'.repeat(70000) });
const exists = trigger({ name: 'exists', run: async ({ input }) => { while (!existsSync(input.go)) await pause(200); } });
export default defineTriggers([traces, blocks, throws, escapes, exits, large, hoards, exists]);
`;

let site: Site;
afterEach(() => site.close());

const custom = () => ['--triggers', site.path('triggers.mjs')];

/** A site with a worker that has the handlers above, and triggers for who wants them. */
async function started(heartbeat = '500ms', slots = 4): Promise<void> {
  site = await Site.start('--heartbeat-interval', heartbeat);
  writeFileSync(site.path('handlers.mjs'), HANDLERS);
  writeFileSync(site.path('triggers.mjs'), TRIGGERS);
  await site.connected('w', { slots, flags: ['--handlers', site.path('handlers.mjs')] });
}

async function submitAll(count: number, input: object, change: object = {}): Promise<string[]> {
  const given = { input: Buffer.from(JSON.stringify(input)), inputType: 'application/json' };
  const work = { handler: { name: 'defers', ...given } };
  return site.api.submit(...Array.from({ length: count }, () => ({ work, ...change })));
}

const defers = async (kind: string, input: object, more: object = {}, change: object = {}): Promise<string> =>
  (await submitAll(1, { trigger: { kind, input }, ...more }, change))[0] ?? '';

const resultOf = async (taskId: string): Promise<unknown> =>
  JSON.parse((await site.reaches(taskId, 'SUCCESS')).result.toString());

describe('a task that defers', () => {
  test('goes on in the same try with its event and its state, a handler or a command, and holds no slot meanwhile', async () => {
    await started('500ms', 1);
    const handled = await defers('delta', { for: '200ms' }, { state: { page: 2 } });
    const script = [
      'if [ -z "$HOLDFAST_RESUME_FILE" ]; then',
      `echo '{"trigger":{"kind":"delta","input":{"for":"200ms"}},"state":[1,2],"timeout":"1h"}' > "$HOLDFAST_DEFER_FILE"`,
      'exit 75; fi; cat "$HOLDFAST_RESUME_FILE" > "$HOLDFAST_RESULT_FILE"',
    ].join('\n');
    const commanded = await site.submit(script);
    await site.reaches(handled, 'DEFERRED');
    await site.reaches(commanded, 'DEFERRED');
    await site.reaches(await site.submit('true'), 'SUCCESS');
    await site.triggerer('t');
    expect(await resultOf(handled)).toEqual({ event: { for: '200ms' }, state: { page: 2 }, tryNumber: 1 });
    expect(await resultOf(commanded)).toEqual({ event: { for: '200ms' }, state: [1, 2] });
    const trail = ['submitted', 'permitted', 'deferred', 'resumed', 'permitted', 'success'];
    expect(events(await site.task(commanded))).toEqual(trail);
  });

  test('is heard although its agent was killed before the deferral was acknowledged', async () => {
    await started();
    const proxy = await PausingProxy.start(site.address);
    site.atClose(() => proxy.close());
    const worker = await site.connected('cut', { queues: ['cut'], coordinator: proxy.address });
    const go = site.path('go');
    const defer = `echo '{"trigger":{"kind":"delta","input":{"for":"1ms"}}}' > "$HOLDFAST_DEFER_FILE"; exit 75`;
    const script = `[ -n "$HOLDFAST_RESUME_FILE" ] && exit 0; while [ ! -e ${go} ]; do sleep 0.05; done; ${defer}`;
    const taskId = await site.submit(script, { queue: 'cut' });
    await site.reaches(taskId, 'RUNNING');
    proxy.pause();
    writeFileSync(go, '');
    await eventually('the end of the run', () =>
      linesOf(`${site.path('state-cut')}/journal.jsonl`).some((line) => line.includes('"ended"')),
    );
    await worker.kill();
    await site.connected('cut', { queues: ['cut'] });
    await site.triggerer('t');
    expect(events(await site.reaches(taskId, 'SUCCESS'))).toEqual(
      expect.arrayContaining(['deferred', 'resumed']),
    );
  });

  test('fails its try when its event has not come in time, while no triggerer is there', async () => {
    await started();
    const taskId = await defers('delta', { for: '1h' }, { timeout: '1s' });
    expect(await site.reaches(taskId, 'FAILED')).toMatchObject({ reason: 'deferral_timeout' });
  });

  test('outlives kill -9 of the coordinator, and the delay goes on where it was', async () => {
    await started();
    await site.triggerer('t');
    const taskId = await defers('delta', { for: '3s' });
    await site.reaches(taskId, 'DEFERRED');
    await site.server.kill();
    await site.startServer();
    expect(await resultOf(taskId)).toMatchObject({ event: { for: '3s' } });
    expect(events(await site.task(taskId)).filter((event) => event === 'resumed')).toHaveLength(1);
  });

  test('with an input that its trigger refuses fails with the reason, and a skip without a run is a success', async () => {
    await started();
    await site.triggerer('t');
    const taskId = await defers('date_time', { at: 'tomorrow' });
    expect(await site.reaches(taskId, 'FAILED')).toMatchObject({
      reason: 'invalid_input',
      message: expect.stringContaining('date_time'),
    });
    const [skipped = ''] = await site.api.submit({ work: { handler: { name: 'skips' } } });
    await site.reaches(skipped, 'SUCCESS');
    const large = await defers('delta', { for: '1s' }, { state: 'x'.repeat(70_000) });
    expect(await site.reaches(large, 'FAILED')).toMatchObject({ reason: 'deferral_too_large' });
  });
});

/** Pid and instant of each trace. */
const traces = (file: string) =>
  linesOf(file).map((line) => {
    const [pid = 0, at = 0] = line.split(' ').map(Number);
    return { pid, at };
  });

describe('a triggerer that is cut off has stopped before another runs its triggers (I8)', () => {
  async function tracing() {
    await started('1s');
    const [file, go] = [site.path('traces'), site.path('go')];
    const proxy = await PausingProxy.start(site.address);
    site.atClose(() => proxy.close());
    const first = await site.triggerer('t1', { coordinator: proxy.address, flags: custom() });
    const taskId = await defers('traces', { file, go });
    await eventually('a trace', () => traces(file).length > 3);
    const second = await site.triggerer('t2', { flags: custom() });
    return { file, go, proxy, first, second, taskId };
  }

  async function expectNoOverlap(file: string, first: Program, second: Program): Promise<void> {
    await eventually('traces of the second', () => traces(file).some(({ pid }) => pid === second.pid));
    const start = traces(file).find(({ pid }) => pid === second.pid)?.at ?? 0;
    const late = traces(file).filter(({ pid, at }) => pid === first.pid && at >= start);
    expect(late).toEqual([]);
  }

  test('by the network: it stops at once, and its return changes nothing', async () => {
    const { file, go, proxy, first, second, taskId } = await tracing();
    proxy.pause();
    await first.says('all triggers are stopped');
    await expectNoOverlap(file, first, second);
    proxy.resume();
    await eventually('a second session', () => first.stderr.split('connected: a new session').length === 3);
    await expectNoOverlap(file, first, second);
    writeFileSync(go, '');
    expect(await resultOf(taskId)).toMatchObject({ event: { pid: second.pid } });
    const { history } = await site.task(taskId);
    expect(history.filter(({ event }) => event === 'resumed')).toHaveLength(1);
  });

  test('by SIGSTOP: it does nothing more when it goes on', async () => {
    const { file, go, first, second, taskId } = await tracing();
    first.signal('SIGSTOP');
    await expectNoOverlap(file, first, second);
    first.signal('SIGCONT');
    await eventually('a second session', () => first.stderr.split('connected: a new session').length === 3);
    await expectNoOverlap(file, first, second);
    writeFileSync(go, '');
    expect(await resultOf(taskId)).toMatchObject({ event: { pid: second.pid } });
  });

  test('by a drain it hands them over before it ends', async () => {
    const { file, go, first, second, taskId } = await tracing();
    first.signal('SIGTERM');
    expect(await first.exited).toMatchObject({ code: 0 });
    await expectNoOverlap(file, first, second);
    writeFileSync(go, '');
    await site.reaches(taskId, 'SUCCESS');
  });
});

describe('a trigger that misbehaves', () => {
  test('fails its own task, by name, and costs neither the lease nor the other triggers', async () => {
    await started();
    await site.triggerer('t', { flags: custom() });
    const { sessionEpoch } = await site.agentShown('t');
    const good = await defers('delta', { for: '12s' });
    await site.reaches(good, 'DEFERRED');
    const bad = {
      throws: 'trigger_failed',
      escapes: 'trigger_failed',
      exits: 'trigger_crashed',
      large: 'payload_too_large',
      hoards: 'trigger_crashed',
      blocks: 'trigger_blocked',
    };
    for (const [kind, reason] of Object.entries(bad)) {
      const taskId = await defers(kind, { ms: 10 });
      expect(await site.reaches(taskId, 'FAILED')).toMatchObject({ reason });
    }
    await site.reaches(good, 'SUCCESS');
    expect((await site.agentShown('t')).sessionEpoch).toBe(sessionEpoch);
  });

  test('is tried again where the task has retries', async () => {
    await started();
    await site.triggerer('t', { flags: custom() });
    const taskId = await defers(
      'throws',
      {},
      {},
      { retries: 1, retryBackoff: { initial: { nanos: 1_000_000 } } },
    );
    const task = await site.reaches(taskId, 'FAILED');
    expect(task).toMatchObject({ tryNumber: 2, message: expect.stringContaining('no such queue') });
  });

  test('of a module that is of no use keeps the triggerer from starting, and says why', async () => {
    await started();
    writeFileSync(site.path('broken.mjs'), 'export default 1;');
    const agent = site.run(
      'agent',
      'start',
      '--kind',
      'triggerer',
      '--coordinator',
      site.address,
      '--state-dir',
      site.path('b'),
      '--triggers',
      site.path('broken.mjs'),
    );
    expect((await agent.exited).code).not.toBe(0);
    expect(agent.stderr).toContain('it has no triggers');
  });
});

test('a thousand triggers wait in one triggerer, and each of their events counts once', async () => {
  await started('1s', 16);
  const triggerer = await site.triggerer('t', { flags: custom() });
  const go = site.path('go');
  const trigger = { kind: 'exists', input: { go } };
  const taskIds = [...(await submitAll(500, { trigger })), ...(await submitAll(500, { trigger }))];
  const all = (state: string) =>
    eventually(
      `a thousand tasks ${state}`,
      async () => {
        const shown = await Promise.all(taskIds.map((taskId) => site.task(taskId)));
        return shown.every((task) => task.state === `TASK_STATE_${state}`);
      },
      100_000,
    );
  await all('DEFERRED');
  // Lost and told again, all of them.
  await site.server.kill();
  await site.startServer();
  await triggerer.says('connected again: the session goes on');
  writeFileSync(go, '');
  await all('SUCCESS');
  const trails = await Promise.all(taskIds.map(async (taskId) => events(await site.task(taskId))));
  expect(trails.filter((trail) => trail.filter((event) => event === 'resumed').length !== 1)).toEqual([]);
}, 240_000);
