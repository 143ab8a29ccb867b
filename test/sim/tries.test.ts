import { describe, expect, test } from '@jest/globals';
import type { Counters, HistoryRow, Loss, TaskRow } from '../../src/core/rows.js';
import type { Epoch, Token } from '../../src/kit/ids.js';
import type { ServiceMs } from '../../src/kit/time.js';
import { TryAudit } from '../../src/testing/sim/tries.js';
import { history, permit, put, puts, task } from '../store/rows.js';

const at = (serviceMs: number): Counters => ({
  ...{ token: 1n as Token, epoch: 1n as Epoch, serviceMs: serviceMs as ServiceMs },
});

/** Commits in turn, each with its instant, the events of one task, and its row after them. */
class Story {
  readonly #audit = new TryAudit();
  #row: TaskRow | undefined;

  commit(serviceMs: number, events: Partial<HistoryRow>[], row: TaskRow): string[] {
    const before = new Map(this.#row === undefined ? [] : [[this.#row.taskId, this.#row]]);
    const rows = events.map((changes, n) => history(1, n, changes));
    const commit = puts({ tasks: [put(row)], history: rows, counters: at(serviceMs) });
    this.#row = row;
    return this.#audit.faultsOf(commit, before).map(({ what }) => what);
  }
}

const token = 1n as Token;
const tried = (retriesUsed: number) => task(1, { retries: 1, retriesUsed, state: 'up_for_retry' });

describe('the simulator', () => {
  test('sees a failure that is final although retries are left, and a retry too many', () => {
    const failed = task(1, { retries: 1, state: 'failed' });
    expect(new Story().commit(0, [{ event: 'failed', token, reason: 'exit_code' }], failed)).toEqual([
      expect.stringContaining('has failed (exit_code) after 0 of 1 retries'),
    ]);
    // An instance that never had a try fails by what it needs.
    expect(new Story().commit(0, [{ event: 'failed', reason: 'template' }], failed)).toEqual([]);
    const story = new Story();
    expect(story.commit(0, [{ event: 'try_failed', token }], tried(1))).toEqual([]);
    expect(story.commit(9_000, [{ event: 'try_failed', token }], tried(2))).toEqual([
      expect.stringContaining('retried for the 2th time; it has 1 retries'),
    ]);
    expect(story.commit(9_000, [{ event: 'retried' }], task(1, { retries: 1 }))).toEqual([]);
  });

  test('sees retries that were used by something else than a failure', () => {
    const found = new Story().commit(0, [{ event: 'requeued', token }], task(1, { retriesUsed: 1 }));
    expect(found).toEqual([expect.stringContaining('1 retries behind it, and 0')]);
  });

  test('sees a retry before half of its back-off', () => {
    const queued = task(1, { retries: 1, retriesUsed: 1 });
    const retryAfter = (ms: number) => {
      const story = new Story();
      story.commit(1_000, [{ event: 'try_failed', token }], tried(1));
      return story.commit(1_000 + ms, [{ event: 'retry_queued' }], queued);
    };
    expect(retryAfter(499)).toEqual([expect.stringContaining('after 499 ms; its back-off is at least 500')]);
    expect(retryAfter(500)).toEqual([]);
  });

  test('sees a wait that times out early', () => {
    const waiting = task(1, { state: 'deferred', notBefore: 5_000 as ServiceMs });
    const failAt = (ms: number) => {
      const story = new Story();
      story.commit(0, [{ event: 'deferred', token }], waiting);
      return story.commit(
        ms,
        [{ event: 'failed', reason: 'deferral_timeout' }],
        task(1, { state: 'failed' }),
      );
    };
    expect(failAt(4_990)).toEqual([expect.stringContaining('timed out 10 ms early')]);
    expect(failAt(5_000)).toEqual([]);
  });

  test('sees a task that is let go before its hold is over, unless somebody has ruled on it', () => {
    const held = task(1, {
      partitionPolicy: 'hold',
      holdTimeoutMs: 60_000,
      state: 'running',
      open: permit(1n),
    });
    const releaseAt = (ms: number, ...more: Partial<HistoryRow>[]) => {
      const story = new Story();
      story.commit(1_000, [{ event: 'lost', token }], held);
      return story.commit(1_000 + ms, [...more, { event: 'requeued', token }], { ...held, state: 'queued' });
    };
    expect(releaseAt(59_000)).toEqual([expect.stringContaining('held for 59000 ms; it says 60000')]);
    expect(releaseAt(60_000)).toEqual([]);
    expect(releaseAt(59_000, { event: 'resolved', token, reason: 'reassign' })).toEqual([]);
  });

  test('sees a single_run task that is let go before its release, whatever an operator has said', () => {
    const lost = { at: 0, heldUntil: 60_000, rule: 'single_run', charged: true } as unknown as Loss;
    const held = task(1, { partitionPolicy: 'single_run', state: 'running', open: permit(1n, { lost }) });
    const releaseAt = (ms: number, ...more: Partial<HistoryRow>[]) => {
      const story = new Story();
      story.commit(1_000, [{ event: 'lost', token }], held);
      return story.commit(ms, [...more, { event: 'requeued', token }], { ...held, state: 'queued' });
    };
    const resolved = { event: 'resolved', token, reason: 'reassign' };
    expect(releaseAt(59_000, resolved)).toEqual([expect.stringContaining('let go 1000 ms before')]);
    expect(releaseAt(60_000)).toEqual([]);
    expect(releaseAt(59_000, { event: 'lost_reported', token })).toEqual([]);
  });
});
