import { describe, expect, test } from '@jest/globals';
import type { Epoch } from '../../src/kit/ids.js';
import { type Agent, live, ready } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { H, L, type World, world } from './support.js';

const presenceOf = (w: World, a: Agent) => {
  const presence = w.state.presences.get(a.epoch);
  if (presence === undefined) throw new Error('no presence');
  return presence;
};

/** A permit was told, and the agent has forgotten it: it has applied the message, and holds neither token nor nonce. */
function forgotten() {
  const w = world();
  const a = ready(w, 'a');
  const taskId = w.submit();
  a.beat();
  const token = a.only;
  a.forgetRun(token);
  a.started.length = 0;
  return { w, a, taskId, token };
}

describe('a heartbeat', () => {
  test('renews the lease from its receipt, and is acknowledged by its number', () => {
    const w = world();
    const a = ready(w, 'a');
    w.advance(3_000);
    a.beat();
    expect(presenceOf(w, a).leaseEnds).toBe((w.now as number) + L);
    expect(w.frames.at(-1)).toMatchObject({ kind: 'ack', ack: { received: presenceOf(w, a).received } });
  });

  test('that says nothing new writes nothing', () => {
    const w = world();
    const a = ready(w, 'a');
    const { version } = w.session(a.agentId);
    for (let n = 0; n < 5; n++) a.beat();
    expect(w.session(a.agentId).version).toBe(version);
  });

  test('with a number that was seen before renews nothing', () => {
    const w = world();
    const a = ready(w, 'a');
    const beat = a.beatInput();
    w.feed(beat);
    const { leaseEnds } = presenceOf(w, a);
    w.advance(1_000);
    w.feed({ ...beat, at: w.now } as typeof beat);
    expect(presenceOf(w, a).leaseEnds).toBe(leaseEnds);
  });

  test('is not acknowledged once its session has failed (P1)', () => {
    const w = world();
    const a = ready(w, 'a');
    const late = a.beatInput();
    w.advance(L);
    w.tick();
    const said = w.frames.length;
    w.feed(late);
    expect(w.frames).toHaveLength(said);
    expect(w.session(a.agentId).state).toBe('failed');
  });

  test('that was read too late is not acknowledged in the batch that decides to fail (P1)', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    const late = a.beatInput();
    w.advance(L);
    const frames = w.feed({ kind: 'tick' }, late);
    expect(w.session(a.agentId).state).toBe('failed');
    expect(frames.filter((frame) => frame.kind === 'ack')).toEqual([]);
    expect(w.task(taskId).state).toBe('queued');
    checkWorld(w);
  });

  test('read before the lease is judged keeps the session, whatever its place in the batch', () => {
    const w = world();
    const a = ready(w, 'a');
    w.advance(L - 1);
    const late = a.beatInput();
    w.advance(1_000);
    w.feed({ kind: 'tick' }, late);
    expect(w.session(a.agentId).state).toBe('live');
  });
});

describe('a permit that is not seen as held (P13)', () => {
  test('is told again, once an inventory that has applied its message does not show it', () => {
    const { w, a, taskId, token } = forgotten();
    a.beat();
    expect(presenceOf(w, a).unresolved).toBe(true);
    a.beat();
    expect(presenceOf(w, a).unresolved).toBe(false);
    const told = w.frames.flatMap((f) => (f.kind === 'ack' ? f.ack.permits : []));
    expect(told.map((permit) => permit.token)).toEqual([token, token]);
    a.talk();
    expect(a.started).toEqual([]);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', tryNumber: 0, losses: [] });
    checkWorld(w);
  });

  test('is not told again while its message is on its way', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit();
    a.deaf = true;
    a.beat().beat().beat();
    const told = w.frames.flatMap((f) => (f.kind === 'ack' ? f.ack.permits : []));
    expect(told).toHaveLength(1);
  });

  const silent = () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.deaf = true;
    a.beat();
    live(w, 2 * H - 1_000, a);
    return { w, a, taskId };
  };
  const voided = (w: World) => w.frames.flatMap((f) => (f.kind === 'ack' ? f.ack.voidTokens : []));

  test('is voided after 2 H; the agent that shows it held keeps it', () => {
    const { w, a, taskId } = silent();
    expect(voided(w)).toEqual([]);
    live(w, 1_000, a);
    expect(voided(w)).toEqual([1n]);
    a.hear().talk();
    expect(a.started).toEqual([1n]);
    live(w, 2 * H, a);
    expect(w.task(taskId).state).toBe('running');
    expect(a.closed).toBeNull();
    checkWorld(w);
  });

  test('is voided after 2 H; "never started" is the answer of an agent that does not know it', () => {
    const { w, a, taskId } = silent();
    live(w, 1_000, a);
    const ack = a.unread.findLast((frame) => frame.kind === 'ack' && frame.ack.voidTokens.length > 0);
    a.unread.length = 0;
    a.deaf = false;
    a.asking = false;
    if (ack !== undefined) a.receive(ack);
    a.talk();
    expect(w.task(taskId)).toMatchObject({ state: 'queued', tryNumber: 0, losses: [] });
    expect(a.started).toEqual([]);
    checkWorld(w);
  });

  test('counts as voided only when the void token was sent: a failed commit sends nothing', () => {
    const { w, a } = silent();
    w.advance(1_000);
    a.beat();
    w.failCommits = 2;
    w.tick();
    expect(voided(w)).toEqual([1n]);
    expect(presenceOf(w, a).unshown.get(1n as never)?.voidedAt).toBe(w.now);
  });

  test('closes the stream when the void token stays unanswered for H; a Hello without it is the answer', () => {
    const { w, a, taskId } = silent();
    live(w, 1_000, a);
    live(w, H - 1_000, a);
    expect(a.streamId).not.toBeNull();
    live(w, 1_000, a);
    expect(a.unread.at(-1)).toMatchObject({ kind: 'close', reason: 'permit_unanswered' });
    a.vanish().unread.length = 0;
    a.deaf = false;
    a.asks.clear();
    a.inventory.replace([]);
    a.connect();
    expect(w.task(taskId)).toMatchObject({ state: 'queued', open: null, tryNumber: 0 });
    checkWorld(w);
  });

  test('has its 2 H, and the void token its H, from when they are told: what a slow commit takes is nobody’s silence', () => {
    const { w, a } = silent();
    w.advance(1_000);
    a.beat();
    w.commitMs = H + 1_000;
    w.tick();
    w.commitMs = 0;
    expect(voided(w)).toEqual([1n]);
    const closings = () => w.frames.filter((frame) => frame.kind === 'close');
    live(w, H - 1_000, a);
    expect(closings()).toEqual([]);
    live(w, 1_000, a);
    expect(closings()).toMatchObject([{ reason: 'permit_unanswered' }]);
  });

  test('has no timed end under a live lease: nobody else gets the task, however long it takes', () => {
    const { w, a, taskId } = silent();
    for (let n = 0; n < 20; n++) live(w, 500, a);
    const b = ready(w, 'b');
    live(w, 2_000, a, b);
    expect(w.task(taskId)).toMatchObject({ state: 'running', lastAgentId: 'a', lastToken: 1n });
  });
});

describe('an inventory that differs by count or hash', () => {
  test('is asked for in full, and until then nothing is offered', () => {
    const w = world();
    const a = ready(w, 'a');
    a.beat({ inventoryCount: 7 });
    expect(presenceOf(w, a).unresolved).toBe(true);
    expect(w.frames.at(-1)).toMatchObject({ kind: 'ack', ack: { sendFullInventory: true } });
    expect(w.noted('inventory_mismatch')).toHaveLength(1);
    const taskId = w.submit();
    expect(w.state.offered.has(taskId)).toBe(false);
    a.talk();
    expect(presenceOf(w, a).unresolved).toBe(false);
    expect(w.task(taskId).state).toBe('running');
    checkWorld(w);
  });

  test('takes back what was offered', () => {
    const w = world();
    const a = ready(w, 'a');
    a.asking = false;
    const taskId = w.submit();
    a.beat({ inventoryCount: 7 });
    expect(a.offers.has(taskId)).toBe(false);
    checkWorld(w);
  });

  test('once in, makes a run that vanished a loss at once', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    const token = a.only;
    expect(presenceOf(w, a).shown.has(token)).toBe(true);
    a.forgetRun(token);
    a.asking = false;
    a.beat().beat();
    expect(w.task(taskId)).toMatchObject({ state: 'queued', open: null, reason: 'vanished' });
    expect(w.task(taskId).losses).toHaveLength(1);
    checkWorld(w);
  });

  test('once in, stops runs whose token is not open', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    const entry = { phase: 'running', token: 999n, taskId } as const;
    a.inventory.put(entry as never);
    a.beat().beat();
    expect(a.stops).toEqual([{ token: 999n, reason: 'unknown' }]);
    expect(w.task(taskId).state).toBe('running');
  });
});

describe('a run that is asked to stop (P15)', () => {
  test('is asked again on every tick until its agent shows it stopping', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    a.deaf = true;
    w.cancel(taskId);
    w.pass(1_000);
    const asked = () => w.frames.flatMap((f) => (f.kind === 'ack' ? f.ack.cancellations : [])).length;
    expect(asked()).toBe(3);
    a.hear().talk();
    expect(a.inventory.phase(1n as never)).toBe('stopping');
    w.pass(1_000);
    expect(asked()).toBe(3);
    a.end(1n as never, 'killed').talk();
    expect(w.task(taskId).state).toBe('cancelled');
    checkWorld(w);
  });

  test('keeps what was shown only as long as it is needed', () => {
    const w = world();
    const a = ready(w, 'a');
    for (let n = 0; n < 5; n++) {
      w.submit();
      a.talk().end(a.only).talk();
    }
    a.beat();
    expect(w.state.presences.get(1n as Epoch)?.shown.size).toBe(0);
  });
});
