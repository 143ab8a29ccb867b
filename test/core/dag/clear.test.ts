import { describe, expect, test } from '@jest/globals';
import type { DagCall, DagCallOf } from '../../../src/core/dag/calls.js';
import type { RunRow } from '../../../src/core/dag/rows.js';
import { DagWorld, dag, task } from './support.js';

const FAILS = { kind: 'failed', reason: 'exit_code' } as const;
const CHAIN = [task('a'), task('b', { needs: ['a'] }), task('c', { needs: ['b'] })];

const clear = (run: RunRow, tasks: readonly string[], change: Partial<DagCallOf<'clear'>> = {}): DagCall => ({
  ...{ action: 'clear', run: run.run, tasks: tasks.map((name) => ({ task: name, mapIndex: null })) },
  ...{ upstream: false, downstream: false, onlyFailed: false, dryRun: false, reason: 'by hand' },
  ...change,
});
const mark = (run: RunRow, name: string, as: 'success' | 'failed'): DagCall => ({
  ...{ action: 'mark', run: run.run, tasks: [{ task: name, mapIndex: null }], as, reason: 'by hand' },
});

async function names(w: DagWorld, call: DagCall): Promise<unknown> {
  const reply = await w.call(call);
  if (reply.kind === 'refused') return reply.fault.code;
  return reply.kind === 'instances' ? reply.instances.map((one) => `${one.task} ${one.state}`) : reply;
}

async function world(tasks = CHAIN, change = {}): Promise<{ w: DagWorld; run: RunRow }> {
  const w = await DagWorld.with([dag('d', tasks, change)]);
  await w.worker();
  return { w, run: await w.trigger('d') };
}

describe('a clear', () => {
  test('of an ended run decides what was chosen anew: the run goes on, and ends again', async () => {
    const { w, run } = await world();
    await w.finishAll({ b: FAILS });
    expect((await w.run(run)).state).toBe('failed');
    await w.restart();
    await w.pass(20_000);
    await w.worker();
    expect(await names(w, clear(run, ['b'], { downstream: true }))).toEqual([
      'b failed',
      'c upstream_failed',
    ]);
    expect(await w.run(run)).toMatchObject({ state: 'running', reason: '', endedAt: null });
    expect(await w.states(run)).toEqual({ a: 'success', b: 'running', c: 'scheduled' });
    await w.finishAll();
    expect(await w.states(run)).toEqual({ a: 'success', b: 'success', c: 'success' });
    expect((await w.run(run)).state).toBe('success');
    expect((await w.instances(run)).get('b')).toMatchObject({ tryNumber: 2, retried: 1, retriesUsed: 0 });
  });

  test('of a run that goes on holds what comes after it until it has ended again', async () => {
    const { w, run } = await world();
    await w.finish('all');
    expect(await names(w, clear(run, ['a']))).toEqual(['a success']);
    await w.finish({ b: {} });
    expect(await w.states(run)).toEqual({ a: 'running', b: 'success', c: 'running' });
    await w.finishAll();
    expect((await w.run(run)).state).toBe('success');
  });

  test('takes with it what comes before, what comes after, or of all that only what failed', async () => {
    const { w, run } = await world();
    await w.finishAll({ b: FAILS });
    const asked = async (tasks: readonly string[], change: Partial<DagCallOf<'clear'>>) =>
      await names(w, clear(run, tasks, { dryRun: true, ...change }));
    expect(await asked(['c'], { upstream: true })).toEqual(['a success', 'b failed', 'c upstream_failed']);
    expect(await asked(['a'], { downstream: true, onlyFailed: true })).toEqual([
      'b failed',
      'c upstream_failed',
    ]);
    expect(await asked([], {})).toEqual(['a success', 'b failed', 'c upstream_failed']);
    expect(await w.run(run)).toMatchObject({ state: 'failed' });
  });

  test('of a running instance waits for its agent, and is final with its answer (P15)', async () => {
    const { w, run } = await world();
    const reply = await w.call(clear(run, ['a']));
    expect(reply).toMatchObject({ instances: [{ task: 'a', state: 'running', requested: true }] });
    expect((await w.instances(run)).get('a')).toMatchObject({
      state: 'running',
      stopRequest: { kind: 'clear' },
    });
    await w.finish({ a: { kind: 'killed' } });
    expect((await w.instances(run)).get('a')).toMatchObject({
      state: 'running',
      tryNumber: 2,
      stopRequest: null,
    });
    await w.finishAll();
    expect((await w.run(run)).state).toBe('success');
  });

  test('is answered by a success that comes first, not by a failure (P15)', async () => {
    const { w, run } = await world();
    await w.call(clear(run, ['a']));
    await w.finish({ a: {} });
    expect(await w.states(run)).toMatchObject({ a: 'success', b: 'running' });
    await w.call(clear(run, ['b']));
    await w.finish({ b: FAILS });
    expect(await w.states(run)).toMatchObject({ b: 'running' });
  });

  test('gives an instance all of its retries again, and new templates their values', async () => {
    const b = task('b', {
      needs: ['a'],
      work: { kind: 'handler', name: 'work', input: '{{ results.a }}' },
    });
    const { w, run } = await world([task('a'), b]);
    await w.finish({ a: { result: 'old' } });
    await w.finishAll();
    await w.call(clear(run, ['a', 'b']));
    await w.finish({ a: { result: 'new' } });
    const row = (await w.instances(run)).get('b');
    const [spec] = await w.store.readSpecs(row === undefined ? [] : [row.taskId]);
    const input = spec?.work.kind === 'handler' ? new TextDecoder().decode(spec.work.input) : '';
    expect(input).toBe('"new"');
  });

  test('of a mapped task maps the new list: more elements, fewer, or none at all', async () => {
    const each = task('each', { needs: ['list'], expand: '{{ results.list }}' });
    const { w, run } = await world([task('list'), each, task('end', { needs: ['each'] })]);
    await w.finish({ list: { result: [1, 2] } });
    await w.finishAll();
    const again = async (result: readonly number[]) => {
      await w.call(clear(run, []));
      await w.finish({ list: { result } });
      await w.finishAll();
      const states = Object.entries(await w.states(run)).filter(([name]) => name.startsWith('e'));
      return [Object.fromEntries(states), (await w.run(run)).state];
    };
    const success = { 'each[0]': 'success', 'each[1]': 'success', end: 'success' };
    expect(await again([1, 2, 3])).toEqual([{ ...success, 'each[2]': 'success' }, 'success']);
    expect(await again([1])).toEqual([{ ...success, 'each[1]': 'skipped', 'each[2]': 'skipped' }, 'success']);
    const none = { 'each[0]': 'skipped', 'each[1]': 'skipped', 'each[2]': 'skipped', end: 'skipped' };
    expect(await again([])).toEqual([none, 'success']);
    expect(await again([1, 2])).toEqual([{ ...success, 'each[2]': 'skipped' }, 'success']);
  });

  test('of one instance of a mapped task leaves its siblings alone', async () => {
    const each = task('each', { expand: '{{ params.list }}' });
    const list = {
      type: 'array' as const,
      default: [1, 2, 3],
      description: '',
      oneOf: [],
      minimum: null,
      maximum: null,
    };
    const { w, run } = await world([each, task('end', { needs: ['each'] })], { params: { list } });
    await w.finish({ 'each[0]': {}, 'each[1]': FAILS, 'each[2]': {} });
    expect((await w.run(run)).state).toBe('failed');
    const call = clear(run, [], { tasks: [{ task: 'each', mapIndex: 1 }], downstream: true });
    expect(await names(w, call)).toEqual(['each failed', 'end upstream_failed']);
    expect(await w.running()).toEqual(['each[1]']);
    await w.finishAll();
    expect((await w.run(run)).state).toBe('success');
  });

  test('keeps the version that the run began with, whatever its DAG says now', async () => {
    const { w, run } = await world([task('a'), task('b', { needs: ['a'] })]);
    await w.finishAll();
    await w.define(dag('d', [task('new')]));
    await w.call(clear(run, []));
    await w.finishAll();
    expect(await w.states(run)).toEqual({ a: 'success', b: 'success' });
  });

  test('waits for room among the runs of its DAG', async () => {
    const { w, run } = await world([task('a')], { maxActiveRuns: 1 });
    await w.finishAll();
    await w.pass(200);
    const other = await w.trigger('d');
    await w.call(clear(run, []));
    expect([(await w.run(run)).state, (await w.run(other)).state]).toEqual(['queued', 'running']);
    await w.finish('all');
    expect(await w.running()).toEqual(['a']);
    expect((await w.run(run)).state).toBe('running');
  });

  test('of what is not there is refused, and says what is missing', async () => {
    const { w, run } = await world();
    expect(await names(w, clear(run, ['d']))).toBe('TASK_NOT_IN_DAG');
    expect(await names(w, clear(run, [], { tasks: [{ task: 'a', mapIndex: 3 }] }))).toBe('TASK_NOT_IN_DAG');
    expect(await names(w, clear({ ...run, run: 'd/other' as RunRow['run'] }, []))).toBe('RUN_NOT_FOUND');
  });

  test('goes through a kill of the coordinator: what was cleared is decided by the next one', async () => {
    const { w, run } = await world();
    await w.finishAll({ b: FAILS });
    await w.call({ action: 'pause', dagId: 'd', paused: true });
    await w.call(clear(run, ['b'], { downstream: true }));
    expect(await w.states(run)).toEqual({ a: 'success', b: 'scheduled', c: 'scheduled' });
    await w.restart();
    await w.pass(20_000);
    await w.worker();
    await w.call({ action: 'pause', dagId: 'd', paused: false });
    await w.finishAll();
    expect(await w.states(run)).toEqual({ a: 'success', b: 'success', c: 'success' });
  });
});

describe('a retry of an instance', () => {
  test('clears it: of an ended run too, and in its pool like any other', async () => {
    const { w, run } = await world([task('a', { pool: 'p' })]);
    await w.call({ action: 'set_pool', pool: 'p', slots: 1, description: '' });
    await w.finishAll({ a: FAILS });
    await w.restart();
    const taskId = (await w.instances(run)).get('a')?.taskId;
    if (taskId === undefined) throw new Error('no instance');
    await w.call({ action: 'set_pool', pool: 'p', slots: 0, description: '' });
    const reply = w.engine.call((callId) => ({ kind: 'retry', callId, taskId, reason: '' }));
    await w.idle();
    expect(await reply).toMatchObject({ kind: 'task', task: { state: 'scheduled' } });
    expect((await w.run(run)).state).toBe('running');
    await w.call({ action: 'set_pool', pool: 'p', slots: 1, description: '' });
    expect(await w.states(run)).toEqual({ a: 'queued' });
  });
});

describe('a mark', () => {
  test('of success lets what could not run because of the failure run', async () => {
    const { w, run } = await world();
    await w.finishAll({ a: FAILS });
    expect(await w.states(run)).toEqual({ a: 'failed', b: 'upstream_failed', c: 'upstream_failed' });
    await w.call(mark(run, 'a', 'success'));
    expect(await w.states(run)).toEqual({ a: 'success', b: 'running', c: 'scheduled' });
    await w.finishAll();
    expect((await w.run(run)).state).toBe('success');
  });

  test('of a running instance waits for its agent, whose own end wins if it comes first (P15)', async () => {
    const { w, run } = await world();
    await w.call(mark(run, 'a', 'failed'));
    expect(await w.states(run)).toEqual({ a: 'running' });
    await w.finish({ a: { kind: 'killed' } });
    expect((await w.instances(run)).get('a')).toMatchObject({ state: 'failed', reason: 'marked' });
    expect((await w.run(run)).state).toBe('failed');
  });

  test('of a task that nothing was decided of yet ends it before it begins', async () => {
    const { w, run } = await world();
    await w.call(mark(run, 'b', 'success'));
    expect(await w.states(run)).toEqual({ a: 'running', b: 'success', c: 'running' });
    await w.finishAll();
    expect((await w.run(run)).state).toBe('success');
  });

  test('of a leaf of an ended run as failed makes the run a failed one', async () => {
    const { w, run } = await world();
    await w.finishAll();
    await w.call(mark(run, 'c', 'failed'));
    expect(await w.run(run)).toMatchObject({ state: 'failed', reason: 'leaf_failed' });
  });
});
