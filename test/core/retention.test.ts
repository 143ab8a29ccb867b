import { describe, expect, test } from '@jest/globals';
import { DEFAULT_POLICY } from '../../src/core/policy.js';
import { goesUntil } from '../../src/core/retention.js';
import { MINUTE, type ServiceMs } from '../../src/kit/time.js';
import { ready, report, settleDown } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { world } from './support.js';

const AGE = 10 * MINUTE;
const keeping = (count: number, pruneStep = 100) =>
  world({ retention: { ...DEFAULT_POLICY.retention, ageMs: AGE, count }, limits: { pruneStep } });

/** A world in which so many tasks have ended, a second after one another. */
function ended(n: number, count = 1_000, pruneStep = 100) {
  const w = keeping(count, pruneStep);
  const a = ready(w, 'a', { slots: 1 });
  const taskIds = Array.from({ length: n }, (_, i) => {
    const taskId = w.submit({ idempotencyKey: `key ${i}` });
    settleDown(a);
    a.end(a.only).talk();
    // Until it says that it has applied the acknowledgement, the agent still shows the run.
    a.beat({}, true);
    w.advance(1_000);
    return taskId;
  });
  return { w, a, taskIds };
}

describe('retention', () => {
  test('removes what ended longer ago than its age, not a millisecond before, with its history', () => {
    const { w, taskIds } = ended(3);
    w.advance(AGE - 3_000);
    w.feed({ kind: 'prune' });
    expect(w.tasks.size).toBe(3);
    w.advance(1);
    w.feed({ kind: 'prune' });
    expect([...w.tasks.keys()]).toEqual(taskIds.slice(1));
    expect(w.events(taskIds[0] as never)).toEqual([]);
    checkWorld(w);
  });

  test('need not be shown what ended within its age, unless there are more than its count', () => {
    const { policy } = keeping(5);
    const ctx = { policy, service: (AGE + 7) as ServiceMs };
    expect(goesUntil(5, ctx)).toBe(7);
    expect(goesUntil(6, ctx)).toBeNull();
  });

  test('removes what ended first when there are more than its count', () => {
    const { w, taskIds } = ended(5, 2);
    w.feed({ kind: 'prune' });
    expect([...w.tasks.keys()]).toEqual(taskIds.slice(3));
    w.feed({ kind: 'prune' });
    expect(w.tasks.size).toBe(2);
  });

  test('with a count of 0 keeps nothing that has ended, and everything else', () => {
    const { w } = ended(2, 0);
    const waiting = w.submit();
    w.feed({ kind: 'prune' });
    expect([...w.tasks.keys()]).toEqual([waiting]);
  });

  test('takes small steps: at most so many tasks in one commit', () => {
    const { w } = ended(5, 0, 2);
    for (const left of [3, 1, 0]) {
      w.feed({ kind: 'prune' });
      expect(w.tasks.size).toBe(left);
    }
  });

  test('never removes a task that waits, runs, is lost or held, however old', () => {
    const w = keeping(0);
    const a = ready(w, 'a', { slots: 2 });
    const held = w.submit({ partitionPolicy: 'hold' });
    const lost = w.submit();
    a.talk();
    const waiting = w.submit({ queue: 'nobody', queuedTimeoutMs: 100 * AGE });
    a.vanish();
    w.pass(2 * AGE, 5_000);
    w.feed({ kind: 'prune' });
    expect(w.task(held)).toMatchObject({ state: 'running' });
    expect(w.task(waiting)).toMatchObject({ state: 'queued' });
    // Reassigned and never taken: P12 failed it, and then it was finished.
    expect(w.tasks.has(lost)).toBe(false);
    checkWorld(w);
  });

  test('keeps a task whose run still stops, until its agent no longer shows it', () => {
    const w = keeping(0);
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    const token = a.only;
    a.vanish();
    w.pass(3 * w.leaseMs);
    w.call((callId) => ({ kind: 'resolve', callId, taskId, verdict: 'fail', reason: 'gone' }));
    w.cancel(taskId);
    a.connect();
    expect(w.task(taskId).open).toBeNull();
    w.feed({ kind: 'prune' });
    expect(w.tasks.has(taskId)).toBe(true);
    a.end(token, 'killed').talk();
    a.beat({}, true);
    w.feed({ kind: 'prune' });
    expect(w.tasks.has(taskId)).toBe(false);
    checkWorld(w);
  });

  test('keeps a task that the same batch has written to, and tells what comes after its removal', () => {
    const { w, taskIds } = ended(1, 0);
    const [taskId] = taskIds as [never];
    const { lastToken: token } = w.task(taskId);
    const b = ready(w, 'b');
    b.reports.set(token, report(token, 'failed', { taskId }));
    const say = b.beatInput();
    w.feed(say, { kind: 'prune' });
    expect(w.tasks.has(taskId)).toBe(true);
    expect(w.events(taskId)).toContain('late_report_refused');
    w.feed({ kind: 'prune' });
    expect(w.tasks.has(taskId)).toBe(false);
  });

  test('a report for a task that was removed is refused as stale, so that its agent drops it', () => {
    const { w, a, taskIds } = ended(1, 0);
    const [taskId] = taskIds as [never];
    const { lastToken: token } = w.task(taskId);
    w.feed({ kind: 'prune' });
    a.reports.set(token, report(token, 'success', { taskId }));
    a.talk();
    expect(a.acknowledged.at(-1)).toEqual({ token, disposition: 'stale' });
    expect(a.reports.size).toBe(0);
    expect(w.tasks.size).toBe(0);
    checkWorld(w);
  });

  test('sets an idempotency key free with its task, in the very batch that removes it', () => {
    const { w, taskIds } = ended(1, 0);
    const again = w.newTask({ idempotencyKey: 'key 0' });
    w.feed({ kind: 'prune' }, { kind: 'submit', callId: 77, tasks: [again] });
    expect(w.reply(77)).toMatchObject({ tasks: [{ taskId: again.taskId, existing: false }] });
    expect([...w.tasks.keys()]).toEqual([again.taskId]);
    expect(again.taskId).not.toBe(taskIds[0]);
  });

  test('a removal whose commit failed is decided again', () => {
    const { w } = ended(2, 0);
    w.failCommits = 2;
    w.feed({ kind: 'prune' });
    expect(w.tasks.size).toBe(0);
  });
});
