import { describe, expect, test } from '@jest/globals';
import type { DagCallOf } from '../../../src/core/dag/calls.js';
import { ASSET_EVENTS_KEPT, eventsGoUntil } from '../../../src/core/dag/retention.js';
import { type RunRow, runKeyOf } from '../../../src/core/dag/rows.js';
import { DEFAULT_POLICY } from '../../../src/core/policy.js';
import type { TaskRow } from '../../../src/core/rows.js';
import type { WallMs } from '../../../src/kit/time.js';
import { DagWorld, dag, NEW_YEAR, task } from './support.js';
import { everyMinute, INTERVALS, MINUTE } from './support-time.js';

const HOUR = 3_600_000;
const D = dag('d', [task('a'), task('b', { needs: ['a'] })]);
const keeping = async (count = 1_000) => {
  const retention = { ...DEFAULT_POLICY.retention, ageMs: HOUR, count };
  const w = await DagWorld.with([D], undefined, { retention });
  await w.worker();
  return w;
};
const clear = (run: string) => ({
  ...({ action: 'clear', run, tasks: [], upstream: false, downstream: false } as const),
  ...{ onlyFailed: false, dryRun: false, reason: '' },
});

describe('retention of runs', () => {
  test('a run goes with the last of its instances, once it has ended long enough ago', async () => {
    const w = await keeping();
    const run = await w.trigger('d');
    await w.finishAll();
    await w.pass(HOUR / 2, 2_000);
    expect((await w.runs('d')).length).toBe(1);
    await w.pass(HOUR / 2 + 10_000, 2_000);
    expect(await w.runs('d')).toEqual([]);
    expect(await w.instances(run)).toEqual(new Map());
  });

  test('a run that goes on keeps all of its instances, however old', async () => {
    const w = await keeping();
    const run = await w.trigger('d');
    await w.finish('all');
    await w.pass(3 * HOUR, 2_000);
    expect(await w.states(run)).toEqual({ a: 'success', b: 'running' });
    await w.finish('all');
    expect((await w.run(run)).state).toBe('success');
  });

  test('a run that never began stays for its age, and then goes', async () => {
    const w = await keeping();
    await w.call({ action: 'pause', dagId: 'd', paused: true });
    await w.call({ action: 'pause', dagId: 'd', paused: false });
    const run = await w.trigger('d');
    await w.call({ action: 'end_run', run: run.run, as: 'cancelled', reason: '' });
    await w.finishAll();
    await w.pass(2 * HOUR, 2_000);
    expect(await w.runs('d')).toEqual([]);
  });

  test('a definition goes with the last run that pins it, never the newest', async () => {
    const w = await keeping();
    await w.trigger('d');
    await w.define(dag('d', [task('new')]));
    await w.finishAll();
    const versions = async () =>
      (await w.store.readDagVersions([1, 2].map((definitionVersion) => ({ dagId: 'd', definitionVersion }))))
        .length;
    expect(await versions()).toBe(2);
    await w.pass(2 * HOUR, 2_000);
    expect(await versions()).toBe(1);
    await w.trigger('d');
    await w.finishAll();
    await w.pass(2 * HOUR, 2_000);
    expect(await versions()).toBe(1);
  });

  test('a run of which instances have gone is not cleared: what is left is no run of its definition', async () => {
    const w = await keeping(1);
    const run = await w.trigger('d');
    await w.finishAll();
    await w.pass(4_000, 1_000);
    expect([...(await w.instances(run)).keys()]).toEqual(['b']);
    expect(await w.call(clear(run.run) as never)).toMatchObject({ fault: { code: 'RUN_PRUNED' } });
  });

  const mapped = async (count: number) => {
    const list = task('m', { expand: '{{ params.list }}' });
    const values = { type: 'array' as const, default: [1, 2, 3], description: '', oneOf: [] };
    const params = { list: { ...values, minimum: null, maximum: null } };
    const retention = { ...DEFAULT_POLICY.retention, ageMs: HOUR, count };
    const w = await DagWorld.with([dag('l', [list, task('z', { needs: ['m'] })], { params })], undefined, {
      retention,
    });
    await w.worker();
    const run = await w.trigger('l');
    return { w, run };
  };

  test.each([
    ['last', ['m[2]', 'm[0]', 'm[1]']],
    ['first', ['m[0]', 'm[1]', 'm[2]']],
  ])(
    'nor is one that has lost the %s of a list, and none of its instances is tried again',
    async (_, order) => {
      const { w, run } = await mapped(3);
      for (const name of order) {
        await w.finish({ [name]: {} });
        await w.pass(10, 10);
      }
      await w.finishAll();
      await w.pass(4_000, 1_000);
      const left = await w.instances(run);
      expect([...left.keys()].sort()).toEqual([...order.slice(1), 'z']);
      expect(await w.call(clear(run.run) as never)).toMatchObject({
        fault: { code: 'RUN_PRUNED', because: expect.stringContaining('of its 4 instances 3 are left') },
      });
      const { taskId } = left.get('z') as TaskRow;
      const retry = w.engine.call((callId) => ({ kind: 'retry', callId, taskId, reason: '' }));
      await w.idle();
      expect(await retry).toMatchObject({ fault: { code: 'RUN_PRUNED' } });
      const steered = w.engine.call((callId) => ({
        ...{
          kind: 'steer',
          callId,
          steering: { action: 'retry' },
          chosen: { labels: {} },
          taskIds: [taskId],
        },
        ...{ reason: '', dryRun: false },
      }));
      await w.idle();
      expect(await steered).toMatchObject({ done: [], skipped: new Map([['run_pruned', 1]]) });
      expect(await w.running()).toEqual([]);
    },
  );

  test('nor does a backfill have it done again', async () => {
    const retention = { ...DEFAULT_POLICY.retention, ageMs: HOUR, count: 1 };
    const timed = everyMinute({ tasks: [task('a'), task('b', { needs: ['a'] })], catchup: false });
    const w = await DagWorld.with([timed], INTERVALS, { retention });
    await w.worker();
    const logicalDate = (NEW_YEAR - MINUTE) as WallMs;
    await w.call({ action: 'trigger', dagId: 'd', runId: 'x', logicalDate, params: {} });
    await w.finishAll();
    await w.pass(4_000, 1_000);
    const run = { run: runKeyOf('d', 'x') };
    expect([...(await w.instances(run as RunRow)).keys()]).toEqual(['b']);
    await w.call({
      ...{ action: 'backfill', dagId: 'd', backfill: 'late', from: logicalDate, to: logicalDate, params: {} },
      ...{ maxActiveRuns: 10, reprocess: 'completed', dryRun: false },
    });
    await w.pass(1_000);
    expect((await w.run(run)).state).toBe('success');
    expect(await w.store.listBackfills(null, null, 9)).toMatchObject([
      { backfill: 'late', state: 'completed' },
    ]);
  });

  test('one that has all of its instances is cleared, whatever else has gone', async () => {
    const { w, run } = await mapped(4);
    await w.finishAll();
    await w.pass(4_000, 1_000);
    expect(await w.call(clear(run.run) as never)).toMatchObject({ kind: 'instances' });
    expect(await w.running()).toEqual(['m[0]', 'm[1]', 'm[2]']);
  });
});

describe('retention of backfills', () => {
  const at = (n: number) => (NEW_YEAR + n * MINUTE) as WallMs;
  const asked = (backfill: string): DagCallOf<'backfill'> => ({
    ...{ action: 'backfill', dagId: 'd', backfill, from: at(-4), to: at(-2), params: {} },
    ...{ maxActiveRuns: 10, reprocess: 'none', dryRun: false },
  });
  const made = async (w: DagWorld) =>
    (await w.store.listBackfills(null, null, 9)).map(({ backfill, state }) => `${backfill} ${state}`);

  test('one goes once it is old and none of its runs is left, also one that had none', async () => {
    const retention = { ...DEFAULT_POLICY.retention, ageMs: HOUR };
    const w = await DagWorld.with([everyMinute()], INTERVALS, { retention });
    await w.worker();
    await w.call(asked('early'));
    await w.pass(200);
    await w.finishAll();
    await w.call({ action: 'pause', dagId: 'd', paused: true });
    await w.call({ action: 'pause', dagId: 'd', paused: false });
    await w.call(asked('taken'));
    await w.pass(HOUR / 2, 2_000);
    expect(await made(w)).toEqual(['taken completed', 'early completed']);
    expect(await w.store.listRuns({ backfill: 'taken' }, null, 9)).toEqual([]);
    await w.pass(HOUR / 2 + 10_000, 2_000);
    expect(await made(w)).toEqual([]);
  });

  test('one that goes on stays, however old', async () => {
    const retention = { ...DEFAULT_POLICY.retention, ageMs: HOUR };
    const w = await DagWorld.with([everyMinute()], INTERVALS, { retention });
    await w.worker();
    await w.call(asked('held'));
    await w.call({ action: 'steer_backfill', backfill: 'held', to: 'paused' });
    await w.pass(2 * HOUR, 2_000);
    expect(await made(w)).toEqual(['held paused']);
  });

  test('one that was cancelled stays for as long as a run goes on in its turn, and its name is not given again before', async () => {
    const retention = { ...DEFAULT_POLICY.retention, ageMs: HOUR };
    const w = await DagWorld.with([everyMinute()], INTERVALS, { retention });
    await w.worker();
    await w.call({ action: 'trigger', dagId: 'd', runId: 'x', logicalDate: at(-4), params: {} });
    await w.finishAll();
    await w.call({ ...asked('again'), to: at(-4), reprocess: 'completed' });
    await w.pass(200);
    await w.call({ action: 'steer_backfill', backfill: 'again', to: 'cancelled' });
    await w.pass(3 * HOUR, 2_000);
    const [x] = await w.store.readRuns([runKeyOf('d', 'x')]);
    expect(x).toMatchObject({ state: 'running', rerunBy: 'again' });
    expect(await made(w)).toEqual(['again cancelled']);
    expect(await w.call(asked('again'))).toMatchObject({ fault: { code: 'BACKFILL_EXISTS' } });
    await w.finishAll();
    await w.pass(2 * HOUR, 2_000);
    expect(await made(w)).toEqual([]);
  });
});

describe('retention of asset events', () => {
  test('keeps the newest, by their number', () => {
    expect([eventsGoUntil(ASSET_EVENTS_KEPT), eventsGoUntil(ASSET_EVENTS_KEPT + 7)]).toEqual([0, 7]);
  });

  test('removes what is older in small steps, whatever else there is to remove', async () => {
    const w = await keeping();
    await w.trigger('d');
    await w.finishAll();
    await w.storeEvents(1_200, ASSET_EVENTS_KEPT + 1_100);
    await w.restart();
    await w.pass(20_000, 1_000);
    const left = await w.store.listAssetEvents(null, null, 9_999);
    const kept = Array.from({ length: 100 }, (_, i) => 1_200 - i);
    expect(left.map(({ n }) => n)).toEqual([ASSET_EVENTS_KEPT + 1_100, ...kept]);
  });
});
