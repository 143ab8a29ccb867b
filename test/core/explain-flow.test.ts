import { expect, test } from '@jest/globals';
import { explain } from '../../src/core/explain.js';
import type { TaskId } from '../../src/kit/ids.js';
import { ready } from './agent-model.js';
import { type World, world } from './support.js';

const codes = (w: World, taskId: TaskId) =>
  explain(w.state, w.task(taskId), w.context()).findings.map(({ code }) => code);

test('a task whose concurrency key is full is said to wait for that, not for slots', () => {
  const w = world();
  const a = ready(w, 'a', { slots: 4 });
  const [first, second] = [w.submit({ concurrencyKey: 'k' }), w.submit({ concurrencyKey: 'k' })];
  a.talk();
  expect(w.task(first).state).toBe('running');
  expect(codes(w, second)).toEqual(['concurrency_key_full']);
});

test('a task whose queue is full is told so, with the way to raise its limit', () => {
  const w = world();
  ready(w, 'a', { slots: 4 });
  w.limitQueue('default', 0);
  const taskId = w.submit();
  const [finding] = explain(w.state, w.task(taskId), w.context()).findings;
  expect(finding).toMatchObject({
    code: 'queue_full',
    try: expect.stringContaining('holdfast queue limit default'),
  });
});

test('a delayed task says what it waits for, and when it would expire', () => {
  const w = world();
  const startAfter = (w.wall + 60_000) as typeof w.wall;
  const taskId = w.submit({ startAfter, startBefore: (startAfter + 1_000) as typeof w.wall });
  const { summary, next } = explain(w.state, w.task(taskId), w.context());
  expect(summary).toBe('scheduled: waits for its start_after');
  expect(next.map(({ code, inMs }) => [code, inMs])).toEqual([
    ['start_after', 60_000],
    ['expired', 61_000],
  ]);
});
