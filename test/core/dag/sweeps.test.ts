import { describe, expect, test } from '@jest/globals';
import type { DagCall } from '../../../src/core/dag/calls.js';
import { INSTANCES_AT_ONCE } from '../../../src/core/dag/pending.js';
import type { RunRow } from '../../../src/core/dag/rows.js';
import { DagWorld, dag, KILLED, task } from './support.js';

const MANY = 600;
const names = Array.from({ length: MANY }, (_, n) => `t${n}`);
const ROOT = task('root');
const wide = dag('wide', [ROOT, ...names.map((name) => task(name, { needs: ['root'] }))], {
  maxActiveTasks: MANY,
});

const clear = (run: RunRow): DagCall => ({
  ...{ action: 'clear', run: run.run, tasks: [], upstream: false, downstream: false, onlyFailed: false },
  ...{ dryRun: false, reason: 'by hand' },
});

/** A run that has ended well, and what each commit from here on writes. */
async function ended(): Promise<{ w: DagWorld; run: RunRow; rows: number[]; killAt: (n: number) => void }> {
  const w = await DagWorld.with([wide]);
  await w.worker(MANY);
  const run = await w.trigger('wide');
  await w.finishAll();
  const rows: number[] = [];
  const kill = { at: Number.POSITIVE_INFINITY };
  const commit = w.store.commit.bind(w.store);
  w.store.commit = async (puts) => {
    await commit(puts);
    rows.push(puts.tasks.length);
    if (rows.length === kill.at) throw KILLED;
  };
  const killAt = (n: number) => {
    kill.at = rows.length + n;
  };
  return { w, run, rows, killAt };
}

describe('a clear of more than a commit should change', () => {
  test('goes step by step, and nothing of the run is decided before it is through', async () => {
    const { w, run, rows } = await ended();
    await w.restart();
    rows.length = 0;
    const reply = await w.call(clear(run));
    expect(reply.kind === 'instances' && reply.instances.length).toBe(MANY + 1);
    await w.pass(200);
    expect(Math.max(...rows)).toBeLessThanOrEqual(2 * INSTANCES_AT_ONCE);
    const states = await w.states(run);
    expect(states.root).toBe('queued');
    expect(new Set(names.map((name) => states[name]))).toEqual(new Set(['scheduled']));
    expect((await w.run(run)).sweeps).toEqual([]);
    await w.worker(MANY);
    await w.finishAll();
    expect((await w.run(run)).state).toBe('success');
  });

  test('is gone on with after a kill of the coordinator in the middle of it', async () => {
    const { w, run, killAt } = await ended();
    killAt(2);
    void w.call(clear(run)).catch(() => {});
    await w.idle();
    expect(w.isDead).toBe(true);
    const half = Object.values(await w.states(run)).filter((state) => state === 'scheduled').length;
    expect(half).toBeGreaterThan(0);
    expect(half).toBeLessThan(MANY);
    await w.restart();
    const left = Object.values(await w.states(run)).filter((state) => state === 'success');
    expect(left).toEqual([]);
  });

  test('waits for the agents that hold some of it (P15), and clears those when they have answered', async () => {
    const w = await DagWorld.with([wide]);
    await w.worker(MANY);
    const run = await w.trigger('wide');
    await w.finish({ root: {} });
    await w.call(clear(run));
    expect((await w.run(run)).sweeps).toEqual([]);
    expect((await w.states(run)).t0).toBe('running');
    await w.finish('all');
    expect((await w.states(run)).root).toBe('running');
    await w.finishAll();
    expect(await w.run(run)).toMatchObject({ state: 'success' });
  });

  test('ends with a cancel of its run', async () => {
    const { w, run, killAt } = await ended();
    killAt(2);
    void w.call(clear(run)).catch(() => {});
    await w.idle();
    await w.start();
    await w.call({ action: 'end_run', run: run.run, as: 'cancelled', reason: '' });
    await w.pass(1_000);
    expect(await w.run(run)).toMatchObject({ state: 'cancelled', sweeps: [] });
  });

  test('is refused while sixteen of them are under way', async () => {
    const { w, run, killAt } = await ended();
    killAt(1);
    const call = () => w.engine.call((callId) => ({ kind: 'dag', callId, call: clear(run) }));
    for (let n = 0; n < 17; n++) void call();
    await w.idle();
    expect((await w.run(run)).sweeps).toHaveLength(16);
    await w.start();
    const reply = await w.call(clear(run));
    expect(reply).toMatchObject({ kind: 'refused', fault: { code: 'RUN_BUSY' } });
  });
});

describe('a mark of more than a commit should change', () => {
  test('goes step by step, and lets run what could not run because of it', async () => {
    const list = Array.from({ length: MANY }, (_, n) => n);
    const param = {
      type: 'array',
      default: list,
      description: '',
      oneOf: [],
      minimum: null,
      maximum: null,
    } as const;
    const tasks = [task('each', { expand: '{{ params.list }}' }), task('after', { needs: ['each'] })];
    const w = await DagWorld.with([dag('d', tasks, { params: { list: param }, maxActiveTasks: MANY })]);
    await w.worker(MANY);
    const run = await w.trigger('d');
    const bad = { kind: 'failed', reason: 'exit_code' } as const;
    await w.finishAll(Object.fromEntries(list.map((n) => [`each[${n}]`, bad])));
    expect(await w.run(run)).toMatchObject({ state: 'failed' });
    const rows: number[] = [];
    const commit = w.store.commit.bind(w.store);
    w.store.commit = async (puts) => {
      rows.push(puts.tasks.length);
      await commit(puts);
    };
    const choice = [{ task: 'each', mapIndex: null }];
    await w.call({ action: 'mark', run: run.run, tasks: choice, as: 'success', reason: 'by hand' });
    await w.finishAll();
    expect(await w.run(run)).toMatchObject({ state: 'success' });
    expect(Math.max(...rows)).toBeLessThanOrEqual(2 * INSTANCES_AT_ONCE);
  });

  test('leaves alone what is named with the task before it', async () => {
    const w = await DagWorld.with([dag('d', [task('a'), task('b', { needs: ['a'] }), task('apart')])]);
    await w.worker();
    const run = await w.trigger('d');
    await w.finish({ a: {} });
    await w.finish({ b: {} });
    const tasks = ['a', 'b'].map((name) => ({ task: name, mapIndex: null }));
    await w.call({ action: 'mark', run: run.run, tasks, as: 'failed', reason: 'by hand' });
    expect(await w.states(run)).toEqual({ a: 'failed', b: 'failed', apart: 'running' });
  });
});
