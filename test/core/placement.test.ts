import { describe, expect, test } from '@jest/globals';
import { observe } from '../../src/core/decide.js';
import { canServe } from '../../src/core/placement.js';
import { live, ready, settleDown } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { H, L, world } from './support.js';

describe('who may be offered a task (I4)', () => {
  const session = {
    kind: 'worker',
    queues: ['q'],
    labels: { gpu: 'yes', zone: 'b' },
    handlers: ['resize'],
  } as const;
  const table = [
    ['its queue is served', session, 'q', {}, true],
    ['its handler is there', session, 'q', {}, true, 'resize'],
    ['its handler is another', session, 'q', {}, false, 'ping'],
    ['a worker without handlers', { ...session, handlers: [] }, 'q', {}, false, 'resize'],
    ['another queue', session, 'other', {}, false],
    ['its labels are there', session, 'q', { gpu: 'yes' }, true],
    ['a label has another value', session, 'q', { gpu: 'no' }, false],
    ['a label is missing', session, 'q', { gpu: 'yes', disk: 'ssd' }, false],
    ['a triggerer', { ...session, kind: 'triggerer' }, 'q', {}, false],
    ['a DAG processor', { ...session, kind: 'dag_processor' }, 'q', {}, false],
  ] as const;
  for (const [claim, candidate, queue, requiredLabels, answer, handler = ''] of table) {
    const needs = { queue, requiredLabels, handler };
    test(`${claim}: ${answer ? 'yes' : 'no'}`, () => expect(canServe(candidate, needs)).toBe(answer));
  }
});

describe('offers', () => {
  test('go by priority, then by age, over all lanes of the agent’s queues', () => {
    const w = world({ prefetch: 0 });
    const order = [
      w.submit({ priority: 0 }),
      w.submit({ priority: 5, queue: 'other' }),
      w.submit({ priority: 5 }),
      w.submit({ priority: 9, requiredLabels: { gpu: 'yes' } }),
      w.submit({ priority: 10, requiredLabels: { gpu: 'no' } }),
    ];
    const a = ready(w, 'a', { queues: ['default', 'other'], labels: { gpu: 'yes' } });
    const ran: string[] = [];
    while (a.runs.size > 0) {
      ran.push(a.runs.get(a.only)?.taskId ?? '');
      a.end(a.only).talk();
    }
    expect(ran).toEqual([order[3], order[1], order[2], order[0]]);
    checkWorld(w);
  });

  test('fill the free slots of all agents in turn, and never more than there are', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a', { slots: 2 });
    const b = ready(w, 'b', { slots: 2 });
    a.asking = b.asking = false;
    for (let n = 0; n < 6; n++) w.submit();
    expect([a.offers.size, b.offers.size]).toEqual([2, 2]);
    w.submit();
    expect([a.offers.size, b.offers.size]).toEqual([2, 2]);
    checkWorld(w);
  });

  test('make one lane’s head never block another lane', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit({ priority: 100, requiredLabels: { gpu: 'yes' } });
    const taskId = w.submit();
    a.talk();
    expect(w.task(taskId).state).toBe('running');
  });

  test('that nobody answers end after 2 H, and the task is offered again', () => {
    const w = world();
    const a = ready(w, 'a');
    const b = ready(w, 'b');
    a.asking = b.asking = false;
    const taskId = w.submit();
    const [holder, other] = a.offers.has(taskId) ? [a, b] : [b, a];
    live(w, 2 * H - 1_000, a, b);
    expect(holder.offers.has(taskId)).toBe(true);
    live(w, 1_000, a, b);
    expect([holder.offers.has(taskId), other.offers.has(taskId)]).toEqual([false, true]);
    checkWorld(w);
  });

  test('made again to the same agent in the message that ends the old one are not undone by it', () => {
    const w = world();
    const a = ready(w, 'a');
    a.asking = false;
    const taskId = w.submit();
    live(w, 2 * H, a);
    expect(w.state.offered.get(taskId)?.epoch).toBe(a.epoch);
    expect(a.offers.has(taskId)).toBe(true);
    a.asking = true;
    a.talk();
    expect(w.task(taskId).state).toBe('running');
  });

  test('are gone with the stream: a new stream starts with none', () => {
    const w = world();
    const a = ready(w, 'a');
    a.asking = false;
    const taskId = w.submit();
    a.cut();
    expect(w.state.offered.has(taskId)).toBe(false);
    const b = ready(w, 'b');
    expect(w.task(taskId).lastAgentId).toBe(b.agentId);
    checkWorld(w);
  });

  test('respect how many slots the agent says it has', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a', { slots: 4 });
    a.beat({ freeSlots: 1 });
    a.asking = false;
    for (let n = 0; n < 4; n++) w.submit();
    expect(a.offers.size).toBe(1);
  });
});

describe('a refused start request', () => {
  test('ends its offer: the task is offered anew when there is room, to whoever has it', () => {
    const w = world();
    const a = ready(w, 'a', { slots: 2 });
    a.asking = false;
    const taskId = w.submit();
    expect(a.offers.has(taskId)).toBe(true);
    w.limitQueue('default', 0);
    a.asking = true;
    a.talk();
    expect(a.refusals.map(({ reason }) => reason)).toEqual(['concurrency_limit']);
    expect(w.state.offered.has(taskId)).toBe(false);
    w.limitQueue('default', null);
    a.talk();
    expect(w.task(taskId).state).toBe('running');
    checkWorld(w);
  });

  test('for a slot whose run has an unrecorded end is not made again and again', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit();
    a.talk();
    const second = w.submit();
    expect(a.offers.has(second)).toBe(true);
    // The store is full: what the agent says is heard, and nothing of it recorded.
    a.asking = false;
    observe(w.state, a.end(a.only).beatInput());
    a.asking = true;
    a.talk();
    expect(a.refusals.map(({ reason }) => reason)).toEqual(['no_free_slot']);
    expect([w.state.offered.has(second), a.offers.has(second)]).toEqual([false, false]);
    a.beat({}, true).talk();
    expect(w.task(second).state).toBe('running');
    checkWorld(w);
  });
});

describe('prefetch', () => {
  test('offers one task beyond the slots when no other agent has a free one', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskIds = [w.submit(), w.submit(), w.submit()];
    a.talk();
    expect(w.task(taskIds[0] ?? w.submit()).state).toBe('running');
    expect([...a.offers]).toEqual([taskIds[1]]);
    a.end(a.only).talk();
    expect(w.task(taskIds[1] ?? w.submit()).state).toBe('running');
    checkWorld(w);
  });

  test('is withdrawn when another agent has a free slot', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit();
    const second = w.submit();
    a.talk();
    expect(a.offers.has(second)).toBe(true);
    const b = ready(w, 'b');
    expect(a.offers.has(second)).toBe(false);
    expect(w.task(second).lastAgentId).toBe(b.agentId);
    checkWorld(w);
  });

  test('moves as many as the free agent has room for at once', () => {
    const w = world({ prefetch: 3 });
    const a = ready(w, 'a');
    const taskIds = [1, 2, 3, 4].map(() => w.submit());
    a.talk();
    expect(a.offers.size).toBe(3);
    const b = ready(w, 'b', { slots: 3 });
    expect(b.runs.size).toBe(3);
    expect(a.offers.size).toBe(0);
    expect(taskIds.every((taskId) => w.task(taskId).state === 'running')).toBe(true);
    checkWorld(w);
  });

  test('does not end after 2 H: it waits for the slot', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit();
    const second = w.submit();
    a.talk();
    live(w, 2 * L, a);
    expect(a.offers.has(second)).toBe(true);
  });

  test('grows to as many as the agent has ended at once, so that one message tells and asks', () => {
    const w = world();
    const a = ready(w, 'a', { slots: 3 });
    const taskIds = Array.from({ length: 12 }, () => w.submit());
    a.talk();
    expect(a.offers.size).toBe(1);
    for (const token of a.running) a.end(token);
    a.talk();
    expect([a.runs.size, a.offers.size]).toEqual([3, 3]);
    for (const token of a.running) a.end(token);
    // One message tells three ends and asks for three starts, and its answer permits them.
    a.beat();
    expect(taskIds.map((taskId) => w.task(taskId).state).filter((state) => state === 'running')).toHaveLength(
      3,
    );
    checkWorld(w);
  });

  test('is the policy’s again when a second has gone by without an end', () => {
    const w = world();
    const a = ready(w, 'a', { slots: 3 });
    for (let n = 0; n < 9; n++) w.submit();
    a.talk();
    for (const token of a.running) a.end(token);
    a.talk();
    expect([a.runs.size, a.offers.size]).toEqual([3, 3]);
    const urgent = w.submit({ priority: 9 });
    expect(a.offers.has(urgent)).toBe(false);
    live(w, H, a);
    expect(a.offers.size).toBe(1);
    for (const token of a.running.slice(0, 1)) a.end(token);
    a.talk();
    // What was taken back waits behind it again.
    expect([...a.offers]).toEqual([urgent]);
    checkWorld(w);
  });

  test('of none offers nothing beyond the slots', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a');
    w.submit();
    const second = w.submit();
    a.talk();
    expect(a.offers.has(second)).toBe(false);
  });
});

describe('a long lane', () => {
  test('is kept as a window and paged from the store, in order', () => {
    const w = world({ prefetch: 0, limits: { laneWindow: 4 } });
    const taskIds = Array.from({ length: 25 }, (_, n) => w.submit({ priority: n % 3 }));
    expect(w.state.lanes.get('default')?.tasks.length).toBe(4);
    const a = ready(w, 'a', { slots: 2 });
    const ran: string[] = [];
    for (let n = 0; n < 60 && a.runs.size > 0; n++) {
      const [token] = a.running;
      if (token === undefined) break;
      ran.push(a.runs.get(token)?.taskId ?? '');
      a.end(token).talk();
    }
    const expected = [2, 1, 0].flatMap((rest) => taskIds.filter((_, n) => n % 3 === rest));
    expect(ran).toEqual(expected);
    expect(w.state.lanes.size).toBe(0);
    checkWorld(w);
  });

  test('waiting while nobody serves it costs a window, and starts when somebody does', () => {
    const w = world({ limits: { laneWindow: 2 } });
    for (let n = 0; n < 10; n++) w.submit({ queue: 'slow' });
    w.restart();
    const a = ready(w, 'a', { queues: ['slow'], slots: 10 });
    settleDown(a);
    expect(a.runs.size).toBe(10);
    checkWorld(w);
  });
});

describe('concurrency keys', () => {
  const keyed = { concurrencyKey: 'k' };

  test('let one task of a key run at once by default, over all agents and queues', () => {
    const w = world();
    const a = ready(w, 'a', { slots: 4, queues: ['default', 'other'] });
    const b = ready(w, 'b', { slots: 4, queues: ['default', 'other'] });
    const taskIds = [w.submit(keyed), w.submit({ ...keyed, queue: 'other' }), w.submit(keyed)];
    const free = w.submit();
    const order: string[] = [];
    for (let n = 0; n < 3; n++) {
      settleDown(a, b);
      const running = taskIds.filter((taskId) => w.task(taskId).state === 'running');
      expect(running).toHaveLength(1);
      order.push(...running);
      const [holder] = [a, b].filter(({ runs }) =>
        [...runs.values()].some((run) => running.includes(run.taskId)),
      );
      const [token] = [...(holder?.runs ?? [])].find(([, run]) => running.includes(run.taskId)) ?? [];
      if (token !== undefined) holder?.end(token).talk();
    }
    expect(order).toEqual(taskIds);
    expect(w.task(free).state).toBe('running');
    checkWorld(w);
  });

  test('that wait hold up nobody else, however many tasks of them come first', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a', { slots: 2 });
    for (let n = 0; n < 50; n++) w.submit({ ...keyed, priority: 9 });
    const free = w.submit();
    a.talk();
    expect(w.task(free).state).toBe('running');
    expect(a.runs.size).toBe(2);
    checkWorld(w);
  });

  test('count lost tries until they are released (P11)', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a', { slots: 2 });
    const held = w.submit({ ...keyed, partitionPolicy: 'single_run' });
    a.talk();
    const next = w.submit(keyed);
    a.vanish();
    const b = ready(w, 'b', { slots: 2 });
    live(w, L, b);
    expect(w.task(held)).toMatchObject({ state: 'running', open: { lost: {} } });
    expect(w.task(next).state).toBe('queued');
    live(w, 30_000, b);
    expect(w.task(held)).toMatchObject({ state: 'running', open: { agentId: 'b', lost: null } });
    expect(w.task(next).state).toBe('queued');
    checkWorld(w);
  });

  test('never have more open tokens than their limit: a released one is closed for a permit that needs its place', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a');
    const lost = w.submit(keyed);
    a.talk();
    const urgent = w.submit({ ...keyed, priority: 1_000 });
    a.cut();
    live(w, L);
    expect(w.task(lost)).toMatchObject({ state: 'queued', open: { lost: { heldUntil: null } } });
    const b = ready(w, 'b');
    expect(w.task(urgent).state).toBe('running');
    expect(w.task(lost)).toMatchObject({ state: 'queued', open: null });
    expect(w.events(lost).slice(-1)).toEqual(['try_lost']);
    a.connect().talk();
    expect(w.task(lost).state).toBe('queued');
    b.end(b.only).talk();
    settleDown(a, b);
    expect(w.task(lost)).toMatchObject({ state: 'running', tryNumber: 2 });
    checkWorld(w);
  });

  test('with a limit of their own let so many run; the smallest limit at hand counts where tasks differ', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a', { slots: 9 });
    for (let n = 0; n < 5; n++) w.submit({ ...keyed, concurrencyLimit: 3 });
    a.talk();
    expect(a.runs.size).toBe(3);
    const strict = w.submit({ ...keyed, concurrencyLimit: 1, priority: 5 });
    const [first] = a.runs.keys();
    if (first !== undefined) a.end(first).talk();
    expect([w.task(strict).state, a.runs.size]).toEqual(['queued', 2]);
    for (const token of [...a.runs.keys()]) a.end(token).talk();
    expect(w.task(strict).state).toBe('running');
    expect(a.runs.size).toBe(1);
    checkWorld(w);
  });

  test('survive a restart', () => {
    const w = world();
    const a = ready(w, 'a', { slots: 4 });
    for (let n = 0; n < 3; n++) w.submit(keyed);
    a.talk();
    w.restart();
    a.connect().talk();
    expect(a.runs.size).toBe(1);
    a.end(a.only).talk();
    expect(a.runs.size).toBe(1);
    checkWorld(w);
  });

  test('are bounded in number: a submission beyond is refused', () => {
    const w = world({ limits: { keys: 2 } });
    for (const concurrencyKey of ['a', 'b', 'b']) w.submit({ concurrencyKey });
    const tasks = [w.newTask({ concurrencyKey: 'c' })];
    const refused = w.call((callId) => ({ kind: 'submit', callId, tasks }));
    expect(refused).toMatchObject({ kind: 'refused', fault: { code: 'TOO_MANY_KEYS' } });
  });

  test('by the thousand take one comparison an offer: only the first lane of a group is looked at', () => {
    const w = world({ prefetch: 0 });
    for (let n = 0; n < 2_000; n++) w.submit({ concurrencyKey: `key-${n}` });
    const [group, ...more] = w.state.lanes.inQueue('default');
    expect([group?.lanes, more]).toEqual([2_000, []]);
    const a = ready(w, 'a', { slots: 3 });
    expect([...a.runs.values()].map(({ taskId }) => w.task(taskId).concurrencyKey)).toEqual([
      'key-0',
      'key-1',
      'key-2',
    ]);
    expect(group?.open.size).toBe(1_997);
  });
});
