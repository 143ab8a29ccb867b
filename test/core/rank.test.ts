import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { rankOf } from '../../src/core/rank.js';
import type { TaskId } from '../../src/kit/ids.js';
import { between, MINUTE, type ServiceMs } from '../../src/kit/time.js';
import { live, ready } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { world } from './support.js';

const at = (ms: number) => ms as ServiceMs;
const ageing = { priorityAgeingMs: MINUTE };
const strict = { priorityAgeingMs: 0 };

describe('the rank of a task', () => {
  test('is lower for a higher priority, and one ageing interval of waiting makes up for each step', () => {
    expect(rankOf(1, at(MINUTE - 1), ageing)).toBeLessThan(rankOf(0, at(0), ageing));
    expect(rankOf(1, at(MINUTE), ageing)).toBe(rankOf(0, at(0), ageing));
    expect(rankOf(10, at(10 * MINUTE + 1), ageing)).toBeGreaterThan(rankOf(0, at(0), ageing));
  });

  test('is strict without ageing: no wait makes up for a step, and equals go by age', () => {
    const century = at(100 * 365.25 * 86_400_000);
    expect(rankOf(1, century, strict)).toBeLessThan(rankOf(0, at(0), strict));
    expect(rankOf(-1_000, at(1), strict)).toBeGreaterThan(rankOf(-1_000, at(0), strict));
    expect(Number.isSafeInteger(rankOf(-1_000, century, strict))).toBe(true);
  });
});

describe('priorities with ageing', () => {
  test('let a task of priority 0 start within the bound, however many of priority 10 keep coming', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 5 }), (priority, burst) => {
        const w = world({ prefetch: 0, queuedTimeoutMs: 100 * MINUTE, priorityAgeingMs: MINUTE });
        const a = ready(w, 'a');
        const step = () => {
          for (let n = 0; n < burst; n++) w.submit({ priority });
          live(w, 10_000, a);
          if (a.runs.size > 0) a.end(a.only).talk();
        };
        step();
        const patient = w.submit();
        const queuedAt = w.service;
        // More arrives than the one slot can run; what came in time goes first, then it is its turn.
        const before = burst * (2 + (priority * MINUTE) / 10_000);
        for (let n = 0; n <= before && w.task(patient).tryNumber === 0; n++) step();
        expect(w.task(patient).tryNumber).toBe(1);
        const first = w.task(patient).submittedAt;
        const overtook = [...w.tasks.values()]
          .filter((task) => task.tryNumber > 0)
          .map(({ submittedAt }) => submittedAt - first);
        expect(Math.max(...overtook)).toBeLessThanOrEqual(priority * MINUTE);
        expect(between(queuedAt, w.service)).toBeLessThanOrEqual((before + 1) * 10_000);
      }),
      { numRuns: 10 },
    );
  });

  test('without ageing it waits as long as they come', () => {
    const w = world({ prefetch: 0, queuedTimeoutMs: 100 * MINUTE, priorityAgeingMs: 0 });
    const a = ready(w, 'a');
    w.submit({ priority: 1 });
    const patient = w.submit();
    for (let n = 0; n < 30; n++) {
      w.submit({ priority: 1 });
      live(w, 10_000, a);
      a.end(a.only).talk();
    }
    expect(w.task(patient).tryNumber).toBe(0);
  });

  test('a task keeps its place when its agent is lost, and a retry queues behind', () => {
    const w = world({ prefetch: 0 });
    const a = ready(w, 'a');
    const [lost, failed] = [w.submit(), w.submit({ retries: 1 })];
    const rankBefore = (taskId: TaskId) => w.task(taskId).rank;
    const [rank, first] = [rankBefore(lost), rankBefore(failed)];
    a.talk().vanish();
    w.pass(20_000);
    expect(w.task(lost)).toMatchObject({ state: 'queued', rank });
    const b = ready(w, 'b');
    b.end(b.only).talk();
    b.end(b.only, 'failed').talk();
    live(w, 10_000, b);
    expect(w.events(failed)).toContain('retry_queued');
    expect(w.task(failed).rank).toBeGreaterThan(first);
    checkWorld(w);
  });
});
