import { describe, expect, test } from '@jest/globals';
import type { DagCall } from '../../../src/core/dag/calls.js';
import type { RunKey, RunRow } from '../../../src/core/dag/rows.js';
import { DagWorld, dag, NEW_YEAR, task } from './support.js';
import { everyMinute, INTERVALS, MINUTE } from './support-time.js';

const end = (run: RunRow, as: 'cancelled' | 'success' | 'failed'): DagCall => ({
  ...{ action: 'end_run', run: run.run, as, reason: '' },
});

describe('one run per DAG and instant', () => {
  test.each(['scheduled', 'chosen'] as const)(
    'holds for a run by hand that names the instant of one with a %s name',
    async (name) => {
      const w = await DagWorld.with([everyMinute()], INTERVALS);
      const logicalDate = (NEW_YEAR + MINUTE) as typeof NEW_YEAR;
      const ask = (runId: string) =>
        w.call({ action: 'trigger', dagId: 'd', runId, logicalDate, params: {} });
      if (name === 'scheduled') await w.pass(MINUTE, 1_000);
      else await ask('chosen');
      for (const runId of ['', 'another'])
        expect(await ask(runId)).toMatchObject({ kind: 'refused', fault: { code: 'RUN_EXISTS' } });
      expect(await w.runs('d')).toHaveLength(1);
    },
  );

  test('holds for two calls that are decided together', async () => {
    const w = await DagWorld.with([everyMinute()], INTERVALS);
    const logicalDate = (NEW_YEAR + MINUTE) as typeof NEW_YEAR;
    const ask = (runId: string) => w.call({ action: 'trigger', dagId: 'd', runId, logicalDate, params: {} });
    const replies = await Promise.all([ask('one'), ask('two')]);
    expect(replies.map(({ kind }) => kind).sort()).toEqual(['refused', 'run']);
  });

  test.each(['', 'chosen'])(
    'an ended run called "%s" keeps its instant from the schedule, over a restart',
    async (runId) => {
      const w = await DagWorld.with([everyMinute()], INTERVALS);
      await w.worker();
      const logicalDate = (NEW_YEAR + MINUTE) as typeof NEW_YEAR;
      await w.call({ action: 'trigger', dagId: 'd', runId, logicalDate, params: {} });
      await w.finishAll();
      await w.restart();
      await w.pass(2 * MINUTE, 1_000);
      expect((await w.runs('d')).map(({ type }) => type)).toEqual(['manual', 'scheduled']);
    },
  );
});

describe('a run that is ended by hand', () => {
  const tasks = [task('a'), task('b'), task('c', { needs: ['a'] })];

  test('has what waits cancelled at once, and ends when the agents of what runs have answered (P15)', async () => {
    const w = await DagWorld.with([dag('d', tasks, { maxActiveTasks: 1 })]);
    await w.worker();
    const run = await w.trigger('d');
    await w.call(end(run, 'cancelled'));
    expect(await w.states(run)).toEqual({ a: 'running', b: 'cancelled' });
    expect(await w.run(run)).toMatchObject({ state: 'running', reason: 'cancel_requested' });
    await w.finish({ a: { kind: 'killed' } });
    expect(await w.states(run)).toEqual({ a: 'cancelled', b: 'cancelled' });
    expect(await w.run(run)).toMatchObject({ state: 'cancelled', reason: 'cancelled', endedAt: w.wall });
  });

  test('ends as it was said, even if its DAG is paused, or it was never begun', async () => {
    for (const as of ['success', 'failed'] as const) {
      const w = await DagWorld.with([dag('d', tasks, { maxActiveRuns: 1 })]);
      const run = await w.trigger('d');
      await w.pass(200);
      const queued = await w.trigger('d');
      await w.call({ action: 'pause', dagId: 'd', paused: true });
      await w.call(end(run, as));
      await w.call(end(queued, as));
      expect(await w.run(run)).toMatchObject({ state: as, reason: 'marked' });
      expect(await w.run(queued)).toMatchObject({ state: as, reason: 'marked', startedAt: null });
    }
  });

  test('goes on ending after a kill of the coordinator', async () => {
    const w = await DagWorld.with([dag('d', tasks)]);
    await w.worker();
    const run = await w.trigger('d');
    await w.call(end(run, 'cancelled'));
    await w.restart();
    await w.pass(40_000);
    expect(await w.run(run)).toMatchObject({ state: 'cancelled' });
  });

  test('is ended step by step when it has thousands of instances', async () => {
    const list = { type: 'array' as const, description: '', oneOf: [], minimum: null, maximum: null };
    const params = { list: { ...list, default: Array.from({ length: 1_200 }, (_, n) => n) } };
    const w = await DagWorld.with([dag('d', [task('each', { expand: '{{ params.list }}' })], { params })]);
    const run = await w.trigger('d');
    await w.call(end(run, 'cancelled'));
    expect((await w.run(run)).state).toBe('cancelled');
    expect(new Set(Object.values(await w.states(run)))).toEqual(new Set(['cancelled']));
  });

  test('and has ended already is not cancelled, but may count as something else', async () => {
    const w = await DagWorld.with([dag('d', [task('a')])]);
    await w.worker();
    const run = await w.trigger('d');
    await w.finishAll();
    expect(await w.call(end(run, 'cancelled'))).toMatchObject({ fault: { code: 'RUN_ENDED' } });
    await w.call(end(run, 'failed'));
    expect(await w.run(run)).toMatchObject({ state: 'failed', reason: 'marked' });
    const none = { ...run, run: 'd/none' as RunKey };
    expect(await w.call(end(none, 'cancelled'))).toMatchObject({ fault: { code: 'RUN_NOT_FOUND' } });
  });
});
