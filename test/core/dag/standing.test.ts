import { describe, expect, test } from '@jest/globals';
import type { RunKey, RunRow } from '../../../src/core/dag/rows.js';
import { type InstanceAt, RunView } from '../../../src/core/dag/run-view.js';
import { addTo, isDone, NOTHING_DECIDED, Sums } from '../../../src/core/dag/standing.js';
import type { TaskState } from '../../../src/core/rows.js';
import type { TaskId } from '../../../src/kit/ids.js';
import { seededRandom } from '../../../src/kit/random.js';

const at = (state: TaskState, mapIndex = -1, change: Partial<InstanceAt> = {}): InstanceAt => ({
  ...{ taskId: `${mapIndex}` as TaskId, mapIndex, state, ready: true, gone: false },
  ...{ pool: 'p', poolSlots: 1, rank: 0 },
  ...change,
});

describe('the standing of a task', () => {
  test('with an instance more and one less is what it was', () => {
    for (const one of [at('success'), at('cancelled'), at('scheduled', 3, { ready: false })]) {
      expect(addTo(addTo(NOTHING_DECIDED, one, 1), one, -1)).toEqual(NOTHING_DECIDED);
    }
  });

  test('counts a cancelled instance as failed, and one that is gone as none', () => {
    const one = addTo(NOTHING_DECIDED, at('cancelled', 0), 1);
    const both = addTo(one, at('skipped', 1, { gone: true }), 1);
    expect(both).toMatchObject({ total: 1, failed: 1, skipped: 0, instances: 2 });
    expect(isDone(both)).toBe(true);
  });
});

describe('sums over long lists of needs', () => {
  const names = Array.from({ length: 40 }, (_, n) => `t${n}`);
  const STATES: readonly TaskState[] = [
    'success',
    'failed',
    'skipped',
    'upstream_failed',
    'running',
    'queued',
  ];

  test('are what counting anew would give, after any changes of a draft or of what is committed', () => {
    const random = seededRandom(3);
    const view = new RunView({ run: 'd/r' as RunKey } as RunRow);
    for (let n = 0; n < 300; n++) {
      const draft = new RunView(view.row, view);
      for (let m = 0; m < 5; m++) {
        const task = names[Math.floor(random() * names.length)] as string;
        const state = STATES[Math.floor(random() * STATES.length)] as TaskState;
        draft.put(task, at(state, Math.floor(random() * 3), { ready: random() < 0.9 }));
      }
      const anew = names.map((name) => draft.standings([name]));
      const sum = (field: 'total' | 'success' | 'failed' | 'undecided') =>
        anew.reduce((all, one) => all + one[field], 0);
      const { total, success, failed, undecided } = draft.standings(names);
      expect([total, success, failed, undecided]).toEqual(
        (['total', 'success', 'failed', 'undecided'] as const).map(sum),
      );
      // Every other draft is thrown away.
      if (n % 2 === 0) view.settle(draft);
    }
  });

  test('look at a list once, then only at what changes', () => {
    let asked = 0;
    const sums = new Sums(() => {
      asked++;
      return NOTHING_DECIDED;
    });
    sums.of(names);
    const done = addTo(NOTHING_DECIDED, at('success'), 1);
    for (const name of names) sums.change(name, NOTHING_DECIDED, done);
    expect([asked, sums.of(names).success]).toEqual([40, 40]);
  });
});
