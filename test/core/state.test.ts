import { describe, expect, test } from '@jest/globals';
import type { Epoch } from '../../src/kit/ids.js';
import { add, drop } from '../../src/kit/sets.js';
import { MACHINE, proofOf, ready, settleDown, successor } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { L, world } from './support.js';

describe('what is kept in memory', () => {
  test('is the same after a restart as before it, offers and presences apart', () => {
    const w = world({ stormBrake: false });
    const [a, b] = [ready(w, 'a'), ready(w, 'b')];
    w.submit({ partitionPolicy: 'hold' });
    const cancelled = w.submit();
    w.submit();
    settleDown(a, b);
    a.vanish();
    w.cancel(cancelled);
    w.pass(L);
    w.restart();
    checkWorld(w);
    expect(w.state.stopRequests.size).toBeLessThanOrEqual(1);
  });

  test('knows a task by its open token or its offer, and forgets it with them', () => {
    const w = world();
    const a = ready(w, 'a');
    a.asking = false;
    const taskId = w.submit();
    expect(w.state.knownTask(taskId)).toBe(w.task(taskId));
    a.asking = true;
    a.talk();
    expect(w.state.knownTask(taskId)).toBe(w.task(taskId));
    a.end(a.only).talk();
    expect(w.state.knownTask(taskId)).toBeUndefined();
  });

  test('of sessions is the live ones, and the newest of each agent', () => {
    const w = world();
    for (let n = 0; n < 3; n++) {
      ready(w, 'a', { instanceId: `a-instance-000${n}` }).vanish();
      w.pass(L);
    }
    expect([...w.state.sessions.keys()]).toEqual([3n]);
    expect(w.state.presences.size).toBe(0);
    checkWorld(w);
  });

  test('lists nobody under a queue who left it: replaced by a successor, or come back with other queues', () => {
    const w = world();
    const a = ready(w, 'a', { process: MACHINE });
    successor(a, 'a-instance-0002')
      .connect({ proof: proofOf(a) })
      .talk();
    expect([...(w.state.roomy.get('default') ?? [])]).toEqual([2n]);
    const b = ready(w, 'b');
    b.connect({ queues: ['other'] }).talk();
    expect([...(w.state.roomy.get('default') ?? [])]).toEqual([2n]);
    expect([...(w.state.roomy.get('other') ?? [])]).toEqual([3n]);
    checkWorld(w);
  });

  test('counts as occupied the open permits and the runs that still stop (I4)', () => {
    const w = world();
    const a = ready(w, 'a', { slots: 2 });
    w.submit();
    w.submit();
    a.talk();
    const presence = w.state.presences.get(1n as Epoch);
    expect(presence && w.state.occupied(presence)).toBe(2);
    a.end(a.running[0] ?? a.only).talk();
    expect(presence && w.state.occupied(presence)).toBe(1);
  });
});

describe('sets in a map', () => {
  test('are made when first used and dropped when empty', () => {
    const map = new Map<string, Set<number>>();
    add(map, 'a', 1);
    add(map, 'a', 2);
    drop(map, 'a', 1);
    expect(map).toEqual(new Map([['a', new Set([2])]]));
    drop(map, 'a', 2);
    drop(map, 'b', 2);
    expect(map.size).toBe(0);
  });
});
