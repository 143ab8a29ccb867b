import { describe, expect, test } from '@jest/globals';
import { askedOf, MARKED, stillHeld, stopReasonOf } from '../../src/core/requests.js';
import type { StopRequest, TaskRow } from '../../src/core/rows.js';
import type { ServiceMs } from '../../src/kit/time.js';
import { DagWorld, dag, task } from './dag/support.js';
import { world } from './support.js';

const KINDS: readonly StopRequest['kind'][] = ['cancel', 'clear', 'mark_success', 'mark_failed', 'timeout'];
const w = world();
const asking = (kind: StopRequest['kind']) => ({ stopRequest: { kind, reason: '', at: w.wall } });

describe('what is asked of a task', () => {
  test('is an operator’s request, or the execution timeout, which no operator has asked for', () => {
    expect(KINDS.map((kind) => askedOf(asking(kind))?.kind)).toEqual([...KINDS.slice(0, 4), undefined]);
    expect(askedOf({ stopRequest: null })).toBeNull();
  });

  test('is told to its agent as a cancel or as a timeout: why its run is to end is no concern of it', () => {
    expect(KINDS.map((kind) => stopReasonOf({ kind }))).toEqual([...Array(4).fill('cancelled'), 'timeout']);
  });

  test('holds the next permit until a run that may be alive is provably dead (P11)', () => {
    const row = { ...w.task(w.submit()), releaseAt: 5_000 as ServiceMs } as TaskRow;
    expect([stillHeld(row, 4_999 as ServiceMs), stillHeld(row, 5_000 as ServiceMs)]).toEqual([5_000, null]);
  });
});

describe('an operator’s request becomes final', () => {
  const ends = async (kind: 'clear' | 'mark_success' | 'mark_failed') => {
    const v = await DagWorld.with([dag('d', [task('a', { retries: 2 })])]);
    await v.worker();
    const run = await v.trigger('d');
    await v.finish({ a: { kind: 'failed', reason: 'exit_code' } });
    const of = { run: run.run, tasks: [{ task: 'a', mapIndex: null }], reason: 'so' };
    const none = { upstream: false, downstream: false, onlyFailed: false, dryRun: false };
    if (kind === 'clear') await v.call({ action: 'clear', ...of, ...none });
    else await v.call({ action: 'mark', ...of, as: kind === 'mark_success' ? 'success' : 'failed' });
    const row = (await v.instances(run)).get('a');
    const history = await v.store.readHistory(row?.taskId ?? ('' as TaskRow['taskId']));
    return { row, last: history.find(({ event }) => event === 'cleared' || event === 'marked') };
  };

  test('at once while it waits for a retry: a clear gives all retries again', async () => {
    const { row, last } = await ends('clear');
    expect(row).toMatchObject({ state: 'running', retriesUsed: 0, retried: 1, notBefore: null });
    expect(last).toMatchObject({ event: 'cleared', reason: 'so', message: 'was up_for_retry (exit_code)' });
  });

  test('at once: a mark ends it, and says that it was one', async () => {
    for (const [kind, state] of [
      ['mark_success', 'success'],
      ['mark_failed', 'failed'],
    ] as const) {
      const { row, last } = await ends(kind);
      expect(row).toMatchObject({ state, reason: MARKED, message: 'so', open: null, notBefore: null });
      expect(last).toMatchObject({ event: 'marked', reason: kind });
    }
  });
});
