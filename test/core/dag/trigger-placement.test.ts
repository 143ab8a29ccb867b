import { describe, expect, test } from '@jest/globals';
import { DagWorld, deferral } from './support.js';

async function waiting(count: number, kind = 'date_time') {
  const world = await DagWorld.with([]);
  await world.worker(2_000);
  const taskIds = [];
  for (let n = 0; n < count; n++) taskIds.push(await world.submit());
  await world.finish(Object.fromEntries(taskIds.map((taskId) => [taskId, deferral({ kind })])));
  return world;
}

describe('triggers', () => {
  test('are spread over the triggerers by the share of their slots that is taken', async () => {
    const world = await DagWorld.with([]);
    await world.worker(1_000);
    const small = await world.triggerer('small', ['date_time'], 10);
    const large = await world.triggerer('large', ['date_time'], 30);
    for (let n = 0; n < 20; n++) await world.submit();
    const taskIds = await world.running();
    await world.finish(Object.fromEntries(taskIds.map((taskId) => [taskId, deferral()])));
    expect([small.triggers.size, large.triggers.size]).toEqual([5, 15]);
  });

  test('go only to those that name their kind, and never more than they have slots', async () => {
    const world = await waiting(5, 'queue_depth');
    const other = await world.triggerer('other', ['date_time']);
    const full = await world.triggerer('full', ['queue_depth'], 3);
    await world.pass(1_000);
    expect([other.triggers.size, full.triggers.size]).toEqual([0, 3]);
    await full.fire([...full.triggers.keys()][0] ?? '', 1);
    await world.pass(400);
    expect(full.triggers.size).toBe(3);
  });

  test('of a kind that the coordinator serves itself go to nobody', async () => {
    const world = await waiting(1, 'external');
    const triggerer = await world.triggerer('t1', ['external', 'asset']);
    await world.pass(1_000);
    expect(triggerer.triggers.size).toBe(0);
  });

  test('of a failed triggerer are assigned again at once, by the very commit, and not before', async () => {
    const world = await waiting(3);
    const first = await world.triggerer('t1');
    const tokens = [...first.triggers.values()].map(({ token }) => token);
    first.cut();
    const second = await world.triggerer('t2');
    await world.pass(14_000);
    expect(second.triggers.size).toBe(0);
    await world.pass(1_400);
    expect(second.triggers.size).toBe(3);
    for (const { token } of second.triggers.values()) expect(tokens).not.toContain(token);
  });

  test('of a triggerer that says goodbye are assigned again at once', async () => {
    const world = await waiting(3);
    const first = await world.triggerer('t1');
    const second = await world.triggerer('t2');
    expect([first.triggers.size, second.triggers.size]).toEqual([3, 0]);
    first.goodbye();
    await world.idle();
    expect(second.triggers.size).toBe(3);
  });

  test('wait without an owner while no triggerer is healthy, and start when one comes', async () => {
    const world = await waiting(2);
    const first = await world.triggerer('t1');
    first.cut();
    await world.pass(20_000);
    expect(first.triggers.size).toBe(0);
    first.connect();
    await world.idle();
    expect(first.triggers.size).toBe(2);
  });

  test('of a cordoned triggerer stay with it, and it gets no new ones', async () => {
    const world = await waiting(1);
    const triggerer = await world.triggerer('t1');
    await world.steerAgent('cordon', 't1');
    const taskId = await world.submit();
    await world.finish({ [taskId]: deferral() });
    await world.pass(1_000);
    expect(triggerer.triggers.size).toBe(1);
    await world.steerAgent('uncordon', 't1');
    await world.pass(400);
    expect(triggerer.triggers.size).toBe(2);
  });

  test('are assigned in steps, however many wait', async () => {
    const world = await waiting(1_200);
    const triggerer = await world.triggerer('t1', ['date_time'], 10_000);
    await world.pass(1_000);
    expect(triggerer.triggers.size).toBe(1_200);
    const tokens = new Set([...triggerer.triggers.values()].map(({ token }) => token));
    expect(tokens.size).toBe(1_200);
  });
});
