import { describe, expect, test } from '@jest/globals';
import type { Token } from '../../src/kit/ids.js';
import { MACHINE, proofOf, ready, settleDown, successor } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { L, world } from './support.js';

describe('the verdicts of a Welcome', () => {
  test('keep what runs, on whatever stream it is shown', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    const row = w.task(taskId);
    a.connect();
    expect(a.verdicts).toEqual([{ kind: 'keep', token: 1n, nonce: 0n }]);
    expect(w.task(taskId)).toBe(row);
  });

  test('stop what the coordinator has never permitted', () => {
    const w = world();
    const a = ready(w, 'a');
    a.inventory.put({ phase: 'running', token: 9n as Token, taskId: 't' as never });
    a.connect();
    expect(a.verdicts).toEqual([{ kind: 'stop', token: 9n, reason: 'unknown' }]);
  });

  test('stop a run whose token was permitted to another agent', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    const b = ready(w, 'b');
    b.inventory.put({ phase: 'running', token: a.only, taskId });
    b.connect();
    expect(b.verdicts).toEqual([{ kind: 'stop', token: a.only, reason: 'unknown' }]);
    expect(w.task(taskId).state).toBe('running');
  });

  test('forbid a start that was asked for and never permitted', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    void a.hasNews;
    a.connect();
    expect(a.verdicts).toMatchObject([{ kind: 'never_start', nonce: 1n }]);
    expect(a.inventory.occupied()).toBe(0);
    settleDown(a);
    expect(w.task(taskId).state).toBe('running');
    checkWorld(w);
  });

  test('stop a run whose end is asked for in the same batch, after its Hello was ruled on (P15)', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    const cancel = { kind: 'cancel', callId: 77, taskId, reason: 'asked' } as const;
    w.feed(a.helloInput(), cancel);
    expect(a.verdicts).toEqual([{ kind: 'stop', token: 1n, reason: 'cancelled' }]);
    a.end(1n as Token, 'killed');
    settleDown(a);
    expect(w.task(taskId)).toMatchObject({ state: 'cancelled', open: null });
    checkWorld(w);
  });

  test('forbid a start whose end is asked for in the same batch as its agent comes back to be told its permit again (P15)', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.deaf = true;
    a.beat();
    expect(w.task(taskId)).toMatchObject({ state: 'running', open: { token: 1n } });
    a.deaf = false;
    a.unread.length = 0;
    w.feed(a.helloInput(), { kind: 'cancel', callId: 77, taskId, reason: 'asked' });
    expect(a.verdicts).toMatchObject([{ kind: 'never_start', nonce: 1n }]);
    expect(w.task(taskId)).toMatchObject({ state: 'cancelled', open: null });
    expect(a.running).toEqual([]);
    checkWorld(w);
  });

  test('make an unstarted permit of an ended session void for ever (P10)', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ partitionPolicy: 'hold' });
    a.deaf = true;
    a.beat().vanish().deaf = false;
    a.unread.length = 0;
    w.pass(L);
    expect(w.task(taskId).open?.lost).not.toBeNull();
    a.connect();
    expect(a.verdicts).toMatchObject([{ kind: 'never_start' }]);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', open: null, tryNumber: 0, losses: [] });
    a.talk();
    checkWorld(w);
  });

  test('say "recorded" of what was reported, with the acknowledgement beside it', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit();
    a.talk().end(a.only);
    a.connect();
    expect(a.verdicts).toEqual([{ kind: 'recorded', token: 1n }]);
    expect(a.acknowledged).toEqual([{ token: 1n, disposition: 'recorded' }]);
    expect(a.inventory.count).toBe(0);
  });

  test('come before any new work: the slot of an adopted run is not offered again (I4)', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit({ partitionPolicy: 'hold' });
    a.talk().vanish();
    w.pass(L);
    const waiting = w.submit();
    a.connect().talk();
    expect(w.task(waiting).state).toBe('queued');
    expect(a.runs.size).toBe(1);
    checkWorld(w);
  });
});

describe('a permit that a Hello shows neither by token nor by nonce', () => {
  test('was never started, if the same instance never showed it', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.deaf = true;
    a.beat();
    a.vanish().deaf = false;
    a.unread.length = 0;
    a.asks.clear();
    a.inventory.replace([]);
    a.asking = false;
    a.connect();
    expect(w.task(taskId)).toMatchObject({ state: 'queued', open: null, tryNumber: 0, losses: [] });
    checkWorld(w);
  });

  test('is a loss, if it was shown running before', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    a.forgetRun(a.only);
    a.asking = false;
    a.connect();
    expect(w.task(taskId)).toMatchObject({ state: 'queued', open: null, reason: 'vanished' });
    expect(w.task(taskId).losses).toHaveLength(1);
    checkWorld(w);
  });

  test('says nothing when another instance without proof leaves it out', () => {
    const w = world();
    const a = ready(w, 'a', { process: MACHINE });
    const taskId = w.submit({ partitionPolicy: 'hold' });
    a.talk().vanish();
    w.pass(L);
    const b = successor(a, 'a-instance-0002');
    b.reports.clear();
    b.connect();
    expect(w.task(taskId)).toMatchObject({ state: 'running', open: { instanceId: a.instanceId } });
    checkWorld(w);
  });

  test('of a dead predecessor is not kept by a nonce of the same number', () => {
    const w = world();
    const a = ready(w, 'a', { process: MACHINE });
    const taskId = w.submit({ partitionPolicy: 'hold' });
    a.talk().vanish();
    const b = successor(a, 'a-instance-0002');
    b.reports.clear();
    b.inventory.put({ phase: 'asked', nonce: 1n as never, taskId });
    b.connect({ proof: proofOf(a) });
    expect(w.task(taskId)).toMatchObject({ state: 'queued', open: null });
    checkWorld(w);
  });
});
