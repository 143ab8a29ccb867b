import { describe, expect, test } from '@jest/globals';
import { DagWorld, deferral } from './support.js';

describe('a triggerer', () => {
  test('is told all of its triggers again on a new stream of its session, under the same tokens', async () => {
    const world = await DagWorld.with([]);
    await world.worker();
    const triggerer = await world.triggerer('t1');
    const taskId = await world.submit();
    await world.finish({ [taskId]: deferral() });
    const { token, epoch } = triggerer.only;
    triggerer.cut();
    await world.pass(1_000);
    triggerer.connect();
    await world.idle();
    expect(triggerer.only).toMatchObject({ taskId, token, epoch });
  });

  test('is told how long each has waited already', async () => {
    const world = await DagWorld.with([]);
    await world.worker();
    const taskId = await world.submit();
    await world.finish({ [taskId]: deferral({ kind: 'delta', input: '{"for":"1m"}' }) });
    await world.pass(30_000);
    const triggerer = await world.triggerer('t1', ['delta']);
    expect(triggerer.only.waitedMs).toBe(30_000);
  });

  test('is told of many in portions, each after the one before was applied', async () => {
    const world = await DagWorld.with([]);
    await world.worker(1_000);
    const input = JSON.stringify({ at: '2026-01-02', note: 'x'.repeat(60_000) });
    for (let n = 0; n < 20; n++) await world.submit();
    const taskIds = await world.running();
    await world.finish(Object.fromEntries(taskIds.map((taskId) => [taskId, deferral({ input })])));
    const triggerer = await world.triggerer('t1');
    expect(triggerer.triggers.size).toBe(20);
    expect(triggerer.tellings).toBe(4);
  });

  test('is not told of a trigger that ended before its turn', async () => {
    const world = await DagWorld.with([]);
    await world.worker();
    const taskId = await world.submit();
    await world.finish({ [taskId]: deferral() });
    const triggerer = await world.triggerer('t1');
    triggerer.cut();
    await world.cancel(taskId);
    triggerer.connect();
    await world.idle();
    expect([triggerer.triggers.size, triggerer.tellings]).toEqual([0, 1]);
  });
});
