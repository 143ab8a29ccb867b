import { describe, expect, test } from '@jest/globals';
import type { RunKey, RunRow } from '../../../src/core/dag/rows.js';
import { type InstanceAt, isDone, RunView, standingOf } from '../../../src/core/dag/run-view.js';
import type { TaskState } from '../../../src/core/rows.js';
import type { TaskId } from '../../../src/kit/ids.js';

const ROW = { run: 'd/r' as RunKey, dagId: 'd', state: 'running' } as RunRow;

function at(state: TaskState, mapIndex = -1, change: Partial<InstanceAt> = {}): InstanceAt {
  const taskId = `${state}-${mapIndex}` as TaskId;
  return { taskId, mapIndex, state, ready: true, gone: false, pool: 'p', poolSlots: 1, rank: 0, ...change };
}

function viewOf(states: Readonly<Record<string, readonly InstanceAt[]>>): RunView {
  const view = new RunView(ROW);
  for (const [task, instances] of Object.entries(states)) for (const one of instances) view.put(task, one);
  return view;
}

describe('how instances stand', () => {
  test('is counted over all needs and all instances of each', () => {
    const view = viewOf({
      a: [at('success')],
      b: [at('failed', 0), at('upstream_failed', 1), at('running', 2)],
      c: [at('skipped')],
      d: [at('cancelled')],
    });
    const standing = standingOf(view, ['a', 'b', 'c', 'd']);
    expect(standing).toMatchObject({ total: 6, success: 1, failed: 2, upstreamFailed: 1, skipped: 1 });
    expect(isDone(standing)).toBe(false);
  });

  test('a task that is not decided yet counts as one that has not ended', () => {
    const standing = standingOf(viewOf({ a: [at('success')] }), ['a', 'later']);
    expect(standing).toMatchObject({ total: 2, success: 1 });
    expect(isDone(standing)).toBe(false);
  });

  test('an instance that was cleared has not ended', () => {
    const view = viewOf({ a: [at('success')] });
    view.put('a', at('scheduled', -1, { ready: false }));
    expect(isDone(standingOf(view, ['a']))).toBe(false);
  });
});

describe('a view that a draft makes', () => {
  test('changes nothing of the committed one until it is settled', () => {
    const base = viewOf({ a: [at('queued', 0), at('queued', 1)] });
    const draft = new RunView(ROW, base);
    draft.put('a', at('success', 0));
    draft.touch('a');
    expect([base.active, draft.active]).toEqual([2, 1]);
    expect(standingOf(base, ['a'])).toMatchObject({ total: 2, success: 0 });
    expect(standingOf(draft, ['a'])).toMatchObject({ total: 2, success: 1 });
    base.settle(draft);
    expect(base.active).toBe(1);
    expect(standingOf(base, ['a'])).toMatchObject({ total: 2, success: 1 });
    expect([...(base.touched as Set<string>)]).toEqual(['a']);
  });

  test('settles into nothing but what it was made from', () => {
    expect(() => viewOf({}).settle(new RunView(ROW, viewOf({})))).toThrow('a draft settles');
  });

  test('names every task that has instances once', () => {
    const draft = new RunView(ROW, viewOf({ a: [at('queued')], b: [at('queued')] }));
    draft.put('b', at('success'));
    draft.put('c', at('queued'));
    expect([...draft.tasks()].sort()).toEqual(['a', 'b', 'c']);
  });
});
