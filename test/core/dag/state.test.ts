import { describe, expect, test } from '@jest/globals';
import type { DagRow } from '../../../src/core/dag/rows.js';
import { assetsOf, DagState, mayCreate, NO_DAGS } from '../../../src/core/dag/state.js';
import type { WallMs } from '../../../src/kit/time.js';
import { DagWorld, dag, task } from './support.js';

const row = (dagId: string, change: Partial<DagRow> = {}): DagRow => ({
  ...{ dagId, version: 1, bundle: 'main', file: '', definitionVersion: 1, definitionHash: '' },
  ...{ schedule: { kind: 'none' as const }, startDate: null, endDate: null, catchup: false },
  ...{ maxActiveRuns: 16, description: '', tags: [], taskCount: 1, defaultParams: '{}' },
  ...{ active: true, paused: false, importError: null, firstSeenAt: 0 as WallMs, changedAt: 0 as WallMs },
  ...{ nextInstant: null, lastInstant: null, pendingAssets: [] },
  ...change,
});
const due = (dagId: string, at: number, change: Partial<DagRow> = {}) =>
  row(dagId, { nextInstant: at as WallMs, ...change });

describe('what is due', () => {
  const state = (dags: readonly DagRow[]) => new DagState({ ...NO_DAGS, dags });
  const names = (s: DagState, wall: number) => s.dueDags(wall as WallMs).map(({ dagId }) => dagId);

  test('are the DAGs whose instant has come, and nothing is looked at before the earliest', () => {
    const s = state([due('early', 10), due('late', 20), row('never')]);
    expect(s.nextInstant).toBe(10);
    expect(names(s, 9)).toEqual([]);
    expect(names(s, 15)).toEqual(['early']);
    expect(names(s, 20)).toEqual(['early', 'late']);
  });

  test('are none that are paused or gone', () => {
    expect(names(state([due('a', 1, { paused: true }), due('b', 1, { active: false })]), 5)).toEqual([]);
    expect([mayCreate(row('a')), mayCreate(row('a', { paused: true }))]).toEqual([true, false]);
  });
});

describe('the assets of a schedule', () => {
  test('are all those that its condition names, each once, however deep', () => {
    const asset = (name: string) => ({ kind: 'asset', asset: name }) as const;
    const condition = {
      kind: 'all',
      of: [asset('a'), { kind: 'any', of: [asset('b'), asset('a')] }],
    } as const;
    expect(assetsOf(row('d', { schedule: { kind: 'assets', condition } }))).toEqual(['a', 'b']);
    expect(assetsOf(row('d'))).toEqual([]);
    expect(assetsOf(undefined)).toEqual([]);
  });

  test('are forgotten when a newer definition has others', () => {
    const on = (asset: string) =>
      row('d', { schedule: { kind: 'assets', condition: { kind: 'asset', asset } } });
    const state = new DagState({ ...NO_DAGS, dags: [on('old')] });
    state.putDag(on('new'));
    expect([...state.dagsOfAsset.keys()]).toEqual(['new']);
  });
});

describe('what memory knows of runs', () => {
  test('is after a restart what it was before', async () => {
    const tasks = [task('a', { pool: 'p' }), task('b', { pool: 'p' }), task('c', { needs: ['a'] })];
    const w = await DagWorld.with([dag('d', tasks)]);
    await w.call({ action: 'set_pool', pool: 'p', slots: 1, description: '' });
    await w.trigger('d');
    const seen = () => {
      const { runs, poolUse, waiting, pools } = w.engine.state.dags;
      const [view] = runs.values();
      return {
        active: view?.active,
        tasks: [...(view?.tasks() ?? [])].map((name) => [name, [...(view?.of(name) ?? [])]]),
        use: [...poolUse],
        pools: [...pools],
        waiting: [...waiting].map(([pool, of]) => [pool, of.size]),
      };
    };
    const before = seen();
    await w.restart();
    expect(seen()).toEqual(before);
    expect(before.active).toBe(1);
  });
});
