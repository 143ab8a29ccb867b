import { describe, expect, test } from '@jest/globals';
import type { ReportKind } from '../../src/core/inputs.js';
import type { Token } from '../../src/kit/ids.js';
import { live, MACHINE, proofOf, ready, report, successor } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { H, L, world } from './support.js';

const ran = (retries = 0) => {
  const w = world();
  const a = ready(w, 'a');
  const taskId = w.submit({ retries });
  a.talk();
  a.asking = false;
  return { w, a, taskId, token: a.only };
};

describe('the report of an open token is recorded', () => {
  test('success with its result', () => {
    const { w, a, taskId, token } = ran();
    const result = new Uint8Array([1, 2]);
    a.end(token, 'success', { result, resultType: 'application/json', exitCode: 0 }).talk();
    expect(w.task(taskId)).toMatchObject({
      state: 'success',
      result,
      resultType: 'application/json',
      exitCode: 0,
      endedAt: w.wall,
      open: null,
    });
    expect(a.acknowledged).toEqual([{ token, disposition: 'recorded' }]);
    checkWorld(w);
  });

  test('failure, which ends the task when the user has no retries left', () => {
    const { w, a, taskId, token } = ran();
    a.end(token, 'failed', { reason: 'exit_code', exitCode: 3, message: 'boom' }).talk();
    expect(w.task(taskId)).toMatchObject({
      state: 'failed',
      reason: 'exit_code',
      exitCode: 3,
      message: 'boom',
    });
    checkWorld(w);
  });

  test('failure, which is tried again after a back-off when retries are left', () => {
    const { w, a, taskId, token } = ran(1);
    a.end(token, 'failed', { reason: 'exit_code' }).talk();
    expect(w.task(taskId)).toMatchObject({ state: 'up_for_retry', retriesUsed: 1, open: null });
    live(w, 1_000, a);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', reason: '' });
    expect(w.events(taskId).slice(-2)).toEqual(['try_failed', 'retry_queued']);
    a.asking = true;
    live(w, 2 * H + 1_000, a);
    expect(w.task(taskId)).toMatchObject({ state: 'running', tryNumber: 2 });
    checkWorld(w);
  });

  const requeued: readonly [ReportKind, string][] = [
    ['killed', 'a run that was killed without anybody asking is a lost try'],
    ['lost', 'a run that is gone without an outcome is a lost try'],
    ['never_started', 'a permit that was not started counts as nothing'],
  ];
  for (const [kind, claim] of requeued) {
    test(`${claim}: the task is queued again, the user's retries untouched`, () => {
      const { w, a, taskId, token } = ran(1);
      a.end(token, kind).talk();
      expect(w.task(taskId)).toMatchObject({ state: 'queued', open: null, retriesUsed: 0 });
      expect(w.task(taskId).losses).toHaveLength(kind === 'lost' ? 1 : 0);
      expect(a.acknowledged).toEqual([{ token, disposition: 'recorded' }]);
      checkWorld(w);
    });
  }

  test('failure that is final, which ends the task whatever retries are left', () => {
    const { w, a, taskId, token } = ran(5);
    a.end(token, 'failed', {
      reason: 'handler_input_invalid',
      message: 'width: a number',
      final: true,
    }).talk();
    expect(w.task(taskId)).toMatchObject({
      state: 'failed',
      reason: 'handler_input_invalid',
      retriesUsed: 0,
    });
    checkWorld(w);
  });

  test('by any instance of the agent that it was permitted to, over restarts', () => {
    const w = world();
    const a = ready(w, 'a', { process: MACHINE });
    const taskId = w.submit();
    a.talk().end(a.only).vanish();
    const b = successor(a, 'a-instance-0002').connect({ proof: proofOf(a) });
    expect(b.acknowledged).toEqual([{ token: 1n, disposition: 'recorded' }]);
    expect(w.task(taskId).state).toBe('success');
  });

  test('when it is repeated the answer is "already recorded", and nothing changes', () => {
    const { w, a, taskId, token } = ran();
    a.end(token).deaf = true;
    a.beat();
    const row = w.task(taskId);
    a.beat({}, true).beat({}, true);
    expect(w.task(taskId)).toBe(row);
    a.hear();
    expect(a.acknowledged.map((each) => each.disposition)).toEqual([
      'recorded',
      'already_recorded',
      'already_recorded',
    ]);
    checkWorld(w);
  });

  test('twice in one batch is recorded once', () => {
    const { w, a, taskId, token } = ran();
    a.end(token);
    w.feed(a.beatInput(), a.beatInput({}, true));
    expect(w.events(taskId).filter((event) => event === 'success')).toHaveLength(1);
    expect(a.acknowledged.map((each) => each.disposition)).toEqual(['recorded', 'already_recorded']);
    checkWorld(w);
  });

  test('once, although its first commit failed', () => {
    const { w, a, taskId, token } = ran();
    w.failCommits = 2;
    a.end(token).talk();
    expect(w.events(taskId)).toEqual(['submitted', 'permitted', 'success']);
    checkWorld(w);
  });
});

describe('a report that is not of an open token changes nothing but the history (I10)', () => {
  test('from another agent: foreign', () => {
    const { w, a, taskId, token } = ran();
    const b = ready(w, 'b');
    b.reports.set(token, report(token, 'success', { taskId }));
    b.talk();
    expect(b.acknowledged).toEqual([{ token, disposition: 'foreign' }]);
    expect(w.task(taskId).state).toBe('running');
    a.end(token).talk();
    expect(w.task(taskId).state).toBe('success');
    checkWorld(w);
  });

  test('from another agent, after the token was closed: foreign', () => {
    const { w, a, taskId, token } = ran();
    a.end(token).talk();
    const b = ready(w, 'b');
    b.reports.set(token, report(token, 'failed', { taskId }));
    b.talk();
    expect(b.acknowledged).toEqual([{ token, disposition: 'foreign' }]);
  });

  test('with a token that was never drawn, or of an unknown task: unknown', () => {
    const { w, a, taskId } = ran();
    for (const [token, named] of [
      [99n, taskId],
      [98n, 't-none'],
    ] as const) {
      a.reports.set(token as Token, report(token as Token, 'success', { taskId: named as never }));
    }
    a.talk();
    expect(a.acknowledged.map((each) => each.disposition)).toEqual(['unknown', 'unknown']);
    expect(w.task(taskId).state).toBe('running');
    checkWorld(w);
  });

  test('after a newer permit: stale, noted once, and bounded', () => {
    const w = world({ stormBrake: false, limits: { lateReportNotes: 1 } });
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    const token = a.only;
    a.vanish();
    w.pass(L);
    ready(w, 'b');
    a.end(token).connect().talk();
    a.reports.set(token, report(token, 'failed', { taskId }));
    a.talk();
    expect(a.acknowledged.map((each) => each.disposition)).toEqual(['stale', 'stale']);
    expect(w.events(taskId).filter((event) => event === 'late_report_refused')).toHaveLength(1);
    expect(w.noted('late_report')).toHaveLength(2);
    checkWorld(w);
  });

  test('after the operator ruled on the lost try: stale', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ partitionPolicy: 'hold' });
    a.talk();
    const token = a.only;
    a.vanish();
    w.pass(L);
    w.call((callId) => ({ kind: 'resolve', callId, taskId, verdict: 'fail', reason: 'seen dead' }));
    a.end(token).connect();
    expect(a.acknowledged).toEqual([{ token, disposition: 'stale' }]);
    expect(w.task(taskId)).toMatchObject({ state: 'failed', reason: 'resolved' });
    checkWorld(w);
  });

  test('after the execution timeout of a lost try became final: stale, not "already recorded"', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit({ executionTimeoutMs: 1_000, killGraceMs: 0 });
    a.talk();
    live(w, 1_000 + L, a);
    expect(w.task(taskId).stopRequest?.kind).toBe('timeout');
    const token = a.only;
    a.vanish();
    w.pass(L);
    expect(w.task(taskId)).toMatchObject({ state: 'failed', reason: 'execution_timeout' });
    expect(w.events(taskId).slice(-2)).toEqual(['try_lost', 'failed']);
    a.end(token).connect();
    expect(a.acknowledged).toEqual([{ token, disposition: 'stale' }]);
    checkWorld(w);
  });

  test('of a run that was taken for vanished: a result that comes after all is kept apart, not dropped', () => {
    const { w, a, taskId, token } = ran();
    a.forgetRun(token);
    a.beat().beat();
    expect(w.events(taskId)).toContain('lost_reported');
    a.reports.set(token, report(token, 'success', { taskId }));
    a.talk();
    expect(a.acknowledged).toEqual([{ token, disposition: 'stale' }]);
    expect(w.events(taskId).at(-1)).toBe('late_report_refused');
  });
});
