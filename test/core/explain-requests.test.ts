import { describe, expect, test } from '@jest/globals';
import { afterRelease, REQUEST_FINDINGS } from '../../src/core/explain-requests.js';
import { DEFAULT_POLICY } from '../../src/core/policy.js';
import type { StopRequest, TaskRow } from '../../src/core/rows.js';
import { ready } from './agent-model.js';
import { world } from './support.js';

const w = world();
const a = ready(w, 'a');
const taskId = w.submit();
a.talk();
const asked = (kind: StopRequest['kind']): TaskRow => ({
  ...w.task(taskId),
  stopRequest: { kind, reason: '', at: w.wall },
});
const found = (task: TaskRow) =>
  REQUEST_FINDINGS.filter(({ when }) => when({ task })).map(({ name, then }) => [
    name,
    then({ task }).message,
  ]);

describe('what was asked of a task is explained', () => {
  test.each([
    ['cancel', 'cancel_waits', 'a cancel waits for the answer of agent a'],
    ['clear', 'request_waits', 'a clear waits for the answer of agent a'],
    [
      'mark_success',
      'request_waits',
      'the success that an operator has said waits for the answer of agent a',
    ],
    ['mark_failed', 'request_waits', 'the failure that an operator has said waits for the answer of agent a'],
    [
      'timeout',
      'timeout_waits',
      'the execution timeout has passed; the stop waits for the answer of agent a',
    ],
  ] as const)('%s', (kind, name, message) => {
    expect(found(asked(kind))).toEqual([[name, message]]);
  });

  test('with what its release brings', () => {
    const released = (kind: StopRequest['kind']) => afterRelease(asked(kind), { policy: DEFAULT_POLICY });
    expect(released('cancel')).toBe('released: the cancel becomes final');
    expect(released('clear')).toBe('released: the clear becomes final');
    expect(released('mark_failed')).toBe('released: ends as an operator has said');
    expect(released('timeout')).toBe('released: the try fails by its execution timeout');
    expect(afterRelease(w.task(taskId), { policy: DEFAULT_POLICY })).toBe('released: queued again');
  });

  test('not at all when nothing was asked', () => {
    expect(found(w.task(taskId))).toEqual([]);
  });
});
