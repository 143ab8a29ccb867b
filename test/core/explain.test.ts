import { describe, expect, test } from '@jest/globals';
import { explain } from '../../src/core/explain.js';
import type { AgentId, TaskId, Token } from '../../src/kit/ids.js';
import { agent, live, ready } from './agent-model.js';
import { H, L, type World, world } from './support.js';

const ask = (w: World, taskId: TaskId) => explain(w.state, w.task(taskId), w.context());
const codes = (w: World, taskId: TaskId) => ask(w, taskId).findings.map(({ code }) => code);
const next = (w: World, taskId: TaskId) => ask(w, taskId).next.map(({ code, inMs }) => [code, inMs]);
const message = (w: World, taskId: TaskId) => ask(w, taskId).findings[0]?.message;
const cordon = (w: World, agentId: AgentId) => w.call((callId) => ({ kind: 'cordon', callId, agentId }));

describe('a waiting task is explained', () => {
  test('by the queue that nobody serves, and the timeout that comes', () => {
    const w = world();
    ready(w, 'a', { queues: ['other'] });
    const taskId = w.submit();
    w.advance(1_000);
    expect(codes(w, taskId)).toEqual(['no_agent_serves_queue']);
    expect(ask(w, taskId).findings[0]?.try).toContain('--queue default');
    expect(ask(w, taskId).summary).toBe('queued in default, waits for an agent');
    expect(next(w, taskId)).toEqual([['queued_timeout', 599_001]]);
  });

  test('by the labels that its workers lack, each named', () => {
    const w = world();
    ready(w, 'a', { labels: { gpu: 'no' } });
    ready(w, 'b', { labels: { gpu: 'yes' } });
    const taskId = w.submit({ requiredLabels: { gpu: 'yes', disk: 'ssd' } });
    expect(codes(w, taskId)).toEqual(['labels_missing']);
    expect(message(w, taskId)).toContain('a lacks gpu=yes, disk=ssd; b lacks disk=ssd');
  });

  test('by the handler that none of its workers has, each with those it does have', () => {
    const w = world();
    ready(w, 'a');
    ready(w, 'b', { handlers: ['ping', 'sum'] });
    const taskId = w.submit({ handler: 'resize' });
    expect(codes(w, taskId)).toEqual(['no_agent_has_handler']);
    expect(message(w, taskId)).toBe('no agent has handler resize: a has none; b has ping, sum');
    expect(ask(w, taskId).findings[0]?.try).toContain('--handlers');
  });

  test('by the labels of those workers alone that have its handler', () => {
    const w = world();
    ready(w, 'a', { labels: { gpu: 'yes' } });
    ready(w, 'b', { handlers: ['resize'] });
    const taskId = w.submit({ handler: 'resize', requiredLabels: { gpu: 'yes' } });
    expect(codes(w, taskId)).toEqual(['labels_missing']);
    expect(message(w, taskId)).toMatch(/: b lacks gpu=yes$/);
  });

  test('by busy slots and the tasks that go first', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a', { slots: 2 });
    for (let n = 0; n < 4; n++) w.submit({ priority: 1 });
    a.talk();
    const taskId = w.submit();
    expect(codes(w, taskId)).toEqual(['all_slots_busy', 'tasks_ahead']);
    expect(message(w, taskId)).toContain('a runs 2 of 2');
    expect(ask(w, taskId).findings[1]?.message).toMatch(/^2 tasks go first/);
  });

  test('by cordoned, suspect and unresolved workers', () => {
    const w = world();
    const [a, b, c] = [ready(w, 'a'), ready(w, 'b'), ready(w, 'c')];
    cordon(w, a.agentId);
    b.cut();
    c.beat({ inventoryCount: 9 });
    const taskId = w.submit();
    expect(codes(w, taskId)).toEqual(['agents_cordoned', 'agents_suspect', 'agents_unresolved']);
    expect(ask(w, taskId).findings[0]?.try).toBe('holdfast agent uncordon a');
  });

  test('by the store’s lost commits while permits wait', () => {
    const w = world();
    ready(w, 'a');
    const b = agent(w, 'b');
    b.highestToken = 5n as Token;
    b.connect();
    expect(codes(w, w.submit())).toContain('recovering');
  });

  test('by the agent it is offered to, which has not asked yet', () => {
    const w = world();
    const a = ready(w, 'a');
    a.asking = false;
    const taskId = w.submit();
    live(w, 3_000, a);
    expect(codes(w, taskId)).toEqual(['offered']);
    expect(message(w, taskId)).toBe('offered to agent a 3s ago, which has not asked for it yet');
    expect(next(w, taskId)[0]).toEqual(['offer_lapses', 2 * H - 3_000]);
  });

  test('by its back-off', () => {
    const w = world({}, 3);
    const a = ready(w, 'a');
    const retried = w.submit({ retries: 2, retryBackoff: { initialMs: 10_000, maxMs: 10_000 } });
    a.talk();
    a.asking = false;
    a.end(a.only, 'failed', { reason: 'exit_code' }).talk();
    expect(codes(w, retried)).toEqual(['backoff']);
    expect(message(w, retried)).toContain('retry 1 of 2');
    expect(next(w, retried).map(([code]) => code)).toEqual(['retry']);
    expect(ask(w, retried).summary).toContain('another one follows');
    const voided = w.submit();
    a.asking = true;
    a.talk();
    a.end(a.only, 'never_started').talk();
    expect(codes(w, voided)).toEqual(['backoff']);
    expect(next(w, voided).map(([code]) => code)).toEqual(['ready_again', 'queued_timeout']);
  });
});

describe('a running task is explained', () => {
  test('by nothing, when all is well', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ executionTimeoutMs: 60_000 });
    a.talk();
    expect(ask(w, taskId)).toMatchObject({ summary: 'running on agent a, try 1', findings: [] });
    expect(next(w, taskId)).toEqual([['stop_requested', 60_000 + 10_000 + L]]);
  });

  test('by its suspect agent, and what is left of the lease', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk().cut();
    w.advance(4_000);
    expect(codes(w, taskId)).toEqual(['agent_suspect']);
    expect(next(w, taskId)).toEqual([['agent_failed', L - 4_000]]);
  });

  test('by a start that its agent has not shown', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.deaf = true;
    a.beat();
    expect(codes(w, taskId)).toEqual(['start_unconfirmed']);
  });

  test('by a cancel that waits for its agent', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    w.cancel(taskId);
    expect(message(w, taskId)).toBe('a cancel waits for the answer of agent a');
  });
});

describe('a lost try is explained', () => {
  const lost = (partitionPolicy: 'reassign' | 'single_run' | 'hold') => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ partitionPolicy });
    a.talk().vanish();
    w.pass(L);
    w.advance(2_000);
    return { w, taskId };
  };

  test('under hold: since when, by which rule, until when, and what the operator may do', () => {
    const { w, taskId } = lost('hold');
    expect(codes(w, taskId)).toEqual(['agent_lost']);
    expect(message(w, taskId)).toBe(
      'agent a was lost 2s ago while it held try 1; held by hold for 23h59m58s more; its run goes on if the agent comes back with it',
    );
    expect(ask(w, taskId).findings[0]?.try).toContain('holdfast task resolve');
    expect(next(w, taskId)).toEqual([['released', 86_400_000 - 2_000]]);
    w.cancel(taskId);
    expect(codes(w, taskId)).toEqual(['agent_lost', 'cancel_waits']);
    expect(ask(w, taskId).next[0]?.message).toContain('the cancel becomes final');
  });

  test('under single_run: until it is provably dead, and no verdict is proposed that would not help', () => {
    const { w, taskId } = lost('single_run');
    expect(ask(w, taskId).findings[0]?.try).toBe('');
    expect(next(w, taskId)).toEqual([['released', 9_300]]);
  });

  test('under reassign: it waits for another agent, and the old try may return', () => {
    const { w, taskId } = lost('reassign');
    expect(codes(w, taskId)).toEqual(['no_agent_serves_queue', 'lost_try_may_return']);
  });

  test('never with more than its policy keeps (P11)', () => {
    const w = world();
    const guarantee = (partitionPolicy: 'reassign' | 'single_run' | 'hold') =>
      ask(w, w.submit({ partitionPolicy })).guarantee;
    expect(guarantee('reassign')).toBe(
      'reassign: one open token, one outcome; a cut-off worker may still be running the old try',
    );
    expect(guarantee('single_run')).toMatch(/never two copies, given bounded clock rates and pauses/);
    expect(guarantee('hold')).toMatch(/never two copies before the hold timeout/);
  });
});

describe('an ended task is explained', () => {
  test('by its reason, and nothing follows', () => {
    const w = world();
    const taskId = w.submit();
    w.advance(600_001);
    w.tick();
    expect(ask(w, taskId)).toMatchObject({
      summary: 'ended: failed (queued_timeout)',
      findings: [{ code: 'ended', message: 'failed: queued for more than 600 s' }],
      next: [],
    });
  });

  test('by nothing at all when it went well', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk().end(a.only).talk();
    expect(ask(w, taskId)).toMatchObject({ summary: 'ended: success', findings: [], next: [] });
  });
});
