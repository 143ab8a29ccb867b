import { describe, expect, test } from '@jest/globals';
import type { DagCall } from '../../../src/core/dag/calls.js';
import type { WallMs } from '../../../src/kit/time.js';
import { DagWorld, dag, NEW_YEAR, task } from './support.js';

const trigger = (change: Partial<Extract<DagCall, { action: 'trigger' }>> = {}): DagCall => ({
  ...{ action: 'trigger', dagId: 'd', runId: '', logicalDate: null, params: {} },
  ...change,
});

async function faultOf(w: DagWorld, call: DagCall): Promise<string> {
  const reply = await w.call(call);
  return reply.kind === 'refused' ? reply.fault.code : reply.kind;
}

describe('a run by hand', () => {
  const params = {
    n: { type: 'integer' as const, default: 1, description: '', oneOf: [], minimum: null, maximum: 9 },
  };

  test('gets its params checked, the rest filled in, and its data interval', async () => {
    const w = await DagWorld.with([dag('d', [task('a')], { params })]);
    const reply = await w.call(trigger({ params: { n: 4 } }));
    expect(reply).toMatchObject({
      run: { type: 'manual', params: '{"n":4}', logicalDate: w.wall, intervalStart: w.wall },
    });
    await w.pass(200);
    expect(await w.call(trigger())).toMatchObject({ run: { params: '{"n":1}' } });
  });

  test('is refused with a reason when it cannot be made', async () => {
    const w = await DagWorld.with([dag('d', [task('a')], { params })]);
    expect(await faultOf(w, trigger({ dagId: 'other' }))).toBe('DAG_NOT_FOUND');
    expect(await faultOf(w, trigger({ params: { n: 'many' } }))).toBe('INVALID_PARAMS');
    expect(await faultOf(w, trigger({ params: { m: 1 } }))).toBe('INVALID_PARAMS');
    await w.call({ action: 'pause', dagId: 'd', paused: true });
    expect(await faultOf(w, trigger())).toBe('DAG_PAUSED');
    await w.define(dag('d', [task('a')]), { active: false });
    expect(await faultOf(w, trigger())).toBe('DAG_NOT_FOUND');
    expect(await w.runs('d')).toEqual([]);
  });

  test('of an id that has a run already is refused, whether that run has ended or not', async () => {
    const w = await DagWorld.with([dag('d', [task('a')])]);
    await w.worker();
    expect(await faultOf(w, trigger({ runId: 'mine' }))).toBe('run');
    expect(await faultOf(w, trigger({ runId: 'mine' }))).toBe('RUN_EXISTS');
    await w.finishAll();
    await w.restart();
    expect(await faultOf(w, trigger({ runId: 'mine' }))).toBe('RUN_EXISTS');
    expect((await w.runs('d')).length).toBe(1);
  });

  test('has the logical date that it is given', async () => {
    const w = await DagWorld.with([dag('d', [task('a')])]);
    const logicalDate = (NEW_YEAR - 86_400_000) as WallMs;
    expect(await w.call(trigger({ logicalDate }))).toMatchObject({
      run: { logicalDate, runId: 'manual__2025-12-31T00:00:00.000Z' },
    });
  });
});

describe('a pause', () => {
  test('holds runs where they are, lets what runs go on, and its end lets them go on', async () => {
    const w = await DagWorld.with([dag('d', [task('a'), task('b', { needs: ['a'] })])]);
    await w.worker();
    const run = await w.trigger('d');
    await w.call({ action: 'pause', dagId: 'd', paused: true });
    await w.finish('all');
    expect(await w.states(run)).toEqual({ a: 'success' });
    await w.restart();
    await w.pass(20_000);
    expect(await w.states(run)).toEqual({ a: 'success' });
    await w.call({ action: 'pause', dagId: 'd', paused: false });
    expect(await w.states(run)).toEqual({ a: 'success', b: 'queued' });
  });

  test('of a DAG that is paused already changes nothing', async () => {
    const w = await DagWorld.with([dag('d', [task('a')])]);
    await w.call({ action: 'pause', dagId: 'd', paused: true });
    const version = w.engine.state.dags.dags.get('d')?.version;
    await w.call({ action: 'pause', dagId: 'd', paused: true });
    expect(w.engine.state.dags.dags.get('d')?.version).toBe(version);
    expect(await faultOf(w, { action: 'pause', dagId: 'other', paused: true })).toBe('DAG_NOT_FOUND');
  });
});
