import { describe, expect, test } from '@jest/globals';
import type { InstanceAt } from '../../../src/core/dag/run-view.js';
import { WaitList } from '../../../src/core/dag/wait-list.js';
import type { TaskId } from '../../../src/kit/ids.js';
import { seededRandom } from '../../../src/kit/random.js';

const at = (taskId: string, rank: number): InstanceAt => ({
  ...{ taskId: taskId as TaskId, mapIndex: -1, state: 'scheduled', ready: true, gone: false },
  ...{ pool: 'p', poolSlots: 1, rank },
});
const inOrder = (list: WaitList) => [...list.inOrder()].map(({ taskId }) => taskId);

describe('a wait list', () => {
  test('gives those that wait lowest rank first, then in the order of their ids', () => {
    const list = new WaitList();
    for (const one of [at('c', 2), at('b', 1), at('a', 1), at('d', 0)]) list.put(one);
    expect(inOrder(list)).toEqual(['d', 'a', 'b', 'c']);
  });

  test('passes over those that have left, and those that came back stand where they stand now', () => {
    const list = new WaitList();
    for (const one of [at('a', 1), at('b', 2), at('c', 3)]) list.put(one);
    list.remove('a' as TaskId);
    list.remove('b' as TaskId);
    list.put(at('b', 9));
    expect([inOrder(list), list.size]).toEqual([['c', 'b'], 2]);
  });

  test('agrees with a list that is sorted each time, whoever comes and goes', () => {
    const random = seededRandom(7);
    const list = new WaitList();
    const all = new Map<string, InstanceAt>();
    for (let n = 0; n < 3_000; n++) {
      const name = `t${Math.floor(random() * 200)}`;
      if (random() < 0.5) {
        all.delete(name);
        list.remove(name as TaskId);
      } else if (!all.has(name)) {
        const one = at(name, Math.floor(random() * 50));
        all.set(name, one);
        list.put(one);
      }
      if (n % 10 !== 0) continue;
      const sorted = [...all.values()].sort((a, b) => a.rank - b.rank || (a.taskId < b.taskId ? -1 : 1));
      expect(inOrder(list)).toEqual(sorted.map(({ taskId }) => taskId));
    }
  });

  test('looks at few of many to give the first', () => {
    const list = new WaitList();
    for (let n = 0; n < 10_000; n++) list.put(at(`t${String(n).padStart(5, '0')}`, n));
    for (let n = 0; n < 9_000; n++) {
      const [first] = list.inOrder();
      expect(first?.rank).toBe(n);
      list.remove(first?.taskId as TaskId);
    }
    expect(list.size).toBe(1_000);
  });
});
