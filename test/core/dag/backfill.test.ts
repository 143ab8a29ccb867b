import { describe, expect, test } from '@jest/globals';
import type { DagCallOf } from '../../../src/core/dag/calls.js';
import type { RunRow } from '../../../src/core/dag/rows.js';
import { explain } from '../../../src/core/explain.js';
import type { TaskRow } from '../../../src/core/rows.js';
import type { WallMs } from '../../../src/kit/time.js';
import { DagWorld, dag, NEW_YEAR, task } from './support.js';
import { everyMinute, INTERVALS, MINUTE } from './support-time.js';

const minute = (n: number) => (NEW_YEAR + n * MINUTE) as WallMs;
const backfill = (change: Partial<DagCallOf<'backfill'>> = {}): DagCallOf<'backfill'> => ({
  ...{ action: 'backfill', dagId: 'd', backfill: 'bf', from: minute(-4), to: minute(-2), params: {} },
  ...{ maxActiveRuns: 10, reprocess: 'none', dryRun: false },
  ...change,
});
const clear = (run: RunRow['run']): DagCallOf<'clear'> => ({
  ...{ action: 'clear', run, tasks: [], upstream: false, downstream: false },
  ...{ onlyFailed: false, dryRun: false, reason: '' },
});
const world = async () => {
  const w = await DagWorld.with([everyMinute()], INTERVALS);
  await w.worker();
  return w;
};
const runs = async (w: DagWorld) =>
  (await w.runs('d'))
    .filter(({ backfill }) => backfill !== '')
    .map(({ logicalDate, state }) => `${((logicalDate ?? 0) - NEW_YEAR) / MINUTE} ${state}`);
const stateOf = async (w: DagWorld) => (await w.store.readBackfills(['bf']))[0]?.state;

describe('a backfill', () => {
  test('makes a run of each instant of its range, both ends included, and is completed with their end', async () => {
    const w = await world();
    const reply = await w.call(backfill());
    expect(reply).toMatchObject({ backfill: { state: 'running' }, instants: [{ then: 'create' }, {}, {}] });
    await w.pass(200);
    expect(await runs(w)).toEqual(['-4 running', '-3 running', '-2 running']);
    expect((await w.runs('d'))[0]).toMatchObject({ type: 'backfill', intervalStart: minute(-5) });
    expect(await stateOf(w)).toBe('running');
    await w.finishAll();
    await w.pass(200);
    expect([await stateOf(w), w.engine.state.dags.backfills.size]).toEqual(['completed', 0]);
  });

  test('has no more of its runs at once than it may, beside those of the schedule', async () => {
    const w = await world();
    await w.call(backfill({ maxActiveRuns: 1 }));
    await w.pass(200);
    expect(await runs(w)).toEqual(['-4 running']);
    await w.finish('all');
    await w.pass(200);
    expect(await runs(w)).toEqual(['-4 success', '-3 running']);
  });

  test('goes on after a kill of the coordinator, and makes no run twice', async () => {
    const w = await world();
    await w.call(backfill({ maxActiveRuns: 2 }));
    await w.pass(200);
    await w.restart();
    await w.pass(20_000);
    await w.worker();
    await w.pass(20_000, 1_000);
    for (let n = 0; n < 3; n++) {
      await w.finishAll();
      await w.pass(200);
    }
    expect(await runs(w)).toEqual(['-4 success', '-3 success', '-2 success']);
    expect(await stateOf(w)).toBe('completed');
  });

  test('says what it would do, and does nothing, when it is only tried', async () => {
    const w = await world();
    const reply = await w.call(backfill({ dryRun: true }));
    expect(reply.kind === 'backfill' ? reply.instants.map(({ logicalDate }) => logicalDate) : []).toEqual([
      minute(-4),
      minute(-3),
      minute(-2),
    ]);
    await w.pass(400);
    expect([await runs(w), await stateOf(w)]).toEqual([[], undefined]);
  });

  test.each([
    ['none', 'skip', 'skip'],
    ['failed', 'skip', 'clear'],
    ['completed', 'clear', 'clear'],
  ] as const)(
    'with reprocess %s: a run that succeeded is to %s, one that failed to %s',
    async (reprocess, good, bad) => {
      const w = await world();
      for (const n of [-4, -3]) {
        await w.call({ action: 'trigger', dagId: 'd', runId: '', logicalDate: minute(n), params: {} });
        await w.finishAll(n === -4 ? {} : { a: { kind: 'failed', reason: 'exit_code' } });
      }
      const reply = await w.call(backfill({ reprocess }));
      expect(reply.kind === 'backfill' ? reply.instants.map((one) => one.then) : []).toEqual([
        good,
        bad,
        'create',
      ]);
      await w.pass(200);
      const again = [good, bad].filter((then) => then === 'clear').length;
      expect(await w.running()).toEqual(Array(1 + again).fill('a'));
      await w.finishAll();
      await w.pass(200);
      expect(await stateOf(w)).toBe('completed');
      expect((await w.runs('d')).length).toBe(3);
    },
  );

  test('has no more runs done again at once than it may have, beside the ones that it makes', async () => {
    const w = await world();
    for (const n of [-5, -4, -3]) {
      await w.call({ action: 'trigger', dagId: 'd', runId: '', logicalDate: minute(n), params: {} });
      await w.finishAll();
    }
    const range = { from: minute(-5), to: minute(-2) };
    await w.call(backfill({ ...range, reprocess: 'completed', maxActiveRuns: 1 }));
    for (let left = 4; left > 0; left--) {
      await w.pass(400);
      expect(await w.running()).toEqual(['a']);
      const going = (await w.runs('d')).filter(({ state }) => state === 'running' || state === 'queued');
      expect(going).toHaveLength(1);
      await w.finishAll();
    }
    await w.pass(400);
    expect(await stateOf(w)).toBe('completed');
  });

  test('that is paused makes and starts no runs, and goes on afterwards', async () => {
    const w = await world();
    await w.call(backfill({ maxActiveRuns: 1 }));
    await w.pass(200);
    await w.call({ action: 'steer_backfill', backfill: 'bf', to: 'paused' });
    await w.finish('all');
    await w.pass(400);
    expect(await runs(w)).toEqual(['-4 success']);
    await w.call({ action: 'steer_backfill', backfill: 'bf', to: 'running' });
    await w.pass(200);
    expect(await runs(w)).toEqual(['-4 success', '-3 running']);
  });

  test('that is cancelled lets go on what has begun, and is not to be steered any more', async () => {
    const w = await world();
    await w.call(backfill({ maxActiveRuns: 1 }));
    await w.pass(200);
    await w.call({ action: 'steer_backfill', backfill: 'bf', to: 'cancelled' });
    await w.finish('all');
    await w.pass(400);
    expect(await runs(w)).toEqual(['-4 success']);
    const again = await w.call({ action: 'steer_backfill', backfill: 'bf', to: 'running' });
    expect(again).toMatchObject({ fault: { code: 'BACKFILL_ENDED' } });
  });

  test('has no more of its runs at once than it may when they are cleared after its end, also over a restart', async () => {
    const w = await world();
    await w.call(backfill());
    await w.call(backfill({ backfill: 'narrow', from: minute(-8), to: minute(-6), maxActiveRuns: 1 }));
    for (let n = 0; n < 3; n++) {
      await w.pass(200);
      await w.finishAll();
    }
    await w.pass(200);
    expect([await stateOf(w), w.engine.state.dags.backfills.size]).toEqual(['completed', 0]);
    for (const run of await w.runs('d')) await w.call(clear(run.run));
    const going = async () => (await runs(w)).filter((run) => /running|queued/.test(run));
    const all = ['-8 running', '-7 queued', '-6 queued', '-4 running', '-3 running', '-2 running'];
    expect((await going()).sort()).toEqual([...all].sort());
    await w.restart();
    await w.pass(200);
    expect((await going()).sort()).toEqual([...all].sort());
    await w.pass(20_000);
    await w.worker();
    await w.pass(20_000, 1_000);
    await w.finishAll();
    expect(await going()).toEqual([]);
    // What has ended with all of its runs is remembered by the store alone.
    expect(w.engine.state.dags.backfills.size).toBe(0);
  });

  test('that has ended explains why one of its runs waits to be done again', async () => {
    const w = await world();
    await w.call(backfill({ maxActiveRuns: 1 }));
    for (let n = 0; n < 3; n++) {
      await w.pass(200);
      await w.finishAll();
    }
    await w.pass(200);
    expect(await stateOf(w)).toBe('completed');
    for (const run of await w.runs('d')) await w.call(clear(run.run));
    const [row] = (await w.instances((await w.runs('d'))[1] as RunRow)).values();
    const { findings } = explain(w.engine.state, row as TaskRow, w.engine.context());
    expect(findings[0]?.message).toBe('its run is queued, because backfill bf may have 1 running at once');
  });

  test('is refused with a reason when it cannot be made', async () => {
    const w = await DagWorld.with([everyMinute(), dag('none', [task('a')])], INTERVALS);
    const fault = async (change: Partial<DagCallOf<'backfill'>>) => {
      const reply = await w.call(backfill(change));
      return reply.kind === 'refused' ? reply.fault.code : reply.kind;
    };
    expect(await fault({ dagId: 'other' })).toBe('DAG_NOT_FOUND');
    expect(await fault({ dagId: 'none' })).toBe('NO_INSTANTS');
    expect(await fault({ from: minute(1), to: minute(0) })).toBe('NO_INSTANTS');
    expect(await fault({ to: minute(2_000) })).toBe('TOO_MANY_INSTANTS');
    expect(await fault({ params: { x: 1 } })).toBe('INVALID_PARAMS');
    expect(await fault({})).toBe('backfill');
    expect(await fault({})).toBe('BACKFILL_EXISTS');
    const steer = await w.call({ action: 'steer_backfill', backfill: 'no', to: 'paused' });
    expect(steer).toMatchObject({ fault: { code: 'BACKFILL_NOT_FOUND' } });
  });
});
