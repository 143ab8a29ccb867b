import { describe, expect, test } from '@jest/globals';
import type { RefusalReason } from '../../src/core/frames.js';
import type { Nonce, TaskId, Token } from '../../src/kit/ids.js';
import { type Agent, live, ready, settleDown } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { H, L, world } from './support.js';

const asksFor = (a: Agent, taskId: TaskId, nonce = 77n) => {
  a.asks.set(nonce as Nonce, taskId);
  a.inventory.put({ phase: 'asked', nonce: nonce as Nonce, taskId });
  a.beat();
  return a.refusals.at(-1)?.reason;
};

describe('a start', () => {
  test('is confirmed durably, with a token and a try number, before the agent hears of it', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.beat();
    const { open, tryNumber, lastToken, lastAgentId, queuedSince } = w.task(taskId);
    expect(w.task(taskId).state).toBe('running');
    expect(open).toMatchObject({ token: 1n, tryNumber: 1, agentId: 'a', epoch: 1n, lost: null });
    expect({ tryNumber, lastToken, lastAgentId, queuedSince }).toEqual({
      tryNumber: 1,
      lastToken: 1n,
      lastAgentId: 'a',
      queuedSince: null,
    });
    expect(a.started).toEqual([1n]);
    expect(w.histories.get(taskId)?.at(-1)).toMatchObject({
      event: 'permitted',
      agentId: 'a',
      token: 1n,
      epoch: 1n,
      offeredAt: w.wall,
    });
  });

  test('is not told when its commit fails, and is decided again with the same token', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    w.failCommits = 3;
    a.beat();
    expect(w.task(taskId).lastToken).toBe(1n);
    expect(a.started).toEqual([1n]);
    checkWorld(w);
  });

  test('asked for again with the same nonce gets the same answer', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit();
    a.deaf = true;
    a.beat().beat({}, true).beat({}, true);
    const tokens = w.frames.flatMap((f) => (f.kind === 'ack' ? f.ack.permits.map((p) => p.token) : []));
    expect(tokens).toEqual([1n, 1n, 1n]);
    a.hear().talk();
    expect(a.started).toEqual([1n]);
    checkWorld(w);
  });

  test('asked for twice in one batch is told once', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit();
    void a.hasNews;
    const frames = w.feed(a.beatInput(), a.beatInput({}, true));
    const permits = frames.flatMap((f) => (f.kind === 'ack' ? f.ack.permits : []));
    expect(permits).toHaveLength(1);
    checkWorld(w);
  });

  test('is not told again beside the acknowledgement of its report, which would start it a second time', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.beat();
    const token = a.only;
    const nonce = a.runs.get(token)?.nonce ?? (0n as Nonce);
    // Sent before the permit arrived, and read together with the report of the run, which was a quick one.
    const late = a.beatInput({ startRequests: [{ nonce, taskId }] });
    const frames = w.feed(late, a.end(token).beatInput());
    expect(frames.flatMap((f) => (f.kind === 'ack' ? f.ack.permits : []))).toEqual([]);
    expect(w.task(taskId).state).toBe('success');
    a.talk();
    expect(a.started).toEqual([token]);
    checkWorld(w);
  });

  test('several are confirmed in one message, and never more than there are slots (I4)', () => {
    const w = world({ prefetch: 4 });
    const a = ready(w, 'a', { slots: 3 });
    for (let n = 0; n < 6; n++) w.submit();
    a.asking = false;
    const wanted = [...a.offers];
    expect(wanted.length).toBeGreaterThan(3);
    for (const [n, taskId] of wanted.entries()) {
      a.asks.set(BigInt(n + 1) as Nonce, taskId);
      a.inventory.put({ phase: 'asked', nonce: BigInt(n + 1) as Nonce, taskId });
    }
    a.beat();
    const permits = w.frames.flatMap((f) =>
      f.kind === 'ack' && f.ack.permits.length > 0 ? [f.ack.permits] : [],
    );
    expect(permits.map((p) => p.length)).toEqual([3]);
    expect(a.refusals.map((r) => r.reason)).toEqual(wanted.slice(3).map(() => 'no_free_slot'));
    checkWorld(w);
  });

  test('counts a run that still stops after its token closed as taking its slot (I4)', () => {
    const w = world();
    const a = ready(w, 'a');
    const first = w.submit();
    a.talk();
    const old = a.only;
    a.vanish();
    w.pass(L);
    w.call((callId) => ({ kind: 'resolve', callId, taskId: first, verdict: 'fail', reason: '' }));
    const second = w.submit();
    a.connect().talk();
    expect(a.stops).toEqual([{ token: old, reason: 'superseded' }]);
    expect(w.task(second).state).toBe('queued');
    a.end(old, 'killed').talk();
    expect(w.task(second).state).toBe('running');
    expect(a.acknowledged.at(-1)).toEqual({ token: old, disposition: 'stale' });
    checkWorld(w);
  });
});

describe('a start request is refused', () => {
  const refusals: { readonly why: string; readonly reason: RefusalReason; readonly ask: () => unknown }[] = [
    {
      why: 'for a task that nobody knows',
      reason: 'task_unknown',
      ask: () => asksFor(ready(world(), 'a'), 't-none' as TaskId),
    },
    {
      why: 'by a cordoned agent (P6)',
      reason: 'cordoned',
      ask: () => {
        const w = world();
        const a = ready(w, 'a');
        const taskId = w.submit();
        w.call((callId) => ({ kind: 'cordon', callId, agentId: a.agentId }));
        return asksFor(a, taskId);
      },
    },
    {
      why: 'by an agent whose lease is over, though nobody has said so yet (P1)',
      reason: 'suspect',
      ask: () => {
        const w = world();
        const a = ready(w, 'a');
        w.submit();
        const late = a.beatInput();
        w.advance(L);
        w.feed(late);
        return a.refusals.at(-1)?.reason;
      },
    },
    {
      why: 'while the inventory is unresolved',
      reason: 'inventory_unresolved',
      ask: () => {
        const w = world();
        const a = ready(w, 'a');
        w.submit();
        void a.hasNews;
        a.beat({ inventoryHash: 12345 });
        return a.refusals.at(-1)?.reason;
      },
    },
    {
      why: 'for a task that runs already',
      reason: 'already_permitted',
      ask: () => {
        const w = world();
        const a = ready(w, 'a');
        const b = ready(w, 'b');
        const taskId = w.submit();
        settleDown(a, b);
        return asksFor(w.task(taskId).lastAgentId === 'a' ? b : a, taskId);
      },
    },
    {
      why: 'for a task that has ended',
      reason: 'not_queued',
      ask: () => {
        const w = world();
        const a = ready(w, 'a');
        const taskId = w.submit();
        w.cancel(taskId);
        return asksFor(a, taskId);
      },
    },
    {
      why: 'for a task in its back-off',
      reason: 'not_queued',
      ask: () => {
        const w = world();
        const a = ready(w, 'a');
        const taskId = w.submit({ retries: 1 });
        a.talk().end(a.only, 'failed').talk();
        return asksFor(a, taskId);
      },
    },
    {
      why: 'for a lost try that is still held (P11)',
      reason: 'already_permitted',
      ask: () => {
        const w = world();
        const a = ready(w, 'a');
        const taskId = w.submit({ partitionPolicy: 'hold' });
        a.talk().vanish();
        w.pass(L);
        return asksFor(ready(w, 'b'), taskId);
      },
    },
    {
      why: 'for what is offered to another agent',
      reason: 'offered_elsewhere',
      ask: () => {
        const w = world();
        const a = ready(w, 'a');
        const taskId = w.submit();
        a.asking = false;
        return asksFor(ready(w, 'b'), taskId);
      },
    },
    {
      why: 'for what was not offered',
      reason: 'not_offered',
      ask: () => {
        const w = world();
        const a = ready(w, 'a');
        return asksFor(a, w.submit({ queue: 'elsewhere' }));
      },
    },
    {
      why: 'while the store is known to have lost commits (P18)',
      reason: 'recovering',
      ask: () => {
        const w = world();
        const a = ready(w, 'a');
        w.submit();
        const b = ready(w, 'b');
        b.cut();
        b.highestToken = 50n as Token;
        void a.hasNews;
        w.feed(b.helloInput(), a.beatInput());
        return a.refusals.at(-1)?.reason;
      },
    },
    {
      why: 'with a nonce whose permit belongs to a session that is over',
      reason: 'closed',
      ask: () => {
        const w = world();
        const a = ready(w, 'a');
        const taskId = w.submit({ partitionPolicy: 'hold' });
        a.talk();
        const nonce = a.runs.get(a.only)?.nonce ?? 0n;
        a.vanish();
        w.pass(L);
        const presence = a.connect().epoch;
        expect(presence).toBe(2n);
        w.feed({ kind: 'tick' });
        a.beat({ startRequests: [{ nonce: nonce as Nonce, taskId }] });
        return w.task(taskId).open?.epoch === 2n ? 'closed' : 'not adopted';
      },
    },
  ];

  for (const { why, reason, ask } of refusals) {
    test(`${reason}: ${why}`, () => expect(ask()).toBe(reason));
  }

  test('when it comes on an older stream of the session (P5)', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    const old = a.beatInput();
    a.connect();
    w.feed(old);
    expect(w.task(taskId).state).toBe('queued');
    a.talk();
    expect(w.task(taskId).state).toBe('running');
    expect(a.started).toHaveLength(1);
    checkWorld(w);
  });

  test('when another coordinator holds the session', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    w.coordinatorId = 'coordinator-2';
    a.beat();
    expect(a.refusals.at(-1)?.reason).toBe('suspect');
    expect(w.task(taskId).state).toBe('queued');
  });
});

describe('a permit under a live lease', () => {
  test('that was told on a lost stream is told again on the next one, to the same nonce', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.deaf = true;
    a.beat().cut();
    a.deaf = false;
    a.unread.length = 0;
    a.connect().talk();
    expect(a.started).toEqual([1n]);
    expect(w.task(taskId)).toMatchObject({ state: 'running', tryNumber: 1 });
    checkWorld(w);
  });

  test('that the agent answers with "never started" requeues its task with a back-off and counts nothing', () => {
    const w = world({}, 3);
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.deaf = true;
    a.beat();
    a.gateShut = true;
    a.hear().talk();
    expect(a.started).toEqual([]);
    expect(w.task(taskId)).toMatchObject({
      state: 'queued',
      tryNumber: 0,
      neverStarted: 1,
      losses: [],
      open: null,
    });
    expect(w.task(taskId).notBefore).not.toBeNull();
    a.gateShut = false;
    live(w, H, a);
    a.talk();
    expect(w.task(taskId)).toMatchObject({ state: 'running', tryNumber: 1 });
    checkWorld(w);
  });
});
