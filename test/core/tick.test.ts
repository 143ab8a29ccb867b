import { describe, expect, test } from '@jest/globals';
import { later } from '../../src/kit/time.js';
import { live, ready, settleDown } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { H, L, world } from './support.js';

const T = 600_000;

describe('a lease', () => {
  test('ends L after the last heartbeat, not a millisecond before (P1, I5)', () => {
    const w = world();
    const a = ready(w, 'a');
    w.advance(L - 1);
    w.tick();
    expect(w.session(a.agentId).state).toBe('live');
    w.advance(1);
    w.failCommits = 1;
    w.tick();
    expect(w.session(a.agentId)).toMatchObject({ state: 'failed', endReason: 'agent_lost' });
    expect(w.noted('agent_failed')).toMatchObject([{ agentId: 'a', silentMs: L, lostRuns: 0 }]);
    checkWorld(w);
  });

  test('saved by a heartbeat that is read after a failed commit: what was decided is decided again', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    const beat = a.beatInput();
    w.advance(L);
    w.feed({ kind: 'tick' }, { ...beat, at: w.now } as typeof beat);
    expect(w.session(a.agentId).state).toBe('live');
    expect(w.task(taskId).open?.lost).toBeNull();
  });
});

describe('a silent stream', () => {
  test('is closed after 1.5 H and makes its agent SUSPECT; the lease goes on to its own end (P4)', () => {
    const w = world();
    const a = ready(w, 'a');
    w.advance(1.5 * H - 1);
    w.tick();
    expect(a.closed).toBeNull();
    w.advance(1);
    w.tick();
    expect(a.closed).toBe('silent');
    expect(w.noted('agent_suspect')).toHaveLength(1);
    expect(w.session(a.agentId).state).toBe('live');
    const taskId = w.submit();
    expect(w.state.offered.has(taskId)).toBe(false);
    checkWorld(w);
  });
});

describe('all presences', () => {
  test('are looked at when the first of them can be due, and a few times in each interval of heartbeats', () => {
    const w = world();
    const a = ready(w, 'a');
    w.tick();
    expect(w.state.lookAtPresences).toBe((w.now as number) + H / 5);
    w.advance(H - 1);
    a.beat();
    w.tick();
    w.advance(1);
    const before = w.state.lookAtPresences;
    w.tick();
    expect(w.state.lookAtPresences).toBe(before);
    w.advance(1.5 * H - 2);
    w.tick();
    expect(w.state.lookAtPresences).toBe((w.now as number) + 1);
  });

  test('are looked at sooner for one that has come, whose silence is too long sooner', () => {
    const w = world({ heartbeatIntervalMs: 40 * H });
    ready(w, 'a');
    w.tick();
    const { lookAtPresences } = w.state;
    w.policy = { ...w.policy, heartbeatIntervalMs: H };
    ready(w, 'b');
    expect(w.state.lookAtPresences).toBe((w.now as number) + 1.5 * H);
    expect(w.state.lookAtPresences).toBeLessThan(lookAtPresences as number);
    w.advance(1.5 * H);
    w.tick();
    expect(w.noted('agent_suspect')).toMatchObject([{ agentId: 'b' }]);
  });

  test('are looked at again with the next tick while one that is due cannot be decided', () => {
    const w = world();
    ready(w, 'a');
    w.advance(L);
    w.failCommits = 1;
    w.tick();
    expect(w.noted('agent_failed')).toHaveLength(1);
    checkWorld(w);
  });
});

describe('a delayed task', () => {
  const delayed = (change: object = {}) => {
    const w = world();
    const taskId = w.submit({ startAfter: later(w.wall, 60_000), ...change });
    return { w, taskId };
  };

  test('is scheduled until its instant of the wall clock, then queued; only then its queued time begins', () => {
    const { w, taskId } = delayed({ queuedTimeoutMs: 60_000 });
    const a = ready(w, 'a');
    live(w, 59_000, a);
    expect(w.task(taskId)).toMatchObject({ state: 'scheduled', queuedSince: null });
    live(w, 1_000, a);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', queuedSince: w.service });
    expect(w.events(taskId)).toEqual(['submitted', 'queued']);
    a.talk();
    expect(w.task(taskId).state).toBe('running');
    checkWorld(w);
  });

  test('is queued at the first tick after an outage that its instant fell into', () => {
    const { w, taskId } = delayed();
    w.restart(3_600_000);
    w.tick();
    expect(w.task(taskId).state).toBe('queued');
  });

  test('follows a wall clock that jumps: forward it is queued early, backward it waits; once queued it stays so', () => {
    const { w, taskId } = delayed();
    w.wall = later(w.wall, -3_600_000);
    w.pass(60_000);
    expect(w.task(taskId).state).toBe('scheduled');
    w.wall = later(w.wall, 3_600_000);
    w.tick();
    expect(w.task(taskId).state).toBe('queued');
    w.wall = later(w.wall, -3_600_000);
    w.pass(1_000);
    expect(w.task(taskId).state).toBe('queued');
  });

  test('can be cancelled before its time', () => {
    const { w, taskId } = delayed();
    w.cancel(taskId);
    expect(w.task(taskId).state).toBe('cancelled');
    w.pass(120_000, 10_000);
    expect(w.events(taskId)).toEqual(['submitted', 'cancelled']);
  });

  test('whose instant has passed at its submission is queued at once', () => {
    const w = world();
    const taskId = w.submit({ startAfter: w.wall });
    expect(w.task(taskId)).toMatchObject({ state: 'queued', queuedSince: w.service });
  });
});

describe('a task with an expiry', () => {
  const limited = (w = world(), change: object = {}) =>
    w.submit({ startBefore: later(w.wall, 30_000), retries: 5, ...change });

  test('fails as expired when no try was permitted before it, whatever its retries', () => {
    const w = world();
    const taskId = limited(w);
    w.pass(29_500);
    expect(w.task(taskId).state).toBe('queued');
    w.pass(500);
    expect(w.task(taskId)).toMatchObject({ state: 'failed', reason: 'expired' });
    expect(w.events(taskId)).toEqual(['submitted', 'expired']);
    checkWorld(w);
  });

  test('whose first try was permitted in time goes on, also with a later try', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = limited(w);
    a.talk();
    live(w, 20_000, a);
    a.end(a.only, 'failed').talk();
    live(w, 20_000, a);
    expect(w.task(taskId)).toMatchObject({ state: 'running', tryNumber: 2 });
    expect(w.events(taskId)).not.toContain('expired');
  });

  test('is not permitted once it is too late, even before a tick has failed it', () => {
    const w = world();
    const a = ready(w, 'a');
    a.asking = false;
    const taskId = limited(w);
    expect(a.offers.has(taskId)).toBe(true);
    w.wall = later(w.wall, 30_000);
    a.asking = true;
    a.talk();
    expect(w.task(taskId)).toMatchObject({ state: 'queued', tryNumber: 0 });
    w.tick();
    expect(w.task(taskId).reason).toBe('expired');
    checkWorld(w);
  });

  test('expires while it is scheduled when an outage covers both instants', () => {
    const w = world();
    const taskId = limited(w, { startAfter: later(w.wall, 10_000) });
    w.restart(3_600_000);
    w.tick();
    expect(w.events(taskId)).toEqual(['submitted', 'expired']);
  });
});

describe('queued time (P12)', () => {
  test('of strictly more than the timeout fails the task, whatever its retries', () => {
    const w = world();
    const taskId = w.submit({ retries: 5 });
    w.advance(T);
    w.tick();
    expect(w.task(taskId).state).toBe('queued');
    w.advance(1);
    w.tick();
    expect(w.task(taskId)).toMatchObject({ state: 'failed', reason: 'queued_timeout', retriesUsed: 0 });
    checkWorld(w);
  });

  test('goes on over an agent that is lost before the start', () => {
    const w = world();
    const a = ready(w, 'a');
    a.asking = false;
    const taskId = w.submit();
    a.vanish();
    w.pass(L);
    w.advance(T - L);
    w.tick();
    expect(w.task(taskId).state).toBe('queued');
    w.advance(1);
    w.tick();
    expect(w.task(taskId).reason).toBe('queued_timeout');
  });

  test('goes on over a permit that was never started, the time of the permit not counted', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    w.advance(1_000);
    a.deaf = true;
    a.beat();
    live(w, 2_000, a);
    a.gateShut = true;
    a.hear().talk();
    expect(w.task(taskId)).toMatchObject({ state: 'queued', queuedMs: 1_000, queuedSince: w.service });
    live(w, T - 1_000, a);
    expect(w.task(taskId).state).toBe('queued');
    live(w, 1, a);
    expect(w.task(taskId).reason).toBe('queued_timeout');
  });

  test('goes on over a run that comes back and turns out never to have been started', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk().vanish();
    w.pass(L);
    w.advance(1_000);
    a.inventory.put({ phase: 'void', token: a.only, taskId });
    a.asking = false;
    a.connect();
    expect(w.events(taskId)).toContain('adopted');
    a.end(a.only, 'never_started').talk();
    expect(w.task(taskId)).toMatchObject({ state: 'queued', queuedMs: 1_000, queuedSince: w.service });
    checkWorld(w);
  });

  test('starts anew with a release', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    w.advance(2_000);
    a.beat().talk().vanish();
    w.pass(L);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', queuedMs: 0 });
    expect(w.task(taskId).queuedSince).toBe(w.service);
  });

  test('starts anew with a retry', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ retries: 1 });
    w.advance(2_000);
    a.beat().talk();
    a.asking = false;
    a.end(a.only, 'failed').talk();
    live(w, 2_000, a);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', queuedMs: 0 });
  });

  test('stands still while no coordinator serves', () => {
    const w = world();
    const taskId = w.submit();
    w.restart(10 * T);
    w.tick();
    expect(w.task(taskId).state).toBe('queued');
  });

  test('fails a task whose lost try was released, and the try ends as lost', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk().vanish();
    w.pass(L);
    w.advance(T + 1);
    w.tick();
    expect(w.task(taskId)).toMatchObject({ state: 'failed', reason: 'queued_timeout', open: null });
    expect(w.events(taskId).slice(-2)).toEqual(['try_lost', 'queued_timeout']);
    checkWorld(w);
  });

  test('waits for an agent that serves the queue when the policy says so', () => {
    const w = world({ queuedTimeoutWaitsForAgent: true });
    const taskId = w.submit();
    w.advance(2 * T);
    w.tick();
    expect(w.task(taskId).state).toBe('queued');
    checkWorld(w);
    const a = ready(w, 'a');
    a.talk();
    expect(w.task(taskId).state).toBe('running');
  });

  test('does not wait when an agent serves the queue', () => {
    const w = world({ queuedTimeoutWaitsForAgent: true });
    const a = ready(w, 'a');
    a.asking = false;
    const taskId = w.submit();
    for (let n = 0; n < 121; n++) live(w, H, a);
    expect(w.task(taskId).reason).toBe('queued_timeout');
  });
});

describe('a back-off', () => {
  test('of a retry ends at its time: queued again, counted from then', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ retries: 1, retryBackoff: { initialMs: 10_000, maxMs: 10_000 } });
    a.talk();
    a.asking = false;
    a.end(a.only, 'failed').talk();
    const { notBefore } = w.task(taskId);
    const wait = (notBefore as unknown as number) - (w.service as number);
    expect(wait).toBeGreaterThanOrEqual(5_000);
    expect(wait).toBeLessThanOrEqual(10_000);
    live(w, wait - 1, a);
    expect(w.task(taskId).state).toBe('up_for_retry');
    live(w, 1, a);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', queuedSince: w.service, notBefore: null });
    checkWorld(w);
  });

  test('of a permit that was never started ends at its time: offered again', () => {
    const w = world({ neverStartedBackoff: { initialMs: 60_000, maxMs: 60_000 } }, 5);
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    a.end(a.only, 'never_started').talk();
    const { notBefore } = w.task(taskId);
    expect(w.state.offered.has(taskId)).toBe(false);
    live(w, (notBefore as unknown as number) - (w.service as number), a);
    a.talk();
    expect(w.task(taskId)).toMatchObject({ state: 'running', tryNumber: 1, neverStarted: 1 });
    checkWorld(w);
  });
});

describe('an execution timeout', () => {
  test('is the agent’s business first; ours, as a request, one lease and a grace later', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ executionTimeoutMs: 20_000, killGraceMs: 5_000, retries: 1 });
    a.talk();
    live(w, 20_000 + 5_000 + L - 1, a);
    expect(w.task(taskId).stopRequest).toBeNull();
    live(w, 1, a);
    expect(w.task(taskId).stopRequest?.kind).toBe('timeout');
    expect(a.stops).toMatchObject([{ reason: 'timeout' }]);
    a.end(a.only, 'killed').talk();
    expect(w.task(taskId)).toMatchObject({ state: 'up_for_retry', reason: 'execution_timeout', losses: [] });
    checkWorld(w);
  });
});

describe('one tick', () => {
  test('deals with every deadline, and not twice with a task that the batch has changed', () => {
    const w = world();
    const taskIds = [w.submit(), w.submit(), w.submit()];
    w.advance(T + 1);
    w.feed({ kind: 'cancel', callId: 1, taskId: taskIds[0] ?? w.submit(), reason: '' }, { kind: 'tick' });
    expect(taskIds.map((taskId) => w.task(taskId).reason)).toEqual([
      'cancelled',
      'queued_timeout',
      'queued_timeout',
    ]);
    checkWorld(w);
  });

  test('that fails several agents judges the storm brake over all of them', () => {
    const w = world();
    const workers = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ready(w, name));
    for (const each of workers) void [w.submit(), each];
    settleDown(...workers);
    live(w, L, ...workers);
    for (const each of workers.slice(0, 4)) each.vanish();
    live(w, L, ...workers.slice(4));
    expect(w.noted('storm_brake')).toMatchObject([{ failed: 4, alive: 6 }]);
    const held = [...w.tasks.values()].filter((task) => task.open?.lost?.rule === 'storm_brake');
    expect(held).toHaveLength(4);
    expect(held[0]?.open?.lost?.heldUntil).toBe(later(w.service, L));
    checkWorld(w);
  });
});
