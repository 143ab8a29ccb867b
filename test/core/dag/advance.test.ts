import { describe, expect, test } from '@jest/globals';
import { DagWorld, dag, task } from './support.js';

const CHAIN = dag('chain', [task('a'), task('b', { needs: ['a'] }), task('c', { needs: ['b'] })]);

describe('a run', () => {
  test('starts what needs nothing, then what needs that, and succeeds with its leaves', async () => {
    const w = await DagWorld.with([CHAIN]);
    await w.worker();
    const run = await w.trigger('chain');
    expect(await w.running()).toEqual(['a']);
    await w.finish({ a: {} });
    expect(await w.running()).toEqual(['b']);
    expect((await w.run(run)).state).toBe('running');
    await w.finishAll();
    expect((await w.run(run)).state).toBe('success');
    expect(await w.states(run)).toEqual({ a: 'success', b: 'success', c: 'success' });
  });

  test('fails when a leaf could not run because of what it needs', async () => {
    const w = await DagWorld.with([CHAIN]);
    await w.worker();
    const run = await w.trigger('chain');
    await w.finish({ a: { kind: 'failed', reason: 'exit_code' } });
    expect(await w.states(run)).toEqual({ a: 'failed', b: 'upstream_failed', c: 'upstream_failed' });
    expect((await w.run(run)).state).toBe('failed');
  });

  test('goes on after a kill of the coordinator where it was', async () => {
    const w = await DagWorld.with([CHAIN]);
    await w.worker();
    const run = await w.trigger('chain');
    await w.finish({ a: {} });
    await w.restart();
    await w.pass(20_000);
    await w.worker();
    await w.pass(20_000);
    await w.finishAll();
    expect((await w.run(run)).state).toBe('success');
  });
});
