import { describe, expect, test } from '@jest/globals';
import { later } from '../../src/kit/time.js';
import { live, ready } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { world } from './support.js';

describe('what waits in a queue', () => {
  test('is counted exactly, however little of it is kept in memory, over a restart, too', () => {
    const w = world({ prefetch: 0, limits: { laneWindow: 3 } });
    w.limitQueue('default', 2);
    for (let n = 0; n < 20; n++) w.submit(n % 4 === 0 ? { concurrencyKey: `k${n}` } : {});
    w.submit({ queue: 'other', requiredLabels: { zone: 'a' } });
    w.submit({ startAfter: later(w.wall, 60_000) });
    expect([...w.state.waiting]).toEqual([
      ['default', 20],
      ['other', 1],
    ]);
    w.restart();
    const a = ready(w, 'a', { slots: 9 });
    a.talk();
    expect(a.runs.size).toBe(2);
    expect(w.state.waiting.get('default')).toBe(18);
    checkWorld(w);
  });
});

describe('the limit of a queue', () => {
  test('bounds what runs of it, over all agents, and holds up no other queue', () => {
    const w = world({ prefetch: 0 });
    w.limitQueue('default', 2);
    const a = ready(w, 'a', { slots: 2, queues: ['default', 'other'] });
    const b = ready(w, 'b', { slots: 2, queues: ['default', 'other'] });
    for (let n = 0; n < 5; n++) w.submit();
    const other = w.submit({ queue: 'other' });
    for (const agent of [a, b, a, b]) agent.talk();
    const running = [...w.tasks.values()].filter((task) => task.state === 'running');
    expect(running.filter((task) => task.queue === 'default')).toHaveLength(2);
    expect(w.task(other).state).toBe('running');
    checkWorld(w);
  });

  test('can be raised and lifted: what waits starts at once; a restart remembers it', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a', { slots: 9 });
    w.limitQueue('default', 0);
    for (let n = 0; n < 4; n++) w.submit();
    expect(a.talk().runs.size).toBe(0);
    w.restart();
    a.connect().talk();
    expect(a.runs.size).toBe(0);
    w.limitQueue('default', 1);
    expect(a.talk().runs.size).toBe(1);
    w.limitQueue('default', null);
    expect(a.talk().runs.size).toBe(4);
    checkWorld(w);
  });

  test('that is lowered stops nothing, and refuses what was offered before', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a', { slots: 3 });
    w.submit();
    a.talk();
    a.asking = false;
    const taskId = w.submit();
    expect(a.offers.has(taskId)).toBe(true);
    w.limitQueue('default', 1);
    a.asking = true;
    a.talk();
    expect(w.task(taskId)).toMatchObject({ state: 'queued', tryNumber: 0 });
    expect(a.runs.size).toBe(1);
    a.end(a.only).talk();
    live(w, 30_000, a);
    expect(w.task(taskId).state).toBe('running');
    checkWorld(w);
  });

  test('is refused for more queues than are kept', () => {
    const w = world({ limits: { queues: 1 } });
    expect(w.limitQueue('one', 1)).toMatchObject({ kind: 'queue', queue: { queue: 'one', limit: 1 } });
    expect(w.limitQueue('two', 1)).toMatchObject({ kind: 'refused', fault: { code: 'TOO_MANY_QUEUES' } });
    expect(w.limitQueue('one', 2)).toMatchObject({ kind: 'queue' });
  });
});
