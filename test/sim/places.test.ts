import { describe, expect, test } from '@jest/globals';
import type { TaskRow } from '../../src/core/rows.js';
import type { Token } from '../../src/kit/ids.js';
import { PlaceAudit } from '../../src/testing/sim/places.js';
import { history, permit, put, puts, task, taskId } from '../store/rows.js';

const running = (n: number, changes: Partial<TaskRow> = {}) =>
  task(n, {
    state: 'running',
    open: permit(BigInt(n)),
    concurrencyKey: 'k',
    concurrencyLimit: 2,
    ...changes,
  });

const told = (n: number, event: string) => history(n, 0, { event, token: BigInt(n) as Token });

function permitted(audit: PlaceAudit, row: TaskRow, n: number): string[] {
  const commit = puts({ tasks: [put(row)], history: [told(n, 'permitted')] });
  return audit.faultsOf(commit).map(({ what }) => what);
}

describe('the simulator', () => {
  test('sees a permit beyond the limit of its concurrency key, the smallest of those that run', () => {
    const audit = new PlaceAudit();
    expect(permitted(audit, running(1), 1)).toEqual([]);
    expect(permitted(audit, running(2), 2)).toEqual([]);
    expect(permitted(audit, running(3), 3)).toEqual([expect.stringContaining('3 tokens of key k are open')]);
    const strict = new PlaceAudit();
    permitted(strict, running(1, { concurrencyLimit: 1 }), 1);
    expect(permitted(strict, running(2), 2)).toHaveLength(1);
  });

  test('counts a released try of a key for as long as its token is open', () => {
    const audit = new PlaceAudit();
    permitted(audit, running(1, { concurrencyLimit: 1 }), 1);
    const released = running(1, { concurrencyLimit: 1, state: 'queued' });
    audit.faultsOf(puts({ tasks: [put(released)] }));
    expect(permitted(audit, running(2, { concurrencyLimit: 1 }), 2)).toHaveLength(1);
    audit.faultsOf(puts({ tasks: [put({ ...released, open: null })] }));
    expect(permitted(audit, running(2, { concurrencyLimit: 1 }), 2)).toEqual([]);
  });

  test('sees a permit beyond the limit of its queue, but for one that changes with it or a run that comes back', () => {
    const limited = (limit: number) => puts({ queues: [{ queue: 'default', version: 1, limit }] });
    const plain = (n: number) => running(n, { concurrencyKey: '' });
    const audit = new PlaceAudit();
    audit.faultsOf(limited(1));
    expect(permitted(audit, plain(1), 1)).toEqual([]);
    expect(permitted(audit, plain(2), 2)).toEqual([
      expect.stringContaining('is the 2th of queue default to run; its limit is 1'),
    ]);
    const both = {
      ...puts({ tasks: [put(plain(3))], history: [told(3, 'permitted')] }),
      queues: limited(1).queues,
    };
    expect(audit.faultsOf(both)).toEqual([]);
    const back = puts({
      tasks: [put(plain(4)), put(plain(5))],
      history: [told(4, 'permitted'), told(5, 'adopted')],
    });
    expect(audit.faultsOf(back)).toEqual([]);
    // What is removed runs no more.
    audit.faultsOf(puts({ removals: [2, 3, 4, 5].map((n) => ({ taskId: taskId(n), version: 1 })) }));
  });
});
