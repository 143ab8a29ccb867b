import { describe, expect, test } from '@jest/globals';
import type { SessionRow, TaskRow } from '../../src/core/rows.js';
import type { AgentId, TaskId } from '../../src/kit/ids.js';
import { Idlers, type SeenAgent } from '../../src/testing/sim/idlers.js';

const A = 'a' as AgentId;
const session = {
  kind: 'worker',
  queues: ['q0'],
  labels: {},
  handlers: [],
  slots: 2,
} as unknown as SessionRow;
const idle: SeenAgent = { agentId: A, isWell: true, busy: 1, session };
const waiting = (change: Partial<TaskRow> = {}) =>
  ({
    ...{ taskId: 't' as TaskId, state: 'queued', notBefore: null, concurrencyKey: '' },
    ...{ queue: 'q0', requiredLabels: {}, handler: '', ...change },
  }) as TaskRow;

/** Looks every 200 ms for 10 s; what was found first. */
function watched(seen: (at: number, idlers: Idlers) => readonly [TaskRow, SeenAgent]) {
  const idlers = new Idlers(8_000);
  for (let at = 0; at <= 10_000; at += 200) {
    const [task, agent] = seen(at, idlers);
    const found = idlers.look(at, [task], [agent]);
    if (found !== null) return found;
  }
  return null;
}

describe('a task that waits in the queue after the faults (K17)', () => {
  test('may not wait for longer than the limit beside an agent that could run it all the time', () => {
    expect(watched(() => [waiting(), idle])).toEqual({
      taskId: 't',
      what: 'it has waited 8200 ms in the queue while a had a free slot',
    });
  });

  const EXCUSES: readonly (readonly [
    string,
    (at: number, idlers: Idlers) => readonly [TaskRow, SeenAgent],
  ])[] = [
    ['every slot is taken', () => [waiting(), { ...idle, busy: 2 }]],
    ['the agent was not well for a moment', (at) => [waiting(), { ...idle, isWell: at !== 5_000 }]],
    ['the agent has no open session', () => [waiting(), { ...idle, session: null }]],
    ['the agent serves another queue', () => [waiting({ queue: 'q1' }), idle]],
    ['it waits for others of its key', () => [waiting({ concurrencyKey: 'k' }), idle]],
    [
      'it was not in the queue for a moment',
      (at) => [waiting({ state: at === 5_000 ? 'running' : 'queued' }), idle],
    ],
    [
      'the agent was permitted something else',
      (at, idlers) => {
        if (at === 5_000) idlers.permitted(A);
        return [waiting(), idle];
      },
    ],
  ];
  test.each(EXCUSES)('may wait when %s', (_, seen) => {
    expect(watched(seen)).toBeNull();
  });
});
