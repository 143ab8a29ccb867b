import { describe, expect, test } from '@jest/globals';
import type { Token } from '../../src/kit/ids.js';
import { later } from '../../src/kit/time.js';
import { type Agent, agent, live, ready, settleDown, successor } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { L, type World, world } from './support.js';

/** A task that is permitted to `a` in a commit that is then lost. */
function lostPermit(chosen: Parameters<World['submit']>[0] = {}) {
  const w = world();
  const a = ready(w, 'a', { slots: 2 });
  const b = ready(w, 'b', { queues: ['spare', 'default'], slots: 2 });
  for (const one of [a, b]) one.asking = false;
  const taskId = w.submit(chosen);
  const backup = w.backup();
  a.asking = true;
  a.talk();
  settleDown(a, b);
  return { w, a, b, taskId, backup };
}

/** The next permit goes to this agent, and to no other. */
function runs(w: World, one: Agent, ...others: readonly Agent[]): void {
  for (const other of others) other.asking = false;
  one.asking = true;
  live(w, 3 * L, one, ...others);
  settleDown(one, ...others);
}

describe('after lost commits (P18)', () => {
  test('a run whose permit was lost goes on under its token, and its result counts', () => {
    const { w, a, taskId, backup } = lostPermit();
    w.restore(backup);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', lastToken: 0n });
    a.connect().talk();
    expect(a.verdicts).toMatchObject([{ kind: 'keep', token: 1n }]);
    expect(w.task(taskId)).toMatchObject({
      state: 'running',
      tryNumber: 1,
      open: { token: 1n, agentId: 'a' },
    });
    a.end(a.only).talk();
    expect(w.task(taskId).state).toBe('success');
    expect(w.events(taskId)).toEqual(['submitted', 'regained', 'success']);
    checkWorld(w);
  });

  test('a run of a task that the store still holds back for its instant goes on as well', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ startAfter: later(w.wall, 1_000) });
    const backup = w.backup();
    live(w, 1_500, a);
    expect(w.task(taskId).state).toBe('running');
    w.restore(backup);
    expect(w.task(taskId).state).toBe('scheduled');
    a.connect().talk();
    expect(a.verdicts).toMatchObject([{ kind: 'keep', token: 1n }]);
    a.end(a.only).talk();
    expect(w.events(taskId)).toEqual(['submitted', 'regained', 'success']);
    checkWorld(w);
  });

  test('nobody else gets the task before its agent has had a lease’s time to show it', () => {
    const { w, a, b, taskId, backup } = lostPermit();
    w.restore(backup);
    b.highestToken = 1n as Token;
    b.asking = true;
    b.connect().talk();
    live(w, L - 1_000, b);
    expect(w.task(taskId).state).toBe('queued');
    a.connect().talk();
    live(w, 2 * L, a, b);
    expect(w.task(taskId)).toMatchObject({ state: 'running', open: { token: 1n, agentId: 'a' } });
    checkWorld(w);
  });

  test('a run that comes back after that is superseded by the newer permit, whose token is greater', () => {
    const { w, a, b, taskId, backup } = lostPermit();
    w.restore(backup);
    b.highestToken = 1n as Token;
    b.connect().talk();
    runs(w, b);
    expect(w.task(taskId).open).toMatchObject({ agentId: 'b' });
    expect(w.task(taskId).lastToken).toBeGreaterThan(1n);
    a.connect().talk();
    expect(a.verdicts).toMatchObject([{ kind: 'stop', token: 1n, reason: 'superseded' }]);
    expect(w.task(taskId).open).toMatchObject({ agentId: 'b' });
    checkWorld(w);
  });

  test('a result that was acknowledged in a lost commit is gone, and its task runs again', () => {
    const { w, a, b, taskId, backup } = lostPermit();
    a.end(a.only).talk();
    expect(w.task(taskId).state).toBe('success');
    w.restore(backup);
    a.connect().talk();
    expect(w.task(taskId).state).toBe('queued');
    b.connect().talk();
    runs(w, b, a);
    expect(w.task(taskId)).toMatchObject({ state: 'running', open: { agentId: 'b' } });
    checkWorld(w);
  });

  test('a result that still waits for its acknowledgement is recorded, from the next process too', () => {
    const { w, a, taskId, backup } = lostPermit();
    a.end(a.only).vanish();
    w.restore(backup);
    const next = successor(a, 'a-instance-0002');
    w.pass(L);
    next.connect().talk();
    expect(w.task(taskId)).toMatchObject({ state: 'success', lastToken: 1n });
    expect(next.acknowledged).toEqual([{ token: 1n, disposition: 'recorded' }]);
    checkWorld(w);
  });

  test('a run that was lost with its process counts as a lost try', () => {
    const { w, a, taskId, backup } = lostPermit();
    a.vanish();
    w.restore(backup);
    const next = successor(a, 'a-instance-0002');
    next.asking = false;
    w.pass(L);
    next.connect().talk();
    expect(w.task(taskId)).toMatchObject({ state: 'queued', losses: [{ token: 1n, agentId: 'a' }] });
    checkWorld(w);
  });

  test('a permit that was not started is not taken back', () => {
    const { w, a, taskId, backup } = lostPermit();
    a.end(a.only, 'never_started').vanish();
    w.restore(backup);
    a.asking = false;
    a.connect().talk();
    expect(a.acknowledged).toEqual([{ token: 1n, disposition: 'unknown' }]);
    expect(w.events(taskId)).not.toContain('regained');
    checkWorld(w);
  });

  test('a task that was submitted in lost commits is unknown: its run is stopped', () => {
    const w = world();
    const a = ready(w, 'a');
    const backup = w.backup();
    w.submit();
    a.talk();
    w.restore(backup);
    a.connect().talk();
    expect(a.verdicts).toMatchObject([{ kind: 'stop', reason: 'unknown' }]);
    a.end(a.only, 'killed').talk();
    expect(a.acknowledged).toMatchObject([{ disposition: 'unknown' }]);
    expect(w.tasks.size).toBe(0);
    checkWorld(w);
  });

  test('a task that has ended meanwhile keeps its end', () => {
    const { w, a, taskId, backup } = lostPermit();
    w.restore(backup);
    w.cancel(taskId);
    a.connect().talk();
    expect(a.verdicts).toMatchObject([{ kind: 'stop' }]);
    expect(w.task(taskId).state).toBe('cancelled');
    checkWorld(w);
  });

  test('a cancel that waits for a held try reaches the run that was permitted after it', () => {
    const { w, a, b, taskId } = lostPermit({ partitionPolicy: 'hold' });
    a.cut();
    live(w, L, b);
    expect(w.task(taskId).open?.lost).toMatchObject({ rule: 'hold' });
    const backup = w.backup();
    w.call((callId) => ({ kind: 'resolve', callId, taskId, verdict: 'reassign', reason: '' }));
    runs(w, b);
    expect(w.task(taskId).open).toMatchObject({ token: 2n, agentId: 'b' });
    w.restore(backup);
    w.cancel(taskId);
    b.connect().talk();
    expect(b.verdicts).toMatchObject([{ kind: 'stop', token: 2n, reason: 'cancelled' }]);
    b.end(b.only, 'killed').talk();
    expect(w.task(taskId).state).toBe('cancelled');
    checkWorld(w);
  });

  test('of two agents that show runs of one task the one with the newer permit keeps it, in either order', () => {
    for (const order of ['older first', 'newer first']) {
      const { w, a, b, taskId, backup } = lostPermit();
      a.cut();
      runs(w, b);
      expect(w.task(taskId).open).toMatchObject({ token: 2n, agentId: 'b' });
      w.restore(backup);
      for (const one of order === 'older first' ? [a, b] : [b, a]) one.connect().talk();
      settleDown(a, b);
      expect(w.task(taskId)).toMatchObject({ state: 'running', open: { token: 2n, agentId: 'b' } });
      expect(a.stops).toMatchObject([{ token: 1n, reason: 'superseded' }]);
      checkWorld(w);
    }
  });

  test('a newer permit ends the try that the store still believes to run', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ retries: 1 });
    a.talk();
    const backup = w.backup();
    a.end(a.only, 'failed').talk();
    a.asking = false;
    const b = ready(w, 'b');
    runs(w, b, a);
    expect(w.task(taskId).open).toMatchObject({ token: 2n, agentId: 'b' });
    w.restore(backup);
    b.connect().talk();
    expect(w.task(taskId).open).toMatchObject({ token: 2n, agentId: 'b' });
    expect(w.events(taskId).slice(-2)).toEqual(['try_lost', 'regained']);
    a.connect().talk();
    expect(w.task(taskId)).toMatchObject({ state: 'running', open: { token: 2n } });
    checkWorld(w);
  });

  test('an agent that does not serve the task’s queue is not believed', () => {
    const { w, taskId, backup } = lostPermit();
    w.restore(backup);
    const liar = agent(w, 'liar', { queues: ['elsewhere'] });
    liar.highestToken = 7n as Token;
    liar.inventory.put({ phase: 'running', token: 7n as Token, taskId });
    liar.connect();
    expect(liar.verdicts).toMatchObject([{ kind: 'stop', reason: 'unknown' }]);
    expect(w.task(taskId).state).toBe('queued');
    checkWorld(w);
  });

  test('a token above the highest that its agent says it has seen is not believed', () => {
    const { w, taskId, backup } = lostPermit();
    w.restore(backup);
    const liar = agent(w, 'liar');
    liar.inventory.put({ phase: 'running', token: 7n as Token, taskId });
    liar.connect();
    expect(liar.verdicts).toMatchObject([{ kind: 'stop', reason: 'unknown' }]);
    checkWorld(w);
  });
});
