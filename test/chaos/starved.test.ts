import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';

interface Fault {
  readonly target: string;
  readonly from: number;
  readonly to: number;
  readonly mustFail: boolean;
}
interface Violation {
  readonly rule: string;
  readonly at: number;
  readonly agentId: string;
  readonly what: string;
}
type Waits = (agentId: string, from: number, to: number) => number;

const {
  withoutStarved,
}: {
  withoutStarved: (
    violations: Violation[],
    history: { failures: object[]; faults: Fault[]; heartbeatMs: number; leaseMs: number },
    waits: Waits,
  ) => { violations: Violation[]; excused: string[] };
} = await import(resolve(import.meta.dirname, '../../scripts/chaos/starved.mjs'));

const violation = (rule: string): Violation => ({ rule, at: 10_000, agentId: 'a', what: 'a was failed' });
const kill: Fault = { target: 'a', from: 9_500, to: 10_500, mustFail: true };
const pause: Fault = { target: 'a', from: 8_600, to: 8_900, mustFail: false };

function judged(rule: string, waits: Waits, change: { silentMs?: number; faults?: Fault[] } = {}) {
  const { silentMs = 1_600, faults = [] } = change;
  const failures = [{ agentId: 'a', at: 10_000, silentMs }];
  return withoutStarved([violation(rule)], { failures, faults, heartbeatMs: 500, leaseMs: 1_500 }, waits);
}

describe('an agent that was failed although nothing was done to it', () => {
  test('is excused when the kernel counts a wait for a CPU as long as the silence beyond one interval', () => {
    expect(judged('K9 false', () => 1_099).violations).toHaveLength(1);
    const { violations, excused } = judged('K9 false', () => 1_100);
    expect(violations).toEqual([]);
    expect(excused).toEqual([
      expect.stringMatching(/^K9 false: a was failed; 1100 ms .* for 1100 ms of it$/),
    ]);
  });

  test('is excused by the wait in its own silence alone', () => {
    const asked: unknown[] = [];
    judged('K9 false', (...span) => asked.push(span));
    expect(asked).toEqual([['a', 8_400, 10_000]]);
  });

  test('needs no wait for the time of a short fault of its own, and for no other', () => {
    expect(judged('K9 false', () => 800, { faults: [pause] }).violations).toEqual([]);
    expect(judged('K9 false', () => 799, { faults: [pause] }).violations).toHaveLength(1);
    expect(judged('K9 false', () => 800, { faults: [{ ...pause, target: 'b' }] }).violations).toHaveLength(1);
  });
});

test('an agent that is failed early after a kill is excused by the wait before the kill alone', () => {
  const before: Waits = (_, from, to) => (to <= kill.from ? to - from : 0);
  expect(judged('K9 early', before, { faults: [kill] }).violations).toEqual([]);
  expect(judged('K9 early', () => 599, { faults: [kill] }).violations).toHaveLength(1);
});

test('an agent that the coordinator failed before the lease was over, or too late, is never excused', () => {
  expect(judged('K9 early', () => 9_999, { silentMs: 1_499 }).violations).toHaveLength(1);
  expect(judged('K9 late', () => 9_999).violations).toHaveLength(1);
  expect(judged('K4', () => 9_999).violations).toHaveLength(1);
});
