import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareReady, type LaneParts, Lanes } from '../../src/core/lanes.js';
import { laneKeyParts, laneOf, type TaskRow } from '../../src/core/rows.js';
import { world } from './support.js';

const w = world();
const row = (n: number, priority = 0): TaskRow => {
  const taskId = w.submit({ taskId: `t${n}` as never, priority });
  return w.task(taskId);
};
const ids = (tasks: readonly TaskRow[] | undefined) => tasks?.map((task) => task.taskId);

const needs = (): LaneParts => ({ queue: 'default', requiredLabels: {}, handler: '', concurrencyKey: '' });

describe('a lane', () => {
  test('keeps its tasks by rank, then by id', () => {
    const lanes = new Lanes(10);
    for (const task of [row(13), row(11, 5), row(12, 5), row(10)]) lanes.insert(task);
    expect(ids(lanes.get('default')?.tasks)).toEqual(['t11', 't12', 't10', 't13']);
  });

  test('that is empty and complete is forgotten', () => {
    const lanes = new Lanes(10);
    const task = row(20);
    lanes.insert(task);
    expect([...lanes.queues()]).toEqual(['default']);
    lanes.remove(task);
    expect(lanes.size).toBe(0);
    expect([...lanes.queues()]).toEqual([]);
  });

  test('longer than its window keeps the head and knows that there is more', () => {
    const lanes = new Lanes(4);
    for (let n = 30; n < 36; n++) lanes.insert(row(n));
    const lane = lanes.get('default');
    expect(ids(lane?.tasks)).toEqual(['t30', 't31', 't32', 't33']);
    expect(lane?.complete).toBe(false);
    if (lane) for (let n = 0; n < 4; n++) lanes.take(lane);
    expect(lanes.size).toBe(1);
    expect(lane && lanes.wantsRefill(lane)).toBe(true);
  });

  test('that is not complete leaves what belongs behind its window in the store', () => {
    const lanes = new Lanes(4);
    const lane = lanes.known('default', needs(), false);
    lanes.insert(row(40));
    expect(lane.tasks).toEqual([]);
    lanes.refill(lane, [], true);
    expect(lanes.size).toBe(0);
  });

  test('removing what it does not hold changes nothing', () => {
    const lanes = new Lanes(4);
    lanes.insert(row(50));
    lanes.remove(row(51));
    expect(ids(lanes.get('default')?.tasks)).toEqual(['t50']);
  });

  test('is named by queue, labels and handler in one canonical string', () => {
    const lane = (requiredLabels: Record<string, string>, handler = '') =>
      laneOf({ queue: 'q', requiredLabels, handler, concurrencyKey: '' });
    expect(lane({})).toBe('q');
    expect(lane({ b: '2', a: 'x&y' })).toBe(lane({ a: 'x&y', b: '2' }));
    expect(lane({ a: '1&b=2' })).not.toBe(lane({ a: '1', b: '2' }));
    expect(new Set([lane({}), lane({}, 'resize'), lane({}, 'ping'), lane({ a: '1' }, 'ping')]).size).toBe(4);
  });

  test('tells by its name what its tasks need', () => {
    for (const requiredLabels of [{}, { a: '1#x?&=', 'ü b': '' }]) {
      for (const handler of ['', 'resize.v2']) {
        for (const concurrencyKey of ['', 'customer 17', 'a@b#c?d!']) {
          const lane = { queue: 'q-1', requiredLabels, handler, concurrencyKey };
          expect(laneKeyParts(laneOf(lane))).toEqual(lane);
        }
      }
    }
  });

  test('has one order whatever the order of arrival', () => {
    const rows = Array.from({ length: 8 }, (_, n) => row(60 + n, n % 3));
    const sorted = [...rows].sort(compareReady);
    fc.assert(
      fc.property(fc.shuffledSubarray(rows, { minLength: 8 }), (shuffled) => {
        const lanes = new Lanes(100);
        for (const task of shuffled) lanes.insert(task);
        expect(lanes.get('default')?.tasks).toEqual(sorted);
      }),
    );
  });
});
