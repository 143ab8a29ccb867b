import { describe, expect, test } from '@jest/globals';
import { INSTANCES_AT_ONCE, mappingOrder } from '../../../src/core/dag/pending.js';
import { DagWorld, dag, KILLED, task } from './support.js';

const MANY = 1_000;
const names = Array.from({ length: MANY }, (_, n) => `t${n}`);
const list = Array.from({ length: MANY }, (_, n) => n);

/** Instances that each commit has written, from now on; the process dies behind the commit of number `killAt`. */
function commitsOf(w: DagWorld, killAt = Number.POSITIVE_INFINITY): number[] {
  const rows: number[] = [];
  const commit = w.store.commit.bind(w.store);
  w.store.commit = async (puts) => {
    await commit(puts);
    rows.push(puts.tasks.length);
    if (rows.length === killAt) throw KILLED;
  };
  return rows;
}

const wide = dag(
  'wide',
  names.map((name) => task(name)),
  { maxActiveTasks: MANY },
);
const mapped = dag(
  'mapped',
  [task('each', { expand: '{{ params.list }}' }), task('after', { needs: ['each'] })],
  {
    maxActiveTasks: MANY,
    params: {
      list: { type: 'array', default: list, description: '', oneOf: [], minimum: null, maximum: null },
    },
  },
);

describe('what is to be decided of a run at once', () => {
  test.each([wide, mapped])(
    'a run of a thousand instances begins in commits of a few hundred rows: $dagId',
    async (definition) => {
      const w = await DagWorld.with([definition]);
      const rows = commitsOf(w);
      const run = await w.trigger(definition.dagId);
      await w.pass(200);
      expect((await w.instances(run)).size).toBe(MANY);
      expect(Math.max(...rows)).toBeLessThanOrEqual(2 * INSTANCES_AT_ONCE);
      expect(rows.length).toBeGreaterThanOrEqual(MANY / INSTANCES_AT_ONCE);
    },
  );

  test.each([wide, mapped])(
    'a coordinator that is killed in the middle of them makes the rest after its restart: $dagId',
    async (definition) => {
      const w = await DagWorld.with([definition]);
      commitsOf(w, 3);
      void w.trigger(definition.dagId).catch(() => {});
      await w.idle();
      expect(w.isDead).toBe(true);
      await w.restart();
      const [run] = await w.runs(definition.dagId);
      expect(run && Object.keys(await w.states(run)).length).toBe(MANY);
    },
  );

  test('a mapped task has not ended before every element has its instance, whatever those before have come to', async () => {
    const w = await DagWorld.with([mapped]);
    commitsOf(w, 3);
    void w.trigger('mapped').catch(() => {});
    await w.idle();
    await w.restart();
    await w.worker(MANY);
    const [run] = await w.runs('mapped');
    if (run === undefined) throw new Error('no run');
    await w.finishAll();
    expect((await w.instances(run)).size).toBe(MANY + 1);
    expect((await w.run(run)).state).toBe('success');
  });

  test('a run that is cancelled while its list is mapped ends all the same', async () => {
    const w = await DagWorld.with([mapped]);
    commitsOf(w, 3);
    void w.trigger('mapped').catch(() => {});
    await w.idle();
    await w.start();
    const [run] = await w.runs('mapped');
    if (run === undefined) throw new Error('no run');
    await w.call({ action: 'end_run', run: run.run, as: 'cancelled', reason: '' });
    await w.pass(1_000);
    expect((await w.run(run)).state).toBe('cancelled');
  });

  test('a run of thousands does not keep another one waiting for its first task', async () => {
    const w = await DagWorld.with([wide, dag('small', [task('only')])]);
    const rows = commitsOf(w, 3);
    const both = [w.trigger('wide'), w.trigger('small')];
    for (const one of both) void one.catch(() => {});
    await w.idle();
    expect(rows).toHaveLength(3);
    const [small] = await w.runs('small');
    expect(small && (await w.states(small))).toEqual({ only: 'queued' });
  });
});

describe('the order in which a list is mapped', () => {
  test('is its own, when one commit has room for all of it', () => {
    expect(mappingOrder([2, 0, 1], 3)).toEqual([0, 1, 2]);
    expect(mappingOrder([], 3)).toEqual([]);
  });

  test('begins with the last element of a longer one, by which a restart knows how long it is', () => {
    expect(mappingOrder([0, 1, 2, 3], 3)).toEqual([3, 0, 1, 2]);
  });
});
