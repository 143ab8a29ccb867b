import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RawAgent, TriggerStart } from './support/raw-agent.js';
import { Stage } from './support/stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.start();
});
afterAll(async () => {
  await stage.serves();
  await stage.close();
});

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const DELTA = { kind: 'delta', input: json({ for: '1m' }) };
const LARGE = json('x'.repeat(64 * 1024));
let names = 0;

/** A worker that has deferred a task, as `deferral` says, and where that has led. */
async function deferred(deferral: object, change: object = {}) {
  const queue = `q${++names}`;
  const worker = await stage.greeted({ agentId: `worker-${queue}`, queue });
  const [taskId = ''] = await stage.api.submit({ queue, ...change });
  const { token } = await worker.start(taskId);
  const disposition = await worker.report(token, { taskId, kind: 'REPORT_KIND_DEFERRED', deferral });
  return { worker, taskId, token, disposition };
}

/** A triggerer of a kind of its own, so that it is told of nobody else's triggers. */
async function triggererOf(kind: string, slots = 10): Promise<RawAgent> {
  const agent = stage.agent({ agentId: `triggerer-${kind}`, slots });
  await agent.greet({ kind: 'AGENT_KIND_TRIGGERER', queues: [], triggerKinds: [kind] });
  return agent;
}

async function told(agent: RawAgent): Promise<TriggerStart> {
  const { triggerStarts } = await agent.heard((ack) => ack.triggerStarts.length > 0);
  const [start] = triggerStarts;
  if (start === undefined) throw new Error('no trigger was told');
  return start;
}

const fire = async (agent: RawAgent, { triggerId, token }: TriggerStart, event: object) => {
  agent.say({ freeSlots: 0, triggerEvents: [{ triggerId, token, eventId: 'e1', ...event }] });
  const { triggerAcks } = await agent.heard((ack) => ack.triggerAcks.length > 0);
  return triggerAcks[0]?.taken;
};

describe('a deferral', () => {
  test('is recorded, its trigger told, and its event handed to the next permit of the same try', async () => {
    const { worker, taskId, token, disposition } = await deferred({
      ...{ kind: 'round', input: json({ n: 1 }), state: json('kept'), timeout: { seconds: 3600 } },
    });
    expect(disposition).toBe('REPORT_DISPOSITION_RECORDED');
    const again = await worker.report(token, { taskId, kind: 'REPORT_KIND_DEFERRED', deferral: DELTA });
    expect(again).toBe('REPORT_DISPOSITION_ALREADY_RECORDED');
    const triggerer = await triggererOf('round');
    const start = await told(triggerer);
    expect(start).toMatchObject({ kind: 'round', taskId });
    expect(start.input.toString()).toBe('{"n":1}');
    expect(await fire(triggerer, start, { payload: json({ rows: 3 }) })).toBe(true);
    expect(await fire(triggerer, start, { payload: json({ rows: 4 }) })).toBe(false);
    worker.offers.clear();
    const permit = await worker.start(taskId);
    expect(permit.tryNumber).toBe(1);
    expect(permit.resumption?.event.toString()).toBe('{"rows":3}');
    expect(permit.resumption?.state.toString()).toBe('"kept"');
  });

  test.each([
    ['without a deferral', undefined, 'invalid_deferral'],
    ['of a kind that is no name', { ...DELTA, kind: '../x' }, 'invalid_deferral'],
    ['with an input that is not JSON', { ...DELTA, input: Buffer.from('{') }, 'invalid_deferral'],
    ['with a state that is not text', { ...DELTA, state: Buffer.from([255]) }, 'invalid_deferral'],
    ['with an input of more than 64 KiB', { ...DELTA, input: LARGE }, 'deferral_too_large'],
    ['with a state of more than 64 KiB', { ...DELTA, state: LARGE }, 'deferral_too_large'],
  ])('%s fails its try with a reason, and the stream goes on', async (_name, deferral, reason) => {
    const { worker, taskId } = await deferred(deferral as object);
    expect(await stage.api.task(taskId)).toMatchObject({ state: 'TASK_STATE_FAILED', reason });
    await worker.beat();
  });

  test('of a kind that nobody knows waits until somebody does', async () => {
    const { taskId } = await deferred({ ...DELTA, kind: 'unheard-of' });
    expect(await stage.api.task(taskId)).toMatchObject({ state: 'TASK_STATE_DEFERRED' });
    expect(await told(await triggererOf('unheard-of'))).toMatchObject({ taskId });
  });
});

describe('a trigger event', () => {
  test.each([
    ['that is a failure', { failure: { reason: 'trigger_failed', message: 'HTTP 410' } }, 'trigger_failed'],
    ['of more than 64 KiB', { payload: LARGE }, 'payload_too_large'],
    ['that is not JSON', { payload: Buffer.from('{"a"') }, 'invalid_event'],
  ])('%s fails the try of its task, and the stream goes on', async (name, event, reason) => {
    const kind = `bad${name.length}`;
    const { taskId } = await deferred({ ...DELTA, kind });
    const triggerer = await triggererOf(kind);
    expect(await fire(triggerer, await told(triggerer), event)).toBe(true);
    expect(await stage.api.task(taskId)).toMatchObject({ state: 'TASK_STATE_FAILED', reason });
    await triggerer.beat({ freeSlots: 0 });
  });

  test.each([
    ['of a trigger that nobody knows', { triggerId: 'nobody' }],
    ['under a token that is not the newest', { token: '1' }],
  ])('%s changes nothing, and is answered', async (name, change) => {
    const kind = `odd${name.length}`;
    const { taskId } = await deferred({ ...DELTA, kind });
    const triggerer = await triggererOf(kind);
    expect(await fire(triggerer, { ...(await told(triggerer)), ...change }, { payload: json(1) })).toBe(
      false,
    );
    expect(await stage.api.task(taskId)).toMatchObject({ state: 'TASK_STATE_DEFERRED' });
  });

  test('without a payload is null', async () => {
    const { worker, taskId } = await deferred({ ...DELTA, kind: 'empty' });
    const triggerer = await triggererOf('empty');
    expect(await fire(triggerer, await told(triggerer), {})).toBe(true);
    worker.offers.clear();
    expect((await worker.start(taskId)).resumption?.event.toString()).toBe('null');
  });
});

test('a cancelled task has its trigger stopped', async () => {
  const { taskId } = await deferred({ ...DELTA, kind: 'cancelled' });
  const triggerer = await triggererOf('cancelled');
  const { triggerId } = await told(triggerer);
  await stage.api.call('CancelTask', { taskId, reason: 'test' });
  expect((await triggerer.heard((ack) => ack.triggerStops.length > 0)).triggerStops).toEqual([triggerId]);
});
