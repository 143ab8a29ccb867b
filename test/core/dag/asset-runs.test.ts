import { describe, expect, test } from '@jest/globals';
import type { AssetCondition, DagDefinition } from '../../../src/core/dag/definition.js';
import { DagWorld, dag, task } from './support.js';

const on = (asset: string): AssetCondition => ({ kind: 'asset', asset });
const reader = (condition: AssetCondition, change: Partial<DagDefinition> = {}) =>
  dag('reader', [task('r')], { schedule: { kind: 'assets', condition }, ...change });

/** A world in which events of the assets a, b and c may be told of. */
async function world(condition: AssetCondition, change: Partial<DagDefinition> = {}): Promise<DagWorld> {
  const maker = dag('maker', [task('m', { outlets: ['a', 'b', 'c'] })]);
  const w = await DagWorld.with([maker, reader(condition, change)]);
  for (const asset of ['a', 'b', 'c']) {
    const rows = { version: 1, lastEvent: 0, lastEventAt: null };
    w.engine.state.dags.assets.set(asset, { asset, ...rows });
    await w.storeAsset({ asset, ...rows });
  }
  return w;
}

const consumed = async (w: DagWorld) =>
  (await w.runs('reader')).map((run) =>
    run.consumed.map(({ asset, count, first, last }) => `${asset}: ${count} (${first}-${last})`),
  );
const pending = (w: DagWorld) =>
  (w.engine.state.dags.dags.get('reader')?.pendingAssets ?? []).map(
    ({ asset, count }) => `${asset}: ${count}`,
  );
const emit = async (w: DagWorld, ...assets: readonly string[]) => {
  for (const asset of assets) await w.call({ action: 'emit_asset', asset, extra: '' });
};

describe('a schedule of assets', () => {
  test('makes one run when all have had an event, which takes every event that there is', async () => {
    const w = await world({ kind: 'all', of: [on('a'), on('b')] });
    await emit(w, 'a', 'a', 'c');
    expect([await consumed(w), pending(w)]).toEqual([[], ['a: 2']]);
    await emit(w, 'b');
    expect([await consumed(w), pending(w)]).toEqual([[['a: 2 (1-2)', 'b: 1 (4-4)']], []]);
    expect((await w.runs('reader'))[0]).toMatchObject({ type: 'asset_triggered', logicalDate: null });
  });

  test('makes one with any, and nests', async () => {
    const w = await world({ kind: 'any', of: [on('a'), { kind: 'all', of: [on('b'), on('c')] }] });
    await emit(w, 'b');
    expect(await consumed(w)).toEqual([]);
    await emit(w, 'a');
    expect(await consumed(w)).toEqual([['b: 1 (1-1)', 'a: 1 (2-2)']]);
    await emit(w, 'c', 'b');
    expect((await consumed(w))[1]).toEqual(['c: 1 (3-3)', 'b: 1 (4-4)']);
  });

  test('is followed by the end of the instance that made the asset', async () => {
    const w = await world(on('b'));
    await w.worker();
    await w.trigger('maker');
    await w.finish({ m: {} });
    expect(await consumed(w)).toEqual([['b: 1 (2-2)']]);
    expect(await w.running()).toEqual(['r']);
  });

  test('of a paused DAG gathers its events, and the end of the pause makes one run of them', async () => {
    const w = await world(on('a'));
    await w.call({ action: 'pause', dagId: 'reader', paused: true });
    await emit(w, 'a', 'a', 'a');
    await w.restart();
    expect([await consumed(w), pending(w)]).toEqual([[], ['a: 3']]);
    await w.call({ action: 'pause', dagId: 'reader', paused: false });
    expect([await consumed(w), pending(w)]).toEqual([[['a: 3 (1-3)']], []]);
  });

  test('of a DAG that has all the runs it may have gathers its events until one ends', async () => {
    const w = await world(on('a'), { maxActiveRuns: 1 });
    await w.worker();
    await emit(w, 'a', 'a', 'a');
    expect([await consumed(w), pending(w)]).toEqual([[['a: 1 (1-1)']], ['a: 2']]);
    await w.finish('all');
    expect([await consumed(w), pending(w)]).toEqual([[['a: 1 (1-1)'], ['a: 2 (2-3)']], []]);
  });

  test('loses no event and takes none twice when the coordinator is killed between an event and its run', async () => {
    const w = await world(on('a'));
    await w.call({ action: 'pause', dagId: 'reader', paused: true });
    await emit(w, 'a');
    const dagRow = w.engine.state.dags.dags.get('reader');
    if (dagRow === undefined) throw new Error('no DAG');
    // As if it was killed right behind the commit of the event.
    await w.storeDag({ ...dagRow, paused: false, version: dagRow.version + 1 });
    await w.restart();
    expect([await consumed(w), pending(w)]).toEqual([[['a: 1 (1-1)']], []]);
    await w.restart();
    expect((await consumed(w)).length).toBe(1);
  });
});
