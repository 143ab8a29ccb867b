import { expect, test } from '@jest/globals';
import type { AgentId } from '../../src/kit/ids.js';
import { listTriggers } from '../../src/server/shared-things.js';
import { agentOf } from '../../src/server/views.js';
import { DagWorld, deferral } from '../core/dag/support.js';

/** Agents of all triggers as they are shown, and of those that wait for one. */
async function shown(world: DagWorld): Promise<{ agents: string[]; unassigned: number }> {
  const list = (unassigned: boolean) =>
    listTriggers(world, { kind: '', unassigned, pageSize: 0, pageToken: '' });
  const [all, waiting] = [await list(false), await list(true)];
  return { agents: all.triggers.map(({ agentId }) => agentId), unassigned: waiting.triggers.length };
}

test('a trigger is shown with its triggerer, and without one from the failure of that until it is assigned again', async () => {
  const world = await DagWorld.with([]);
  await world.worker(10);
  const taskId = await world.submit();
  await world.finish({ [taskId]: deferral() });
  expect(await shown(world)).toEqual({ agents: [''], unassigned: 1 });
  const first = await world.triggerer('first');
  expect(await shown(world)).toEqual({ agents: ['first'], unassigned: 0 });
  first.cut();
  await world.pass(20_000);
  expect(await shown(world)).toEqual({ agents: [''], unassigned: 1 });
  await world.triggerer('second');
  expect(await shown(world)).toEqual({ agents: ['second'], unassigned: 0 });
});

test('a triggerer is shown with as many slots taken as it has triggers', async () => {
  const world = await DagWorld.with([]);
  await world.worker(10);
  const taskId = await world.submit();
  await world.triggerer('t1');
  const { state } = world.engine;
  const taken = () => agentOf(state, 't1' as AgentId, world.engine.context().now)?.running;
  expect(taken()).toBe(0);
  await world.finish({ [taskId]: deferral() });
  expect(taken()).toBe(1);
});
