import { describe, expect, test } from '@jest/globals';
import { DagWorld, dag, NEW_YEAR, task } from './support.js';

describe('an instance of a run', () => {
  test('has what its definition says, and waits in no queue before its needs are decided', async () => {
    const b = task('b', {
      ...{ needs: ['a'], queue: 'gpu', priority: 3, retries: 2, pool: 'p', poolSlots: 2 },
      ...{ queuedTimeoutMs: 7_000, killGraceMs: 3_000, requiredLabels: { zone: 'x' } },
      ...{ executionTimeoutMs: 9_000, partitionPolicy: 'single_run' as const },
    });
    const w = await DagWorld.with([dag('d', [task('a'), b])]);
    await w.call({ action: 'set_pool', pool: 'p', slots: 2, description: '' });
    await w.worker();
    const run = await w.trigger('d');
    expect(await w.states(run)).toEqual({ a: 'running' });
    await w.finish('all');
    const row = (await w.instances(run)).get('b');
    expect(row).toMatchObject({
      ...{ state: 'queued', queue: 'gpu', priority: 3, retries: 2, queuedTimeoutMs: 7_000 },
      ...{ executionTimeoutMs: 9_000, killGraceMs: 3_000, requiredLabels: { zone: 'x' } },
      ...{ partitionPolicy: 'single_run', handler: 'work', tryNumber: 0, submittedAt: NEW_YEAR + 1_200 },
      instance: { run: run.run, task: 'b', mapIndex: -1, pool: 'p', poolSlots: 2, ready: true },
    });
  });

  test('takes the queued timeout of the coordinator when its definition has none', async () => {
    const w = await DagWorld.with([dag('d', [task('a')])], undefined, { queuedTimeoutMs: 42_000 });
    const run = await w.trigger('d');
    expect((await w.instances(run)).get('a')?.queuedTimeoutMs).toBe(42_000);
  });

  test('without work succeeds without an agent, and what needs it goes on', async () => {
    const w = await DagWorld.with([
      dag('d', [task('start', { work: { kind: 'none' } }), task('a', { needs: ['start'] })]),
    ]);
    const run = await w.trigger('d');
    expect(await w.states(run)).toEqual({ start: 'success', a: 'queued' });
  });

  test('whose templates cannot be filled in fails, and says which and why', async () => {
    const input = '{{ params.town }}';
    const w = await DagWorld.with([
      dag('d', [task('a', { work: { kind: 'handler', name: 'work', input } })]),
    ]);
    const run = await w.trigger('d');
    const row = (await w.instances(run)).get('a');
    expect(row).toMatchObject({ state: 'failed', reason: 'template', endedAt: w.wall });
    expect(row?.message).toContain('params has no town');
  });

  test('has a history from its first decision on', async () => {
    const w = await DagWorld.with([
      dag('d', [task('a'), task('b', { needs: ['a'], triggerRule: 'all_failed' })]),
    ]);
    await w.worker();
    const run = await w.trigger('d');
    await w.finishAll();
    const events = async (name: string) => {
      const row = (await w.instances(run)).get(name);
      return row === undefined ? [] : (await w.store.readHistory(row.taskId)).map(({ event }) => event);
    };
    expect(await events('a')).toEqual(['submitted', 'queued', 'permitted', 'success']);
    expect(await events('b')).toEqual(['skipped']);
  });
});
