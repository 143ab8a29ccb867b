import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NOTIFICATION_EVENTS, type NotificationEvent } from '../../src/core/rows.js';
import { HOUR, later, type MonoMs, type ServiceMs, type WallMs } from '../../src/kit/time.js';
import type { StoredNotification } from '../../src/store/store.js';
import { BOUNDS, type Bounds, DeliveryQueue, type Ending, type Sending } from '../../src/webhooks/queue.js';

const ALL = new Set<NotificationEvent>(NOTIFICATION_EVENTS);
const random = () => 0;
const at = (ms: number) => ms as MonoMs;

const row = (
  n: number,
  subject = 'task:a',
  change: Partial<StoredNotification> = {},
): StoredNotification => ({
  n,
  id: `id-${n}`,
  event: 'task.failed',
  at: (1_000 + n) as WallMs,
  atService: 0 as ServiceMs,
  subject,
  data: {},
  ...change,
});
const ACCEPTED: Ending = { outcome: 'accepted', retryAfterMs: 0 };
const REFUSED: Ending = { outcome: 'refused', retryAfterMs: 0 };
const FAILED: Ending = { outcome: 'failed', retryAfterMs: 0 };
const queueOf = (bounds: Partial<Bounds> = {}, events = ALL) =>
  new DeliveryQueue({ endpoint: 'e', cursor: 0, missed: null }, events, { ...BOUNDS, ...bounds });
const numbers = (sendings: readonly Sending[]) =>
  sendings.map((sending) => (sending.kind === 'missed' ? 'missed' : sending.row.n));

describe('the queue of an endpoint', () => {
  test('sends those of one subject one after the other, and others beside them', () => {
    const queue = queueOf();
    queue.take([row(1), row(2), row(3, 'task:b')]);
    const first = queue.next(at(0));
    expect(numbers(first)).toEqual([1, 3]);
    expect(numbers(queue.next(at(0)))).toEqual([]);
    queue.answered(first[0] as Sending, ACCEPTED, at(1), random);
    expect(numbers(queue.next(at(1)))).toEqual([2]);
  });

  test('moves its cursor over what is done, never over what is not', () => {
    const queue = queueOf();
    queue.take([row(1), row(2, 'task:b'), row(3, 'task:c')]);
    const [one, two, three] = queue.next(at(0));
    queue.answered(two as Sending, ACCEPTED, at(1), random);
    queue.answered(three as Sending, ACCEPTED, at(1), random);
    expect(queue.cursor).toBe(0);
    queue.answered(one as Sending, ACCEPTED, at(1), random);
    expect(queue.cursor).toBe(3);
  });

  test('passes over events that were not asked for', () => {
    const queue = queueOf({}, new Set<NotificationEvent>(['agent.failed']));
    queue.take([row(1), row(2, 'agent:a', { event: 'agent.failed' }), row(3)]);
    expect(numbers(queue.next(at(0)))).toEqual([2]);
    expect(queue.cursor).toBe(1);
  });

  test('waits after a failure, twice as long after each, at most five minutes, and probes with one', () => {
    const queue = queueOf();
    queue.take([row(1), row(2, 'task:b')]);
    const waits: number[] = [];
    let now = at(0);
    for (let i = 0; i < 12; i++) {
      const sendings = queue.next(now);
      expect(sendings).toHaveLength(i === 0 ? 2 : 1);
      for (const sending of sendings) queue.answered(sending, FAILED, now, () => 0.999_999);
      const next = queue.nextAt(now) as MonoMs;
      expect(queue.next(later(next, -1))).toEqual([]);
      waits.push(Math.round((next - now) / 1_000));
      now = next;
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    const [probe] = queue.next(now);
    queue.answered(probe as Sending, ACCEPTED, now, random);
    expect(queue.failures).toBe(0);
    expect(numbers(queue.next(now))).toEqual([2]);
  });

  test('one that is refused holds back its own subject alone', () => {
    const queue = queueOf();
    queue.take([row(1), row(2), row(3, 'task:b')]);
    const [refused, other] = queue.next(at(0));
    queue.answered(refused as Sending, REFUSED, at(0), random);
    queue.answered(other as Sending, ACCEPTED, at(0), random);
    expect(numbers(queue.next(at(1)))).toEqual([]);
    expect(queue.failures).toBe(0);
    expect(queue.nextAt(at(1))).toBe(500);
    expect(numbers(queue.next(at(500)))).toEqual([1]);
  });

  test('leaves an endpoint alone for as long as it asks, an hour at most, and never shorter than its own wait', () => {
    const queue = queueOf();
    queue.take([1, 2, 3].map((n) => row(n, `task:${n}`)));
    const [one, two, three] = queue.next(at(0));
    queue.answered(one as Sending, { ...FAILED, retryAfterMs: 30_000 }, at(0), random);
    expect(queue.nextAt(at(0))).toBe(30_000);
    // Of those that were under way together the longest wait counts.
    queue.answered(two as Sending, { ...FAILED, retryAfterMs: 90_000 }, at(10), random);
    queue.answered(three as Sending, { ...FAILED, retryAfterMs: 1_000 }, at(20), random);
    expect(queue.nextAt(at(20))).toBe(90_010);
    const [again] = queue.next(at(90_010));
    queue.answered(again as Sending, { ...FAILED, retryAfterMs: 10 ** 9 }, at(100_000), random);
    expect(queue.nextAt(at(100_000))).toBe(100_000 + HOUR);
    const then = at(100_000 + HOUR);
    const [last] = queue.next(then);
    queue.answered(last as Sending, { ...FAILED, retryAfterMs: 1 }, then, random);
    expect(queue.nextAt(then)).toBe(then + 2_000);
  });

  test('leaves what was refused alone for as long as the receiver asks, and nothing else', () => {
    const queue = queueOf();
    queue.take([row(1), row(2), row(3, 'task:b')]);
    const [refused, other] = queue.next(at(0));
    queue.answered(refused as Sending, { ...REFUSED, retryAfterMs: 60_000 }, at(0), random);
    queue.answered(other as Sending, ACCEPTED, at(0), random);
    expect(queue.nextAt(at(1))).toBe(60_000);
  });

  test('never asks to be woken at an instant that is past: what is due waits for a free place, which an answer brings', () => {
    const queue = queueOf({ inFlight: 1 });
    queue.take([row(1), row(2, 'task:b')]);
    const [refused] = queue.next(at(0));
    queue.answered(refused as Sending, REFUSED, at(0), random);
    const [hanging] = queue.next(at(0));
    expect(numbers([hanging as Sending])).toEqual([2]);
    expect(queue.nextAt(at(100))).toBe(500);
    expect(queue.nextAt(at(10_000))).toBeNull();
    queue.answered(hanging as Sending, ACCEPTED, at(10_000), random);
    expect(numbers(queue.next(at(10_000)))).toEqual([1]);
  });

  test('gives up what is older than a day of service, and tells how many', () => {
    const queue = queueOf();
    queue.take([row(1), row(2), row(3, 'task:b', { atService: 1_000 as ServiceMs })]);
    expect(queue.giveUp(3, BOUNDS.ageMs as ServiceMs)).toBe(2);
    expect(queue.missed).toEqual({ count: 2, first: 1, from: 1_001, to: 1_002 });
    const [missed, ...rest] = queue.next(at(0));
    expect(numbers(rest)).toEqual([3]);
    queue.answered(missed as Sending, ACCEPTED, at(1), random);
    expect(queue.missed).toBeNull();
  });

  test('gives up the oldest of too many, so that no more than its bound wait', () => {
    const queue = queueOf({ waiting: 2 });
    queue.take([1, 2, 3, 4, 5].map((n) => row(n, `task:${n}`)));
    expect(queue.giveUp(5, 0 as ServiceMs)).toBe(3);
    expect(queue.cursor).toBe(3);
    expect(numbers(queue.next(at(0)))).toEqual(['missed', 4, 5]);
  });

  test('what is missed while the count is on its way is told by the next count', () => {
    const queue = queueOf({ waiting: 1 });
    queue.take([row(1), row(2)]);
    queue.giveUp(2, 0 as ServiceMs);
    const [missed] = queue.next(at(0));
    queue.take([row(3), row(4)]);
    queue.giveUp(4, 0 as ServiceMs);
    queue.answered(missed as Sending, ACCEPTED, at(0), random);
    expect(missed).toMatchObject({ kind: 'missed', missed: { count: 1, first: 1 } });
    expect(queue.missed).toMatchObject({ count: 1, from: 1_001, to: 1_003 });
  });

  test('whatever fails and whenever, everything is delivered in the order of its subject', () => {
    const subjects = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 40 });
    const outcomes = fc.infiniteStream(fc.constantFrom('accepted', 'failed', 'refused', 'accepted' as const));
    fc.assert(
      fc.property(subjects, outcomes, fc.infiniteStream(fc.nat(7)), (kinds, answers, picks) => {
        const queue = queueOf({ inFlight: 3, window: 10 });
        const rows = kinds.map((kind, i) => row(i + 1, `task:${kind}`));
        const delivered: StoredNotification[] = [];
        const flying: Sending[] = [];
        let now = at(0);
        for (let turn = 0; turn < 2_000 && delivered.length < rows.length; turn++) {
          queue.take(rows.slice(queue.scanned, queue.scanned + queue.room));
          flying.push(...queue.next(now));
          const [sending] = flying.splice((picks.next().value as number) % Math.max(1, flying.length), 1);
          expect((queue.nextAt(now) as number | null) ?? Number.POSITIVE_INFINITY).toBeGreaterThan(now);
          if (sending === undefined) {
            now = queue.nextAt(now) ?? later(now, 1);
            continue;
          }
          const outcome = turn > 500 ? 'accepted' : (answers.next().value as 'accepted');
          if (outcome === 'accepted' && sending.kind === 'notification') delivered.push(sending.row);
          queue.answered(sending, { outcome, retryAfterMs: 0 }, now, random);
          now = later(now, 1);
        }
        expect(delivered).toHaveLength(rows.length);
        for (const kind of [0, 1, 2, 3]) {
          const order = delivered.filter(({ subject }) => subject === `task:${kind}`).map(({ n }) => n);
          expect(order).toEqual([...order].sort((a, b) => a - b));
        }
        expect(queue.cursor).toBe(rows.length);
      }),
    );
  });
});
