import { describe, expect, test } from '@jest/globals';
import { explainUndecided } from '../../../src/core/dag/explain-undecided.js';
import type { RunRow } from '../../../src/core/dag/rows.js';
import { DagWorld, dag, task } from './support.js';

function explained(w: DagWorld, run: RunRow, name: string) {
  const { state } = w.engine;
  const view = state.dags.runs.get(run.run);
  const plan = view && state.dags.planOf(view.row);
  if (view === undefined || plan === undefined) throw new Error(`run ${run.run} is not in memory`);
  return explainUndecided(state, view, plan, name, w.engine.context());
}
const said = (w: DagWorld, run: RunRow, name: string): string[] =>
  explained(w, run, name).findings.map(({ code, message }) => `${code}: ${message}`);

describe('a task of which nothing is decided yet is explained', () => {
  test('by the needs that have not ended, and by the pool that nobody has made', async () => {
    const w = await DagWorld.with([
      dag('d', [task('a'), task('b'), task('c', { needs: ['a', 'b'], pool: 'p', partitionPolicy: 'hold' })]),
    ]);
    const run = await w.trigger('d');
    expect(said(w, run, 'c')).toEqual([
      'needs_not_ended: waits for its needs: a, b have not ended',
      'pool_missing: there is no pool p',
    ]);
    const { summary, guarantee, next } = explained(w, run, 'c');
    expect(summary).toBe('nothing of it is decided yet; its run is running');
    expect(guarantee).toMatch(/^hold: /);
    expect(next).toEqual([]);
  });

  test('by a pool that has no room for it, and by the limit of its run', async () => {
    const w = await DagWorld.with([
      dag('d', [task('a', { pool: 'p' }), task('b', { needs: ['a'], pool: 'p' })], { maxActiveTasks: 1 }),
    ]);
    await w.call({ action: 'set_pool', pool: 'p', slots: 1, description: '' });
    const run = await w.trigger('d');
    expect(said(w, run, 'b')).toEqual([
      'needs_not_ended: waits for its needs: a has not ended',
      'pool_full: pool p has 1 slots, of which 1 are taken, and it needs 1',
      'max_active_tasks: 1 instances of its run are queued or running, and its DAG allows no more',
    ]);
  });

  test('by the pause of its DAG, and by the runs that go first', async () => {
    const w = await DagWorld.with([dag('d', [task('a')], { maxActiveRuns: 1 })]);
    await w.trigger('d');
    await w.pass(200);
    const second = await w.trigger('d');
    expect(said(w, second, 'a')[0]).toBe(
      'run_queued: its run is queued, because DAG d may have 1 running at once',
    );
    await w.call({ action: 'pause', dagId: 'd', paused: true });
    expect(said(w, second, 'a')[0]).toBe('dag_paused: DAG d is paused: its runs are held where they are');
    expect(explained(w, second, 'a').summary).toBe('nothing of it is decided yet; its run is queued');
  });

  test('by when its run fails, where that has a time limit', async () => {
    const w = await DagWorld.with([
      dag('d', [task('a'), task('b', { needs: ['a'] })], { dagrunTimeoutMs: 60_000 }),
    ]);
    const run = await w.trigger('d');
    await w.pass(10_000);
    expect(explained(w, run, 'b').next).toEqual([
      { code: 'run_timed_out', inMs: 50_000, message: 'its run fails, having run for too long' },
    ]);
  });
});
