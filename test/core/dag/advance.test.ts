import { describe, expect, test } from '@jest/globals';
import type { Json } from '../../../src/core/dag/definition.js';
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

const list = (values: readonly Json[]) => ({
  list: {
    ...{ type: 'array' as const, default: values, description: '', oneOf: [], minimum: null, maximum: null },
  },
});

describe('what comes after', () => {
  test('a short circuit is skipped when its result says no, whatever the rules there are', async () => {
    const tasks = [
      task('gate', { shortCircuit: true }),
      task('a', { needs: ['gate'] }),
      task('b', { needs: ['a'], triggerRule: 'all_done' }),
      task('apart'),
    ];
    for (const [result, state] of [
      [0, 'skipped'],
      ['go', 'success'],
    ] as const) {
      const w = await DagWorld.with([dag('d', tasks)]);
      await w.worker();
      const run = await w.trigger('d');
      await w.finish({ gate: { result } });
      await w.finishAll();
      expect(await w.states(run)).toEqual({ gate: 'success', a: state, b: state, apart: 'success' });
      expect((await w.run(run)).state).toBe('success');
    }
  });

  test.each([
    ['is still running', [], null],
    ['has failed', ['failed', 'failed'], 'upstream_failed'],
    ['has results, whatever they are', ['success', 'success'], 'success'],
    ['was skipped', ['skipped', 'skipped'], 'skipped'],
  ] as const)('what is behind a mapped short circuit that %s ends accordingly', async (_, ends, state) => {
    const gate = task('gate', { shortCircuit: true, expand: '{{ params.list }}' });
    const tasks = [gate, task('bad'), task('a', { needs: ['gate'] }), task('b', { needs: ['gate', 'bad'] })];
    const w = await DagWorld.with([dag('d', tasks, { params: list(['x', 'y']) })]);
    await w.worker();
    const run = await w.trigger('d');
    await w.finish({ bad: { kind: 'failed' } });
    // Its needs can come to nothing good any more, whatever the short circuit will say.
    expect((await w.states(run)).b).toBe('upstream_failed');
    for (const [i, end] of ends.entries()) await w.finish({ [`gate[${i}]`]: { kind: end } });
    if (state === 'success') await w.finish({ a: {} });
    expect((await w.states(run)).a ?? null).toBe(state);
  });

  test('a mapped task waits for all of its instances, and sees their results in order', async () => {
    const each = task('each', {
      expand: '{{ params.list }}',
      work: { kind: 'handler', name: 'work', input: '{{ item }}' },
    });
    const sum = task('sum', {
      needs: ['each'],
      work: { kind: 'handler', name: 'work', input: '{{ results.each }}' },
    });
    const w = await DagWorld.with([dag('d', [each, sum], { params: list(['x', 'y', 'z']) })]);
    await w.worker();
    const run = await w.trigger('d');
    expect(await w.running()).toEqual(['each[0]', 'each[1]', 'each[2]']);
    await w.finish({ 'each[2]': { result: 3 }, 'each[0]': { result: 1 } });
    expect(Object.keys(await w.states(run))).not.toContain('sum');
    await w.finish({ 'each[1]': { result: 2 } });
    const row = (await w.instances(run)).get('sum');
    const [spec] = await w.store.readSpecs(row === undefined ? [] : [row.taskId]);
    expect(spec?.work.kind === 'handler' && new TextDecoder().decode(spec.work.input)).toBe('[1,2,3]');
  });

  test.each([
    [[], 'skipped', 'nothing_to_map'],
    ['no list', 'failed', 'not_a_list'],
  ] as const)('a task that is mapped over %j is %s', async (result, state, reason) => {
    const each = task('each', { needs: ['a'], expand: '{{ results.a }}' });
    const w = await DagWorld.with([dag('d', [task('a'), each])]);
    await w.worker();
    const run = await w.trigger('d');
    await w.finish({ a: { result } });
    expect((await w.instances(run)).get('each')).toMatchObject({ state, reason });
  });

  test('a condition that does not hold skips its task', async () => {
    const w = await DagWorld.with([
      dag('d', [task('a'), task('b', { needs: ['a'], when: '{{ results.a.rows }}' })]),
    ]);
    await w.worker();
    const run = await w.trigger('d');
    await w.finish({ a: { result: { rows: 0 } } });
    expect((await w.instances(run)).get('b')).toMatchObject({ state: 'skipped', reason: 'when' });
  });
});

describe('an instance that fails', () => {
  test('is tried again after its back-off, and leaves its place in its pool to others meanwhile', async () => {
    const tasks = [task('a', { pool: 'p', retries: 1 }), task('b', { pool: 'p' })];
    const w = await DagWorld.with([dag('d', tasks)]);
    await w.call({ action: 'set_pool', pool: 'p', slots: 1, description: '' });
    await w.worker();
    const run = await w.trigger('d');
    expect(await w.states(run)).toEqual({ a: 'running', b: 'scheduled' });
    await w.finish({ a: { kind: 'failed', reason: 'exit_code' } });
    expect(await w.states(run)).toEqual({ a: 'up_for_retry', b: 'running' });
    await w.pass(2_000);
    expect(await w.states(run)).toEqual({ a: 'scheduled', b: 'running' });
    await w.finish({ b: {} });
    expect(await w.states(run)).toEqual({ a: 'running', b: 'success' });
    await w.finishAll();
    expect((await w.instances(run)).get('a')).toMatchObject({ state: 'success', tryNumber: 2 });
  });

  test('for want of an agent ends its run as its rules say, with nobody connected (P12)', async () => {
    const cleanUp = task('clean', { needs: ['b'], triggerRule: 'all_done', work: { kind: 'none' } });
    const w = await DagWorld.with([dag('d', [task('a'), task('b', { needs: ['a'] }), cleanUp])]);
    const run = await w.trigger('d');
    await w.pass(599_000, 1_000);
    expect(await w.states(run)).toEqual({ a: 'queued' });
    await w.pass(2_000);
    expect((await w.instances(run)).get('a')).toMatchObject({ state: 'failed', reason: 'queued_timeout' });
    expect(await w.states(run)).toEqual({ a: 'failed', b: 'upstream_failed', clean: 'success' });
    expect((await w.run(run)).state).toBe('success');
  });
});

describe('two thousand tasks', () => {
  test('beside one another, before one that needs them all, cost a step each', async () => {
    const wide = Array.from({ length: 2_000 }, (_, n) => task(`t${n}`));
    const join = task('join', { needs: wide.map(({ taskId }) => taskId) });
    const w = await DagWorld.with([dag('d', [...wide, join], { maxActiveTasks: 50 })]);
    await w.worker(50);
    const run = await w.trigger('d');
    let looked = 0;
    const view = [...w.engine.state.dags.runs.values()][0];
    if (view === undefined) throw new Error('no run');
    const standing = view.standing.bind(view);
    view.standing = (name) => {
      looked++;
      return standing(name);
    };
    await w.finishAll();
    expect((await w.run(run)).state).toBe('success');
    // Looking at each need of `join` with each end would be four million.
    expect(looked).toBeGreaterThan(2_000);
    expect(looked).toBeLessThan(100_000);
  });
});
