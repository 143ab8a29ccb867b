import { describe, expect, test } from '@jest/globals';
import type { Reply } from '../../src/core/inputs.js';
import { isSelected, type Selection, type Steering } from '../../src/core/steer.js';
import type { TaskId } from '../../src/kit/ids.js';
import { later } from '../../src/kit/time.js';
import { live, ready, settleDown } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { L, type World, world } from './support.js';

const ANY: Selection = { labels: {} };
const retry = (w: World, taskId: TaskId): Reply =>
  w.call((callId) => ({ kind: 'retry', callId, taskId, reason: 'mended' }));
const steer = (
  w: World,
  steering: Steering,
  taskIds: readonly TaskId[],
  dryRun = false,
  chosen = ANY,
): Reply =>
  w.call((callId) => ({ kind: 'steer', callId, steering, chosen, taskIds, reason: 'asked', dryRun }));

const failed = (change: object = {}) => {
  const w = world({ prefetch: 0 });
  const a = ready(w, 'a', { queues: ['default', 'other'] });
  const taskId = w.submit(change);
  a.talk().end(a.only, 'failed').talk();
  expect(w.task(taskId).state).toBe('failed');
  return { w, a, taskId };
};

describe('a retry by an operator', () => {
  test('tries a task again that has ended: the next try, a new token, the old end only in its history', () => {
    const { w, a, taskId } = failed();
    const { lastToken } = w.task(taskId);
    a.asking = false;
    expect(retry(w, taskId)).toMatchObject({ kind: 'task', task: { state: 'queued', retried: 1 } });
    expect(w.task(taskId)).toMatchObject({ endedAt: null, exitCode: null, losses: [], retriesUsed: 0 });
    expect(w.finished.size).toBe(0);
    a.asking = true;
    a.talk().end(a.only).talk();
    expect(w.task(taskId)).toMatchObject({ state: 'success', tryNumber: 2 });
    expect(w.task(taskId).lastToken).toBeGreaterThan(lastToken);
    expect(w.events(taskId)).toEqual(['submitted', 'permitted', 'failed', 'retried', 'permitted', 'success']);
    checkWorld(w);
  });

  test('of a task that has not ended is refused, so asking twice does nothing twice', () => {
    const { w, a, taskId } = failed();
    a.asking = false;
    retry(w, taskId);
    expect(retry(w, taskId)).toMatchObject({ kind: 'refused', fault: { code: 'TASK_NOT_ENDED' } });
    expect(retry(w, 'nobody' as TaskId)).toMatchObject({
      kind: 'refused',
      fault: { code: 'TASK_NOT_FOUND' },
    });
  });

  test('still waits for its start_after, and its start_before has had its answer', () => {
    const w = world();
    const cancelled = w.submit({ startAfter: later(w.wall, 60_000) });
    w.cancel(cancelled);
    expect(retry(w, cancelled)).toMatchObject({ task: { state: 'scheduled' } });
    const expired = w.submit({ startBefore: later(w.wall, 1_000) });
    w.pass(1_000);
    expect(w.task(expired).reason).toBe('expired');
    retry(w, expired);
    w.pass(5_000);
    expect(w.task(expired).state).toBe('queued');
    checkWorld(w);
  });

  test('waits for the release of a single_run try that an operator has ended while it was held (P11)', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a');
    const taskId = w.submit({ partitionPolicy: 'single_run' });
    a.talk().vanish();
    const b = ready(w, 'b');
    live(w, L, b);
    const heldUntil = w.task(taskId).open?.lost?.heldUntil ?? 0;
    expect(heldUntil).toBeGreaterThan(w.service);
    w.call((callId) => ({ kind: 'resolve', callId, taskId, verdict: 'fail', reason: 'seen' }));
    retry(w, taskId);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', notBefore: heldUntil });
    for (; w.task(taskId).tryNumber === 1; live(w, 1_000, b)) {
      if (w.service > heldUntil + 5_000) throw new Error('it is never tried again');
    }
    expect(w.service).toBeGreaterThanOrEqual(heldUntil);
    checkWorld(w);
  });

  test('waits for that release too behind a start_after that a wall clock set back has put into the future again', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a');
    const startAfter = later(w.wall, 1_000);
    const taskId = w.submit({ partitionPolicy: 'single_run', killGraceMs: 60_000, startAfter });
    live(w, 2_000, a);
    a.talk().vanish();
    const b = ready(w, 'b');
    live(w, L, b);
    const heldUntil = w.task(taskId).open?.lost?.heldUntil ?? 0;
    w.call((callId) => ({ kind: 'resolve', callId, taskId, verdict: 'fail', reason: 'seen' }));
    retry(w, taskId);
    w.cancel(taskId);
    w.wall = later(startAfter, -1_000);
    retry(w, taskId);
    expect(w.task(taskId).state).toBe('scheduled');
    live(w, 2_000, b);
    expect(w.service).toBeLessThan(heldUntil);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', notBefore: heldUntil });
    checkWorld(w);
  });

  test('makes what an older try reports later stale: its token stays closed (P10)', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    const token = a.only;
    a.cut();
    live(w, L);
    w.call((callId) => ({ kind: 'cancel', callId, taskId, reason: '' }));
    retry(w, taskId);
    a.connect().talk();
    a.end(token).talk();
    expect(w.task(taskId).state).not.toBe('success');
    checkWorld(w);
  });
});

describe('a move to another queue', () => {
  const move = (queue: string): Steering => ({ action: 'move', queue });

  test('takes a task from the agents of one queue to those of another, and keeps its place by age', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a');
    const [first, second] = [w.submit({ queue: 'other' }), w.submit({ queue: 'other' })];
    const { rank } = w.task(first);
    expect(steer(w, move('default'), [first, second])).toMatchObject({
      kind: 'steered',
      done: [first, second],
    });
    expect(w.task(first)).toMatchObject({ queue: 'default', rank });
    a.talk();
    expect(w.task(first).state).toBe('running');
    expect(w.events(first)).toEqual(['submitted', 'moved', 'permitted']);
    checkWorld(w);
  });

  test('withdraws an offer, and refuses the start request that is on its way', () => {
    const w = world();
    const a = ready(w, 'a');
    a.asking = false;
    const taskId = w.submit();
    expect(a.offers.has(taskId)).toBe(true);
    a.asking = true;
    const beat = a.beatInput();
    w.feed(
      {
        kind: 'steer',
        callId: 99,
        steering: move('other'),
        chosen: ANY,
        taskIds: [taskId],
        reason: '',
        dryRun: false,
      },
      beat,
    );
    settleDown(a);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', queue: 'other', tryNumber: 0 });
    expect(a.offers.has(taskId)).toBe(false);
    const b = ready(w, 'b', { queues: ['other'] });
    expect([...b.runs.values()].map((run) => run.taskId)).toEqual([taskId]);
    checkWorld(w);
  });

  test('leaves what runs, what has ended and what is there already', () => {
    const { w, a, taskId } = failed();
    const [running, waiting] = [w.submit(), w.submit()];
    a.talk();
    expect(w.task(running).state).toBe('running');
    const reply = steer(w, move('other'), [taskId, running, waiting]);
    expect(reply).toEqual({
      kind: 'steered',
      done: [waiting],
      skipped: new Map([
        ['ended', 1],
        ['running', 1],
      ]),
    });
    expect(steer(w, move('other'), [waiting])).toMatchObject({
      done: [],
      skipped: new Map([['there_already', 1]]),
    });
    checkWorld(w);
  });
});

describe('what waits again, or elsewhere', () => {
  const move = (queue: string): Steering => ({ action: 'move', queue });
  const failing = (limits: object, ...changes: object[]) => {
    const w = world({ prefetch: 0, limits });
    const a = ready(w, 'a', { slots: 9 });
    const taskIds = changes.map((change) => {
      const taskId = w.submit(change);
      a.talk().end(a.only, 'failed').talk();
      return taskId;
    });
    a.asking = false;
    return { w, a, taskIds };
  };

  test('under a concurrency key again waits for its place, as the task of its key that runs has it', () => {
    const { w, a, taskIds } = failing({}, { concurrencyKey: 'k' });
    a.asking = true;
    const running = w.submit({ concurrencyKey: 'k' });
    a.talk();
    expect(w.task(running).state).toBe('running');
    retry(w, taskIds[0] as TaskId);
    a.talk();
    expect(w.task(taskIds[0] as TaskId)).toMatchObject({ state: 'queued', tryNumber: 1 });
    a.end(a.only).talk();
    live(w, 5_000, a);
    expect(w.task(taskIds[0] as TaskId)).toMatchObject({ state: 'running', tryNumber: 2 });
    checkWorld(w);
  });

  test('in another queue waits for the limit of that one, and takes no place of the one it has left', () => {
    const w = world({ prefetch: 0 });
    w.limitQueue('slow', 1);
    w.limitQueue('other', 0);
    const a = ready(w, 'a', { slots: 9, queues: ['slow', 'other'] });
    const [first, second, moved] = [
      w.submit({ queue: 'slow' }),
      w.submit({ queue: 'slow' }),
      w.submit({ queue: 'slow' }),
    ];
    a.talk();
    expect(w.task(first).state).toBe('running');
    steer(w, move('other'), [moved]);
    a.end(a.only).talk();
    expect(w.task(second).state).toBe('running');
    expect(w.task(moved)).toMatchObject({ state: 'queued', queue: 'other' });
    w.limitQueue('other', 1);
    a.talk();
    expect(w.task(moved).state).toBe('running');
    checkWorld(w);
  });

  test('takes an offer with it: the place that the offer had in its old queue is free at once', () => {
    const w = world({ prefetch: 0 });
    w.limitQueue('default', 1);
    const a = ready(w, 'a', { slots: 9 });
    a.asking = false;
    const [offered, next] = [w.submit(), w.submit()];
    expect(a.offers.has(offered)).toBe(true);
    steer(w, move('other'), [offered]);
    a.talk();
    expect([a.offers.has(offered), a.offers.has(next)]).toEqual([false, true]);
    checkWorld(w);
  });

  test('beyond the lanes or keys that may wait is left as it is, and counted; one alone is refused', () => {
    const keyed = ['x', 'y', 'z'].map((concurrencyKey) => ({ concurrencyKey }));
    const { w, taskIds } = failing({ keys: 2, lanes: 2 }, ...keyed);
    // What is offered no longer waits.
    w.limitQueue('default', 0);
    const all = { kind: 'steered', done: taskIds.slice(0, 2), skipped: new Map([['too_many_keys', 1]]) };
    expect(steer(w, { action: 'retry' }, taskIds, true)).toEqual(all);
    expect(steer(w, { action: 'retry' }, taskIds)).toEqual(all);
    const last = taskIds[2] as TaskId;
    expect(retry(w, last)).toMatchObject({ kind: 'refused', fault: { code: 'TOO_MANY_KEYS' } });
    expect(w.task(last).state).toBe('failed');
    w.submit({ queue: 'other' });
    const third = steer(w, move('third'), taskIds.slice(0, 2));
    expect(third).toMatchObject({ done: [], skipped: new Map([['too_many_lanes', 2]]) });
    expect(steer(w, move('other'), taskIds.slice(0, 2))).toMatchObject({ done: taskIds.slice(0, 2) });
    checkWorld(w);
  });
});

describe('a step over many tasks', () => {
  test('cancels each by the rules of one: at once, or as a request', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a');
    const [running, waiting] = [w.submit(), w.submit()];
    a.talk();
    steer(w, { action: 'cancel' }, [running, waiting]);
    expect(w.task(waiting).state).toBe('cancelled');
    expect(w.task(running)).toMatchObject({ state: 'running', stopRequest: { kind: 'cancel' } });
    expect(steer(w, { action: 'cancel' }, [running, waiting])).toMatchObject({
      done: [],
      skipped: new Map([
        ['asked_already', 1],
        ['ended', 1],
      ]),
    });
    checkWorld(w);
  });

  test('in a dry run says the same and does nothing', () => {
    const { w, taskId } = failed();
    const before = w.task(taskId);
    const dry = steer(w, { action: 'retry' }, [taskId, w.submit()], true);
    expect(dry).toMatchObject({ done: [taskId], skipped: new Map([['not_ended', 1]]) });
    expect(w.task(taskId)).toBe(before);
  });

  test('leaves out what is not meant any more, or not there', () => {
    const { w, taskId } = failed();
    const chosen: Selection = { labels: {}, states: ['cancelled'] };
    const reply = steer(w, { action: 'retry' }, [taskId, 'nobody' as TaskId], false, chosen);
    expect(reply).toEqual({ kind: 'steered', done: [], skipped: new Map() });
  });

  test('a selection is every field that is there', () => {
    const w = world();
    const row = w.task(w.submit({ queue: 'q', requiredLabels: { zone: 'a' }, concurrencyKey: 'k' }));
    const table: [Partial<Selection>, boolean][] = [
      [{}, true],
      [{ states: ['failed', 'queued'] }, true],
      [{ states: ['failed'] }, false],
      [{ queue: 'other' }, false],
      [{ labels: { zone: 'a' } }, true],
      [{ labels: { zone: 'b' } }, false],
      [{ concurrencyKey: 'k', queue: 'q' }, true],
      [{ concurrencyKey: 'other' }, false],
      [{ submittedAfter: row.submittedAt, submittedBefore: later(row.submittedAt, 1) }, true],
      [{ submittedAfter: later(row.submittedAt, 1) }, false],
      [{ submittedBefore: row.submittedAt }, false],
    ];
    for (const [chosen, answer] of table) expect(isSelected(row, { ...ANY, ...chosen })).toBe(answer);
  });
});
