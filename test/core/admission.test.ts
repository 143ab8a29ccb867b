import { describe, expect, test } from '@jest/globals';
import { Admission } from '../../src/core/admission.js';
import { type LaneParts, Lanes } from '../../src/core/lanes.js';
import { laneOf } from '../../src/core/rows.js';
import type { TaskId } from '../../src/kit/ids.js';
import { world } from './support.js';

const task = (change: Partial<LaneParts> = {}): LaneParts => ({
  ...{ queue: 'default', requiredLabels: {}, handler: '', concurrencyKey: '' },
  ...change,
});

describe('what waits in memory', () => {
  test('is bounded by lanes and by keys, those that the batch itself has added included', () => {
    const lanes = new Lanes(10);
    const there = task({ queue: 'there', concurrencyKey: 'there' });
    lanes.known(laneOf(there), there, true);
    const admission = new Admission(lanes, { lanes: 2, keys: 2 });
    expect(admission.admit([task({ concurrencyKey: 'a' })])).toBeNull();
    expect(admission.admit([task({ queue: 'third' })])).toBe('too_many_lanes');
    expect(admission.admit([task({ concurrencyKey: 'b' })])).toBe('too_many_keys');
    expect([admission.lanes, admission.keys]).toEqual([2, 2]);
    expect(admission.admit([there, task({ concurrencyKey: 'a' }), task()])).toBeNull();
  });

  test('takes all of a call or nothing of it', () => {
    const admission = new Admission(new Lanes(10), { lanes: 2, keys: 9 });
    expect(admission.admit([task(), task({ queue: 'b' }), task({ queue: 'c' })])).toBe('too_many_lanes');
    expect(admission.lanes).toBe(0);
  });

  test('a copy is only asked', () => {
    const admission = new Admission(new Lanes(10), { lanes: 1, keys: 1 });
    const copy = admission.copy();
    expect(copy.admit([task()])).toBeNull();
    expect(copy.admit([task({ queue: 'b' })])).toBe('too_many_lanes');
    expect(admission.lanes).toBe(0);
  });

  test('stays within the limits over the submissions of one batch together', () => {
    const w = world({ limits: { keys: 2 } });
    const submission = (callId: number) => ({
      ...{ kind: 'submit' as const, callId },
      tasks: [w.newTask({ taskId: `t-${callId}` as TaskId, concurrencyKey: `k${callId}` })],
    });
    w.feed(submission(101), submission(102), submission(103));
    expect([101, 102, 103].map((callId) => w.reply(callId).kind)).toEqual([
      ...['submitted', 'submitted', 'refused'],
    ]);
  });
});
