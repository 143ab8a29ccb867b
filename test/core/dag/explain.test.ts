import { describe, expect, test } from '@jest/globals';
import type { DagCall } from '../../../src/core/dag/calls.js';
import type { RunRow } from '../../../src/core/dag/rows.js';
import { explain } from '../../../src/core/explain.js';
import { DagWorld, dag, task } from './support.js';

async function ask(w: DagWorld, run: RunRow, name: string): Promise<string[]> {
  const row = (await w.instances(run)).get(name);
  if (row === undefined) throw new Error(`no ${name}`);
  const { findings } = explain(w.engine.state, row, w.engine.context());
  return findings.map(({ code, message }) => `${code}: ${message}`);
}
async function advice(w: DagWorld, run: RunRow, name: string): Promise<string[]> {
  const row = (await w.instances(run)).get(name);
  if (row === undefined) throw new Error(`no ${name}`);
  return explain(w.engine.state, row, w.engine.context()).findings.map((finding) => finding.try);
}
const clear = (run: RunRow, name: string): DagCall => ({
  ...{ action: 'clear', run: run.run, tasks: [{ task: name, mapIndex: null }], upstream: false },
  ...{ downstream: true, onlyFailed: false, dryRun: false, reason: '' },
});

describe('an instance that waits is explained', () => {
  test('by its pool: who has its slots, or that nobody has made it', async () => {
    const w = await DagWorld.with([
      dag('d', [task('a', { pool: 'p' }), task('b', { pool: 'p', poolSlots: 2 })]),
    ]);
    const run = await w.trigger('d');
    expect(await ask(w, run, 'a')).toEqual(['pool_missing: there is no pool p']);
    expect(await advice(w, run, 'a')).toEqual(['holdfast pool set p SLOTS']);
    await w.call({ action: 'set_pool', pool: 'p', slots: 2, description: '' });
    expect(await ask(w, run, 'b')).toEqual([
      'pool_full: pool p has 2 slots, of which 1 are taken, and it needs 2',
    ]);
    await w.call({ action: 'delete_pool', pool: 'p' });
    expect(await ask(w, run, 'b')).toEqual(['pool_missing: there is no pool p']);
  });

  test('by the limit of its run', async () => {
    const w = await DagWorld.with([dag('d', [task('a'), task('b')], { maxActiveTasks: 1 })]);
    const run = await w.trigger('d');
    expect(await ask(w, run, 'b')).toEqual([
      'max_active_tasks: 1 instances of its run are queued or running, and its DAG allows no more',
    ]);
  });

  test('by the pause of its DAG, and by the needs that it waits for once more', async () => {
    const w = await DagWorld.with([dag('d', [task('a'), task('b'), task('c', { needs: ['a', 'b'] })])]);
    await w.worker();
    const run = await w.trigger('d');
    await w.finishAll();
    await w.call(clear(run, 'a'));
    expect(await ask(w, run, 'c')).toEqual([
      'needs_not_ended: was cleared, and waits for its needs: a has not ended',
    ]);
    await w.call({ action: 'pause', dagId: 'd', paused: true });
    expect((await ask(w, run, 'c'))[0]).toBe('dag_paused: DAG d is paused: its runs are held where they are');
  });

  test('by the runs of its DAG that go first', async () => {
    const w = await DagWorld.with([dag('d', [task('a')], { maxActiveRuns: 1 })]);
    await w.worker();
    const run = await w.trigger('d');
    await w.finishAll();
    await w.pass(200);
    await w.trigger('d');
    await w.call(clear(run, 'a'));
    expect((await ask(w, run, 'a'))[0]).toBe(
      'run_queued: its run is queued, because DAG d may have 1 running at once',
    );
  });
});

describe('a pool', () => {
  test('that is removed holds what waits in it, and is refused a second time', async () => {
    const w = await DagWorld.with([]);
    await w.call({ action: 'set_pool', pool: 'p', slots: 2, description: '' });
    const remove = { action: 'delete_pool', pool: 'p' } as const;
    expect(await w.call(remove)).toEqual({ kind: 'pool', pool: null });
    expect(await w.call(remove)).toMatchObject({ fault: { code: 'POOL_NOT_FOUND' } });
    await w.call({ action: 'set_pool', pool: 'p', slots: 3, description: '' });
    expect(w.engine.state.dags.slotsOf('p')).toBe(3);
  });

  test('called default_pool is unlimited until somebody has said otherwise, and again after a removal', async () => {
    const w = await DagWorld.with([]);
    const { dags } = w.engine.state;
    expect(dags.slotsOf('default_pool')).toBe(Number.POSITIVE_INFINITY);
    await w.call({ action: 'set_pool', pool: 'default_pool', slots: 2, description: '' });
    expect(dags.slotsOf('default_pool')).toBe(2);
    await w.call({ action: 'delete_pool', pool: 'default_pool' });
    expect(dags.slotsOf('default_pool')).toBe(Number.POSITIVE_INFINITY);
  });
});
