import { describe, expect, test } from '@jest/globals';
import { EXTRA_BYTES, nameAssets } from '../../../src/core/dag/assets.js';
import type { AssetCondition } from '../../../src/core/dag/definition.js';
import { NOTHING_OF_DAGS } from '../../../src/core/dag/inputs.js';
import { Draft } from '../../../src/core/draft.js';
import { DagWorld, dag, task } from './support.js';

const onAsset = (asset: string): AssetCondition => ({ kind: 'asset', asset });
const emit = (asset: string, extra = '') => ({ action: 'emit_asset', asset, extra }) as const;

function draftOf(w: DagWorld): Draft {
  const rows = { tasks: new Map(), histories: new Map(), byKey: new Map(), due: [], finished: null };
  return new Draft(w.engine.state, w.engine.context(), { ...rows, dags: NOTHING_OF_DAGS });
}

describe('assets', () => {
  test('every one that a definition names has a row: of its schedule, and what its tasks read and update', async () => {
    const w = await DagWorld.with([]);
    const draft = draftOf(w);
    const schedule = {
      kind: 'assets',
      condition: { kind: 'any', of: [onAsset('a'), onAsset('b')] },
    } as const;
    nameAssets(draft, dag('d', [task('t', { inlets: ['a', 'in'], outlets: ['out'] })], { schedule }));
    expect([...draft.dags.assets.keys()]).toEqual(['a', 'b', 'in', 'out']);
    expect(draft.dags.assets.get('out')).toMatchObject({ version: 1, lastEvent: 0, lastEventAt: null });
  });

  test('the success of an instance updates its outlets, a failure and a mark do not', async () => {
    const tasks = [
      task('ok', { outlets: ['x', 'y'] }),
      task('bad', { outlets: ['z'] }),
      task('said', { outlets: ['z'] }),
    ];
    const w = await DagWorld.with([dag('d', tasks)]);
    await w.worker();
    const run = await w.trigger('d');
    await w.finish({ ok: {}, bad: { kind: 'failed', reason: 'exit_code' } });
    const choice = [{ task: 'said', mapIndex: null }];
    await w.call({ action: 'mark', run: run.run, tasks: choice, as: 'success', reason: '' });
    await w.finish({ said: { kind: 'killed' } });
    const source = { run: run.run, task: 'ok', mapIndex: -1 };
    expect(await w.store.listAssetEvents(null, null, 9)).toEqual([
      { n: 2, asset: 'y', at: w.wall, source, extra: '' },
      { n: 1, asset: 'x', at: w.wall, source, extra: '' },
    ]);
    expect(w.engine.state.dags.assets.get('x')).toMatchObject({ lastEvent: 1, lastEventAt: w.wall });
  });

  test('a success that is reported after a restart updates them too, with numbers that go on', async () => {
    const w = await DagWorld.with([
      dag('d', [task('a', { outlets: ['x'] }), task('b', { needs: ['a'], outlets: ['x'] })]),
    ]);
    await w.worker();
    await w.trigger('d');
    await w.finish({ a: {} });
    await w.restart();
    await w.pass(20_000);
    await w.worker();
    await w.pass(20_000);
    await w.finish({ b: {} });
    expect((await w.store.listAssetEvents('x', null, 9)).map(({ n }) => n)).toEqual([2, 1]);
  });

  test('an instance that is cleared and succeeds again updates them again', async () => {
    const w = await DagWorld.with([dag('d', [task('a', { outlets: ['x'] })])]);
    await w.worker();
    const run = await w.trigger('d');
    await w.finishAll();
    const none = { tasks: [], upstream: false, downstream: false, onlyFailed: false, dryRun: false };
    await w.call({ action: 'clear', run: run.run, ...none, reason: '' });
    expect((await w.store.listAssetEvents('x', null, 9)).length).toBe(1);
    await w.finishAll();
    expect((await w.store.listAssetEvents('x', null, 9)).length).toBe(2);
  });
});

describe('an event from outside', () => {
  test('is one like any other, and carries what it is given', async () => {
    const w = await DagWorld.with([dag('d', [task('a', { outlets: ['x'] })])]);
    await w.worker();
    await w.trigger('d');
    await w.finishAll();
    expect(await w.call(emit('x', '{"rows":3}'))).toEqual({
      kind: 'asset_event',
      event: { n: 2, asset: 'x', at: w.wall, source: null, extra: '{"rows":3}' },
    });
  });

  test('of an asset that no DAG names, or with too much in it, is refused', async () => {
    const w = await DagWorld.with([dag('d', [task('a', { outlets: ['x'] })])]);
    expect(await w.call(emit('x'))).toMatchObject({ fault: { code: 'ASSET_NOT_FOUND' } });
    await w.worker();
    await w.trigger('d');
    await w.finishAll();
    expect(await w.call(emit('x', 'x'.repeat(EXTRA_BYTES)))).toMatchObject({ kind: 'asset_event' });
    expect(await w.call(emit('x', 'ä'.repeat(EXTRA_BYTES / 2 + 1)))).toMatchObject({
      fault: { code: 'EXTRA_TOO_LARGE' },
    });
  });
});
