import { describe, expect, test } from '@jest/globals';
import { NOTHING_OF_DAGS } from '../../../src/core/dag/inputs.js';
import { Draft } from '../../../src/core/draft.js';
import { putsOf } from '../../../src/engine/puts.js';
import type { WallMs } from '../../../src/kit/time.js';
import { DagWorld, deferral } from './support.js';

async function waiting(
  change: Parameters<typeof deferral>[0] = {},
  of: Parameters<DagWorld['submit']>[0] = {},
) {
  const world = await DagWorld.with([]);
  await world.worker(10);
  const taskId = await world.submit(of);
  await world.finish({ [taskId]: deferral(change) });
  return { world, taskId };
}

/** What an asset's event changes; the scheduler's own tests make them from outlets. */
async function assetEvent(world: DagWorld, asset: string, n: number, extra = ''): Promise<void> {
  const draft = new Draft(world.engine.state, world.engine.context(), {
    ...{ tasks: new Map(), histories: new Map(), byKey: new Map(), due: [], finished: null },
    dags: NOTHING_OF_DAGS,
  });
  draft.dags.putAsset({ asset, version: 0, lastEvent: n, lastEventAt: world.wall });
  draft.dags.assetEvents.push({ n, asset, at: world.wall, source: null, extra });
  await world.store.commit(putsOf(draft));
  draft.dags.settle();
}

describe('a trigger event', () => {
  test('is taken once, and its repetition changes nothing', async () => {
    const { world, taskId } = await waiting();
    const triggerer = await world.triggerer('t1');
    const { triggerId, token } = triggerer.only;
    expect(await triggerer.fire(triggerId, 1)).toMatchObject({ taken: true });
    expect(await triggerer.fire(triggerId, 2, { token })).toMatchObject({ taken: false });
    expect(world.permits.filter((permit) => permit.taskId === taskId)).toHaveLength(2);
  });

  test('of a superseded assignment changes nothing, though its triggerer is back and healthy', async () => {
    const { world, taskId } = await waiting();
    const first = await world.triggerer('t1');
    const { triggerId, token } = first.only;
    first.cut();
    const second = await world.triggerer('t2');
    await world.pass(20_000);
    expect(second.only.token).toBeGreaterThan(token);
    first.connect();
    await world.idle();
    expect(await first.fire(triggerId, 'late', { token })).toMatchObject({ taken: false });
    expect(await world.task(taskId)).toMatchObject({ state: 'deferred' });
    expect(await second.fire(triggerId, 'good')).toMatchObject({ taken: true });
    expect(world.permits.at(-1)).toMatchObject({ resumption: { event: '"good"' } });
  });

  test('is taken while its trigger has no owner, as long as its token is the newest', async () => {
    const { world, taskId } = await waiting();
    const triggerer = await world.triggerer('t1', ['date_time'], 1);
    const { triggerId, token } = triggerer.only;
    triggerer.cut();
    await world.pass(20_000);
    await world.steerAgent('cordon', 't1');
    triggerer.connect();
    await world.idle();
    expect(triggerer.triggers.size).toBe(0);
    expect(await triggerer.fire(triggerId, 1, { token })).toMatchObject({ taken: true });
    expect(await world.task(taskId)).toMatchObject({ state: 'running' });
  });

  test('that is a failure fails the try, and a retry begins from the beginning', async () => {
    const { world, taskId } = await waiting({ state: '1' }, { retries: 1 });
    const triggerer = await world.triggerer('t1');
    const failure = { reason: 'trigger_failed', message: 'HTTP 404' };
    expect(await triggerer.fire(triggerer.only.triggerId, null, { failure })).toMatchObject({ taken: true });
    expect(await world.task(taskId)).toMatchObject({ state: 'up_for_retry', ...failure });
    expect(triggerer.triggers.size).toBe(0);
    await world.pass(2_000);
    expect(world.permits.at(-1)).toMatchObject({ tryNumber: 2, resumption: null });
  });

  test('of a trigger that nobody knows changes nothing', async () => {
    const { world } = await waiting();
    const triggerer = await world.triggerer('t1');
    expect(await triggerer.fire('other', 1)).toEqual({
      triggerId: 'other',
      eventId: 'event-0',
      taken: false,
    });
  });
});

describe('kinds that need no triggerer', () => {
  test('an asset’s next event resumes the task; those before the deferral do not', async () => {
    const world = await DagWorld.with([]);
    await assetEvent(world, 'raw', 1);
    await world.restart();
    await world.worker();
    const taskId = await world.submit();
    await world.finish({ [taskId]: deferral({ kind: 'asset', input: '{"asset":"raw"}' }) });
    await world.triggerer('t1', ['asset', 'date_time']);
    await world.pass(400);
    expect(await world.task(taskId)).toMatchObject({ state: 'deferred' });
    await assetEvent(world, 'raw', 2, '{"rows":7}');
    await world.pass(400);
    const event = JSON.parse(world.permits.at(-1)?.resumption?.event ?? 'null') as { at: string };
    expect(event).toMatchObject({ asset: 'raw', event: 2, extra: { rows: 7 } });
    expect(Date.parse(event.at) as WallMs).toBeLessThanOrEqual(world.wall);
  });

  test('an asset’s event that came before a crash is not forgotten', async () => {
    const { world, taskId } = await waiting({ kind: 'asset', input: '{"asset":"raw"}' });
    await assetEvent(world, 'raw', 1);
    await world.restart();
    await world.worker();
    await world.pass(400);
    expect(await world.task(taskId)).toMatchObject({ state: 'running' });
  });

  test('an external one is fired by hand, once', async () => {
    const { world, taskId } = await waiting({ kind: 'external', input: '{"name":"approval"}' });
    const [trigger] = [...world.engine.state.dags.triggers.values()];
    const call = {
      action: 'fire_trigger',
      triggerId: trigger?.triggerId ?? '',
      payload: '{"by":"ann"}',
    } as const;
    expect(await world.call(call)).toMatchObject({ kind: 'trigger', trigger: { taskId } });
    expect(world.permits.at(-1)).toMatchObject({ resumption: { event: '{"by":"ann"}' } });
    expect(await world.call(call)).toMatchObject({ kind: 'refused', fault: { code: 'TRIGGER_NOT_FOUND' } });
  });

  test('any other may be fired by hand as well', async () => {
    const { world } = await waiting();
    const triggerer = await world.triggerer('t1');
    const { triggerId } = triggerer.only;
    await world.call({ action: 'fire_trigger', triggerId, payload: '1' });
    expect(triggerer.triggers.size).toBe(0);
    expect(world.permits.at(-1)).toMatchObject({ resumption: { event: '1' } });
  });
});
