import { describe, expect, test } from '@jest/globals';
import { runIdOf } from '../../../src/core/dag/runs.js';
import type { TaskId } from '../../../src/kit/ids.js';
import { DagWorld, dag, NEW_YEAR, task } from './support.js';

describe('runs', () => {
  test('are named for their type and the instant that they stand for', () => {
    expect(runIdOf('scheduled', NEW_YEAR)).toBe('scheduled__2026-01-01T00:00:00.000Z');
  });

  test('no more of them run at once than their DAG allows; the next one starts when one ends', async () => {
    const w = await DagWorld.with([dag('d', [task('a')], { maxActiveRuns: 1 })]);
    await w.worker();
    const first = await w.trigger('d');
    await w.pass(200);
    const second = await w.trigger('d');
    expect([(await w.run(first)).state, (await w.run(second)).state]).toEqual(['running', 'queued']);
    expect(await w.states(second)).toEqual({});
    await w.finish('all');
    expect([(await w.run(first)).state, (await w.run(second)).state]).toEqual(['success', 'running']);
  });

  test('end when everything of them is over, not before', async () => {
    const w = await DagWorld.with([dag('d', [task('a'), task('b'), task('c', { needs: ['a'] })])]);
    await w.worker();
    const run = await w.trigger('d');
    await w.finish({ a: { kind: 'failed', reason: 'exit_code' } });
    expect(await w.states(run)).toEqual({ a: 'failed', b: 'running', c: 'upstream_failed' });
    expect(await w.run(run)).toMatchObject({ state: 'running', endedAt: null });
    await w.finish('all');
    expect(await w.run(run)).toMatchObject({ state: 'failed', reason: 'leaf_failed', endedAt: w.wall });
  });

  test('succeed when their leaves did, whatever failed before them', async () => {
    const w = await DagWorld.with([
      dag('d', [task('a'), task('clean', { needs: ['a'], triggerRule: 'all_done' })]),
    ]);
    await w.worker();
    const run = await w.trigger('d');
    await w.finish({ a: { kind: 'failed', reason: 'exit_code' } });
    await w.finish('all');
    expect(await w.run(run)).toMatchObject({ state: 'success', reason: '' });
  });

  test('whose leaves were all skipped have succeeded', async () => {
    const w = await DagWorld.with([
      dag('d', [task('a', { when: '{{ params.on }}' })], {
        params: {
          on: { type: 'boolean', default: false, description: '', oneOf: [], minimum: null, maximum: null },
        },
      }),
    ]);
    const run = await w.trigger('d');
    expect(await w.states(run)).toEqual({ a: 'skipped' });
    expect((await w.run(run)).state).toBe('success');
  });

  test('start once, and leave memory with their end', async () => {
    const w = await DagWorld.with([dag('d', [task('a')])]);
    await w.worker();
    const run = await w.trigger('d');
    const { startedAt } = await w.run(run);
    expect(startedAt).toBe(w.wall);
    await w.pass(1_000);
    await w.finish('all');
    expect(await w.run(run)).toMatchObject({ startedAt, state: 'success' });
    const { runs, runsOf, plans, dirty, waiting } = w.engine.state.dags;
    expect([runs.size, runsOf.size, plans.size, dirty.size, waiting.size]).toEqual([0, 0, 0, 0, 0]);
  });

  test('keep the definition that they began with while their DAG changes', async () => {
    const w = await DagWorld.with([dag('d', [task('a'), task('b', { needs: ['a'] })])]);
    await w.worker();
    const run = await w.trigger('d');
    await w.define(dag('d', [task('a'), task('other', { needs: ['a'] })]));
    await w.restart();
    await w.pass(20_000);
    await w.worker();
    await w.pass(20_000);
    await w.finishAll();
    expect(await w.states(run)).toEqual({ a: 'success', b: 'success' });
    const next = await w.trigger('d');
    await w.finishAll();
    expect(await w.states(next)).toEqual({ a: 'success', other: 'success' });
  });

  test('that run for longer than dagrun_timeout fail, and what of them has not ended is cancelled', async () => {
    const w = await DagWorld.with([
      dag('d', [task('a'), task('b', { needs: ['a'] })], { dagrunTimeoutMs: 60_000 }),
    ]);
    await w.worker();
    const run = await w.trigger('d');
    await w.pass(59_000);
    expect((await w.run(run)).state).toBe('running');
    await w.pass(2_000);
    expect((await w.task((await w.instances(run)).get('a')?.taskId as TaskId)).stopRequest).toMatchObject({
      kind: 'cancel',
      reason: 'its run has timed out',
    });
    await w.finishAll({ a: { kind: 'killed', reason: 'cancelled' } });
    expect(await w.run(run)).toMatchObject({ state: 'failed', reason: 'run_timed_out', timeoutAt: null });
    expect(await w.states(run)).toEqual({ a: 'cancelled' });
  });

  test('time out after a restart of the coordinator too, whose time down does not count', async () => {
    const waits = task('a', { wait: { kind: 'external', input: {}, timeoutMs: null } });
    const w = await DagWorld.with([dag('d', [waits], { dagrunTimeoutMs: 60_000 })]);
    const run = await w.trigger('d');
    await w.pass(30_000);
    await w.restart();
    await w.pass(25_000);
    expect((await w.run(run)).state).toBe('running');
    await w.pass(8_000);
    expect(await w.run(run)).toMatchObject({ state: 'failed', reason: 'run_timed_out' });
  });

  test('that are done again have all of their time again', async () => {
    const w = await DagWorld.with([dag('d', [task('a')], { dagrunTimeoutMs: 60_000 })]);
    const run = await w.trigger('d');
    await w.pass(61_000);
    expect(await w.run(run)).toMatchObject({ reason: 'run_timed_out' });
    const around = { upstream: false, downstream: false, onlyFailed: false, dryRun: false, reason: '' };
    await w.call({ action: 'clear', run: run.run, tasks: [], ...around });
    await w.pass(59_000);
    expect(await w.run(run)).toMatchObject({ state: 'running', reason: '' });
  });
});
