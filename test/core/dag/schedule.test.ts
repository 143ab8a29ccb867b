import { describe, expect, test } from '@jest/globals';
import type { WallMs } from '../../../src/kit/time.js';
import { DagWorld, NEW_YEAR } from './support.js';
import { everyMinute, INTERVALS, MINUTE } from './support-time.js';

const minutes = async (w: DagWorld) =>
  (await w.runs('d')).map(({ logicalDate }) => ((logicalDate ?? 0) - NEW_YEAR) / MINUTE);

describe('a schedule', () => {
  test('makes a run at each of its instants, with no agent connected (I9)', async () => {
    const w = await DagWorld.with([everyMinute()], INTERVALS);
    await w.pass(3 * MINUTE, 1_000);
    expect(await minutes(w)).toEqual([1, 2, 3]);
    const [first] = await w.runs('d');
    expect(first).toMatchObject({
      ...{ type: 'scheduled', runId: 'scheduled__2026-01-01T00:01:00.000Z', state: 'running' },
      ...{ intervalStart: NEW_YEAR, intervalEnd: NEW_YEAR + MINUTE },
    });
  });

  test('whose coordinator was away makes one run of the newest missed instant, or all of them to catch up', async () => {
    for (const [catchup, expected] of [
      [false, [1, 4]],
      [true, [1, 2, 3, 4]],
    ] as const) {
      const w = await DagWorld.with([everyMinute({ catchup })], INTERVALS);
      await w.pass(MINUTE, 1_000);
      w.clockwork.now += 3 * MINUTE;
      await w.restart();
      expect(await minutes(w)).toEqual(expected);
    }
  });

  test('with a start date in the past is caught up from there, in many small steps', async () => {
    const startDate = (NEW_YEAR - 40 * MINUTE) as WallMs;
    const w = await DagWorld.with([everyMinute({ catchup: true, startDate, maxActiveRuns: 100 })], INTERVALS);
    await w.pass(1_000);
    expect((await minutes(w)).length).toBe(41);
    expect((await minutes(w))[0]).toBe(-40);
  });

  test('of a paused DAG makes nothing; after the pause only the newest instant gets its run', async () => {
    const w = await DagWorld.with([everyMinute()], INTERVALS);
    await w.call({ action: 'pause', dagId: 'd', paused: true });
    await w.pass(3 * MINUTE, 1_000);
    expect(await minutes(w)).toEqual([]);
    await w.call({ action: 'pause', dagId: 'd', paused: false });
    await w.pass(200);
    expect(await minutes(w)).toEqual([3]);
  });

  test('of a DAG that has all the runs it may have makes no more of them until one ends', async () => {
    const w = await DagWorld.with([everyMinute({ maxActiveRuns: 1 })], INTERVALS);
    await w.pass(3 * MINUTE, 1_000);
    expect(await minutes(w)).toEqual([1]);
    await w.worker();
    await w.finishAll();
    await w.pass(200);
    expect(await minutes(w)).toEqual([1, 3]);
  });

  test('whose DAG is blocked holds up no other: a thousand that are due are served tick after tick', async () => {
    const many = Array.from({ length: 1_000 }, (_, n) => ({ ...everyMinute(), dagId: `d${n}` }));
    const blocked = Array.from({ length: 600 }, (_, n) => ({
      ...everyMinute({ maxActiveRuns: 1 }),
      dagId: `b${n}`,
    }));
    const w = await DagWorld.with([...blocked, ...many], INTERVALS);
    await w.pass(MINUTE, MINUTE);
    expect(w.engine.state.dags.runs.size).toBe(1_600);
    await w.pass(MINUTE, MINUTE);
    expect(w.engine.state.dags.runs.size).toBe(2_600);
  });

  test('ends with its end date', async () => {
    const w = await DagWorld.with([everyMinute({ endDate: (NEW_YEAR + 2 * MINUTE) as WallMs })], INTERVALS);
    await w.pass(5 * MINUTE, 1_000);
    expect(await minutes(w)).toEqual([1, 2]);
    expect(w.engine.state.dags.dags.get('d')?.nextInstant).toBeNull();
  });

  test('of a DAG that a newer snapshot came without makes no more runs', async () => {
    const w = await DagWorld.with([everyMinute()], INTERVALS);
    await w.pass(MINUTE, 1_000);
    await w.define(everyMinute(), { active: false });
    await w.pass(3 * MINUTE, 1_000);
    expect(await minutes(w)).toEqual([1]);
  });

  test('gives its runs the default params of its definition', async () => {
    const params = {
      n: { type: 'integer' as const, default: 7, description: '', oneOf: [], minimum: null, maximum: null },
    };
    const w = await DagWorld.with([everyMinute({ params })], INTERVALS);
    await w.pass(MINUTE, 1_000);
    expect((await w.runs('d')).map((run) => run.params)).toEqual(['{"n":7}']);
  });
});
