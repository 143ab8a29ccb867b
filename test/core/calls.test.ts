import { describe, expect, test } from '@jest/globals';
import type { ResolveVerdict } from '../../src/core/inputs.js';
import type { PartitionPolicy } from '../../src/core/rows.js';
import type { AgentId, TaskId } from '../../src/kit/ids.js';
import { later } from '../../src/kit/time.js';
import { agent, live, ready, settleDown } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { H, L, type World, world } from './support.js';

const lost = (partitionPolicy: PartitionPolicy) => {
  const w = world();
  const a = ready(w, 'a');
  const taskId = w.submit({ partitionPolicy });
  a.talk().vanish();
  w.pass(L);
  return { w, a, taskId };
};

const resolve = (w: World, taskId: TaskId, verdict: ResolveVerdict) =>
  w.call((callId) => ({ kind: 'resolve', callId, taskId, verdict, reason: 'seen' }));

describe('a submission', () => {
  test('is queued, with its first line of history', () => {
    const w = world();
    const taskId = w.submit();
    expect(w.task(taskId)).toMatchObject({
      version: 1,
      state: 'queued',
      tryNumber: 0,
      queuedSince: w.service,
    });
    expect(w.events(taskId)).toEqual(['submitted']);
  });

  test('that could only expire is refused; one that is repeated under its key is not', () => {
    const w = world();
    const startBefore = later(w.wall, 1);
    const first = w.submit({ idempotencyKey: 'k', startBefore });
    w.advance(1);
    const submit = (idempotencyKey: string) =>
      w.call((callId) => ({ kind: 'submit', callId, tasks: [w.newTask({ idempotencyKey, startBefore })] }));
    expect(submit('other')).toMatchObject({ kind: 'refused', fault: { code: 'START_BEFORE_PASSED' } });
    expect(submit('k')).toEqual({ kind: 'submitted', tasks: [{ taskId: first, existing: true }] });
  });

  test('with a key that is known returns the first task', () => {
    const w = world();
    const first = w.submit({ idempotencyKey: 'k' });
    const again = w.newTask({ idempotencyKey: 'k' });
    const reply = w.call((callId) => ({ kind: 'submit', callId, tasks: [again] }));
    expect(reply).toEqual({ kind: 'submitted', tasks: [{ taskId: first, existing: true }] });
    expect(w.tasks.size).toBe(1);
  });

  test('twice with one key in a call, or in a batch, is one task', () => {
    const w = world();
    const task = (chosen: object) => w.newTask({ idempotencyKey: 'k', ...chosen });
    w.feed(
      { kind: 'submit', callId: 1, tasks: [task({}), task({})] },
      { kind: 'submit', callId: 2, tasks: [task({})] },
    );
    expect(w.tasks.size).toBe(1);
    expect(w.reply(1)).toMatchObject({ tasks: [{ existing: false }, { existing: true }] });
    expect(w.reply(2)).toMatchObject({ tasks: [{ existing: true }] });
  });

  test('with a known key and other content is refused as a whole', () => {
    const w = world();
    w.submit({ idempotencyKey: 'k' });
    const other = w.newTask({ idempotencyKey: 'k', contentHash: 'other' });
    const reply = w.call((callId) => ({ kind: 'submit', callId, tasks: [w.newTask(), other] }));
    expect(reply).toMatchObject({ kind: 'refused', fault: { code: 'IDEMPOTENCY_CONFLICT' } });
    expect(w.tasks.size).toBe(1);
    const within = [
      w.newTask({ idempotencyKey: 'n' }),
      w.newTask({ idempotencyKey: 'n', contentHash: 'other' }),
    ];
    expect(w.call((callId) => ({ kind: 'submit', callId, tasks: within }))).toMatchObject({
      kind: 'refused',
    });
  });

  test('that would open one lane too many is refused', () => {
    const w = world({ limits: { lanes: 2 } });
    w.submit({ queue: 'one' });
    w.submit({ queue: 'two' });
    const third = w.newTask({ queue: 'three' });
    const reply = w.call((callId) => ({ kind: 'submit', callId, tasks: [third] }));
    expect(reply).toMatchObject({ kind: 'refused', fault: { code: 'TOO_MANY_LANES' } });
    w.submit({ queue: 'two' });
    expect(w.tasks.size).toBe(3);
  });
});

describe('a cancel (P15)', () => {
  test('of a waiting task is final at once, and its offer is withdrawn', () => {
    const w = world();
    const a = ready(w, 'a');
    a.asking = false;
    const taskId = w.submit();
    expect(w.cancel(taskId)).toMatchObject({ kind: 'task', task: { state: 'cancelled' } });
    expect(a.offers.has(taskId)).toBe(false);
    checkWorld(w);
  });

  test('of a task that waits for its retry is final at once', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ retries: 1 });
    a.talk().end(a.only, 'failed').talk();
    w.cancel(taskId);
    expect(w.task(taskId)).toMatchObject({ state: 'cancelled', notBefore: null });
  });

  test('of a running task is a request: final when the agent reports the end', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    const token = a.only;
    w.cancel(taskId, 'no longer needed');
    expect(w.task(taskId)).toMatchObject({ state: 'running', stopRequest: { kind: 'cancel' } });
    expect(a.stops).toEqual([{ token, reason: 'cancelled' }]);
    a.end(token, 'killed').talk();
    expect(w.task(taskId)).toMatchObject({ state: 'cancelled', message: 'no longer needed' });
    expect(w.events(taskId).slice(-2)).toEqual(['cancel_requested', 'cancelled']);
    checkWorld(w);
  });

  test('loses to a finish report that arrives first', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    w.cancel(taskId);
    a.end(a.only, 'success').talk();
    expect(w.task(taskId).state).toBe('success');
  });

  test('that waits for a run which fails by itself leaves no other try', () => {
    const w = world();
    const a = ready(w, 'a');
    const [withRetry, without] = [w.submit({ retries: 3 }), w.submit()];
    a.talk();
    w.cancel(withRetry);
    a.end(a.only, 'failed', { exitCode: 1, reason: 'exit_code' }).talk();
    expect(w.task(withRetry)).toMatchObject({ state: 'cancelled', exitCode: 1 });
    w.cancel(without);
    a.end(a.only, 'failed', { exitCode: 1, reason: 'exit_code' }).talk();
    expect(w.task(without)).toMatchObject({ state: 'failed', reason: 'exit_code' });
  });

  test('is final when the permit was never started', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.deaf = true;
    a.beat();
    w.cancel(taskId);
    a.gateShut = true;
    a.hear().talk();
    expect(w.task(taskId).state).toBe('cancelled');
    checkWorld(w);
  });

  test('outranks an execution timeout that waits already', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ executionTimeoutMs: 1_000, killGraceMs: 0, retries: 3 });
    a.talk();
    live(w, 1_000 + L, a);
    expect(w.task(taskId).stopRequest?.kind).toBe('timeout');
    w.cancel(taskId);
    a.end(a.only, 'killed').talk();
    expect(w.task(taskId).state).toBe('cancelled');
  });

  test('racing the start in one batch: before it, nothing starts', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    void a.hasNews;
    w.feed({ kind: 'cancel', callId: 1, taskId, reason: '' }, a.beatInput());
    expect(w.task(taskId).state).toBe('cancelled');
    expect(a.refusals).toMatchObject([{ reason: 'not_queued' }]);
    expect(a.started).toEqual([]);
    checkWorld(w);
  });

  test('racing the start in one batch: after it, the permit is told to nobody (I3)', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    void a.hasNews;
    w.feed(a.beatInput(), { kind: 'cancel', callId: 1, taskId, reason: '' });
    expect(w.task(taskId)).toMatchObject({ state: 'cancelled', open: null });
    expect(a.refusals).toMatchObject([{ reason: 'closed' }]);
    expect(a.started).toEqual([]);
    a.talk();
    checkWorld(w);
  });

  test('of a permit that a new stream still asks about is told with the verdicts: never start', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.deaf = true;
    a.beat();
    w.cancel(taskId);
    a.cut().deaf = false;
    a.unread.length = 0;
    a.connect();
    expect(a.verdicts).toMatchObject([{ kind: 'never_start' }]);
    expect(w.task(taskId).state).toBe('cancelled');
    checkWorld(w);
  });

  test('of a lost try under reassign is final at once; the run is stopped when its agent returns', () => {
    const { w, a, taskId } = lost('reassign');
    w.cancel(taskId);
    expect(w.task(taskId).state).toBe('cancelled');
    expect(w.events(taskId).slice(-2)).toEqual(['try_lost', 'cancelled']);
    a.connect();
    expect(a.verdicts).toMatchObject([{ kind: 'stop', reason: 'superseded' }]);
    checkWorld(w);
  });

  for (const policy of ['single_run', 'hold'] as const) {
    test(`of a lost try under ${policy} waits for the release`, () => {
      const { w, taskId } = lost(policy);
      w.cancel(taskId);
      expect(w.task(taskId)).toMatchObject({ state: 'running', stopRequest: { kind: 'cancel' } });
      w.advance(w.policy.task.holdTimeoutMs);
      w.tick();
      expect(w.task(taskId).state).toBe('cancelled');
      checkWorld(w);
    });

    test(`of a lost try under ${policy} is told to the agent that returns with the run`, () => {
      const { w, a, taskId } = lost(policy);
      w.cancel(taskId);
      a.connect();
      expect(a.verdicts).toMatchObject([{ kind: 'stop', reason: 'cancelled' }]);
      a.end(a.only, 'killed').talk();
      expect(w.task(taskId)).toMatchObject({ state: 'cancelled', losses: [] });
      checkWorld(w);
    });
  }

  test('requested before the agent was lost becomes final with the release', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk().vanish();
    w.cancel(taskId);
    w.pass(L);
    expect(w.task(taskId)).toMatchObject({ state: 'cancelled', open: null });
  });

  test('of what has ended, or is unknown, changes nothing', () => {
    const w = world();
    const taskId = w.submit();
    w.cancel(taskId);
    const row = w.task(taskId);
    expect(w.cancel(taskId)).toMatchObject({ kind: 'task' });
    expect(w.task(taskId)).toBe(row);
    expect(w.cancel('t-none' as TaskId)).toMatchObject({ fault: { code: 'TASK_NOT_FOUND' } });
  });
});

describe('the operator’s verdict on a lost try', () => {
  test('fail and succeed are final at once, and the try is lost', () => {
    for (const [verdict, state] of [
      ['fail', 'failed'],
      ['succeed', 'success'],
    ] as const) {
      for (const policy of ['reassign', 'single_run', 'hold'] as const) {
        const { w, taskId } = lost(policy);
        resolve(w, taskId, verdict);
        expect(w.task(taskId)).toMatchObject({ state, reason: 'resolved', open: null });
        expect(w.events(taskId).slice(-2)).toEqual(['try_lost', 'resolved']);
        checkWorld(w);
      }
    }
  });

  test('reassign releases a held try, and the token stays open until something closes it', () => {
    const { w, a, taskId } = lost('hold');
    resolve(w, taskId, 'reassign');
    expect(w.task(taskId)).toMatchObject({ state: 'queued', open: { lost: { heldUntil: null } } });
    a.connect();
    expect(w.task(taskId)).toMatchObject({ state: 'running', open: { lost: null } });
    checkWorld(w);
  });

  test('reassign does not shorten single_run: never two copies, whatever the operator believes (P11)', () => {
    const { w, taskId } = lost('single_run');
    resolve(w, taskId, 'reassign');
    expect(w.task(taskId).state).toBe('running');
    w.pass(L);
    expect(w.task(taskId).state).toBe('queued');
  });

  test('reassign of a try that a cancel waits for ends the task', () => {
    const { w, taskId } = lost('hold');
    w.cancel(taskId);
    resolve(w, taskId, 'reassign');
    expect(w.task(taskId).state).toBe('cancelled');
  });

  test('is refused when no try is lost', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    expect(resolve(w, taskId, 'fail')).toMatchObject({ fault: { code: 'NO_LOST_TRY' } });
    a.talk();
    expect(resolve(w, taskId, 'fail')).toMatchObject({ fault: { code: 'NO_LOST_TRY' } });
    expect(resolve(w, 't-none' as TaskId, 'fail')).toMatchObject({ fault: { code: 'TASK_NOT_FOUND' } });
  });
});

describe('cordon and drain (P6)', () => {
  const steer = (w: World, kind: 'cordon' | 'uncordon', agentId: string) =>
    w.call((callId) => ({ kind, callId, agentId: agentId as AgentId }));

  test('block offers and permits, never heartbeats; what runs goes on', () => {
    const w = world();
    const a = ready(w, 'a', { slots: 2 });
    const first = w.submit();
    a.talk();
    steer(w, 'cordon', 'a');
    expect(a.directive.cordoned).toBe(true);
    const second = w.submit();
    live(w, L, a);
    expect(w.task(first).state).toBe('running');
    expect(w.task(second).state).toBe('queued');
    expect(w.session(a.agentId).state).toBe('live');
    steer(w, 'uncordon', 'a');
    a.talk();
    expect(w.task(second).state).toBe('running');
    checkWorld(w);
  });

  test('take back what was offered, so that others may run it', () => {
    const w = world();
    const a = ready(w, 'a');
    a.asking = false;
    const taskId = w.submit();
    steer(w, 'cordon', 'a');
    expect(a.offers.has(taskId)).toBe(false);
    const b = ready(w, 'b');
    settleDown(a, b);
    expect(w.task(taskId).lastAgentId).toBe('b');
    checkWorld(w);
  });

  test('outlive the session: a cordoned agent comes back cordoned', () => {
    const w = world();
    const a = ready(w, 'a');
    steer(w, 'cordon', 'a');
    a.vanish();
    w.pass(L);
    a.connect();
    expect(a.directive).toMatchObject({ cordoned: true });
  });

  test('a drain is for one process: its successor comes back cordoned, not draining', () => {
    const w = world();
    const a = ready(w, 'a');
    w.call((callId) => ({ kind: 'drain', callId, agentId: a.agentId, timeoutMs: 60_000 }));
    expect(a.directive).toEqual({ cordoned: true, draining: true, drainTimeoutMs: 60_000 });
    w.advance(H);
    a.connect();
    expect(a.directive).toEqual({ cordoned: true, draining: true, drainTimeoutMs: 60_000 - H });
    a.vanish();
    w.pass(L);
    const b = agent(w, 'a', { instanceId: 'a-instance-0002' }).connect();
    expect(b.directive).toEqual({ cordoned: true, draining: false, drainTimeoutMs: null });
  });

  test('of an agent that nobody knows are refused', () => {
    expect(steer(world(), 'cordon', 'ghost')).toMatchObject({ fault: { code: 'AGENT_NOT_FOUND' } });
  });
});
