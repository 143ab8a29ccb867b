import { describe, expect, test } from '@jest/globals';
import { checkPolicy, DEFAULT_POLICY } from '../../src/core/policy.js';

describe('a policy', () => {
  test('with the defaults may be used', () => expect(checkPolicy(DEFAULT_POLICY)).toEqual([]));

  test('may do without ageing', () =>
    expect(checkPolicy({ ...DEFAULT_POLICY, priorityAgeingMs: 0 })).toEqual([]));

  test('out of range is refused with every reason at once', () => {
    const faults = checkPolicy({
      ...DEFAULT_POLICY,
      heartbeatIntervalMs: 10,
      prefetch: 99,
      poisonLimit: 0,
      priorityAgeingMs: 5,
    });
    expect(faults).toHaveLength(4);
    expect(faults[0]).toMatch(/^heartbeatIntervalMs is 10, because/);
  });

  test('whose hold timeout ends before a loss is noticed is refused', () => {
    const task = { ...DEFAULT_POLICY.task, holdTimeoutMs: 10_000 };
    expect(checkPolicy({ ...DEFAULT_POLICY, task })).toEqual([
      'task.holdTimeoutMs is not longer than the lease, because it would end before a loss is noticed',
    ]);
  });
});
