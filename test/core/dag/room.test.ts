import { describe, expect, test } from '@jest/globals';
import { DagWorld, dag, task } from './support.js';

const three = (change = {}) => ['a', 'b', 'c'].map((name) => task(name, change));

describe('room', () => {
  test('a run has no more instances queued or running than its definition allows', async () => {
    const w = await DagWorld.with([dag('d', three(), { maxActiveTasks: 2 })]);
    await w.worker();
    const run = await w.trigger('d');
    expect(await w.states(run)).toEqual({ a: 'running', b: 'running', c: 'scheduled' });
    await w.finish({ a: {} });
    expect(await w.states(run)).toEqual({ a: 'success', b: 'running', c: 'running' });
  });

  test('each run has that room for itself', async () => {
    const w = await DagWorld.with([dag('d', three(), { maxActiveTasks: 1 })]);
    await w.trigger('d');
    await w.pass(200);
    await w.trigger('d');
    await w.worker();
    expect(await w.running()).toEqual(['a', 'a']);
  });

  test('a pool is shared by all runs and DAGs, and its slots go to whoever is first', async () => {
    const w = await DagWorld.with([dag('one', three({ pool: 'p' })), dag('two', three({ pool: 'p' }))]);
    await w.call({ action: 'set_pool', pool: 'p', slots: 2, description: '' });
    await w.worker();
    const one = await w.trigger('one');
    await w.pass(200);
    const two = await w.trigger('two');
    await w.finish('all');
    expect(await w.states(one)).toEqual({ a: 'success', b: 'success', c: 'running' });
    expect(await w.states(two)).toEqual({ a: 'running', b: 'scheduled', c: 'scheduled' });
  });

  test('who needs more slots than are free keeps those behind it waiting, or it might never get them', async () => {
    const tasks = [
      task('small', { pool: 'p' }),
      task('large', { pool: 'p', poolSlots: 2 }),
      task('behind', { pool: 'p' }),
    ];
    const w = await DagWorld.with([dag('d', tasks)]);
    await w.call({ action: 'set_pool', pool: 'p', slots: 2, description: '' });
    await w.worker();
    const run = await w.trigger('d');
    expect(await w.states(run)).toEqual({ small: 'running', large: 'scheduled', behind: 'scheduled' });
    await w.finish({ small: {} });
    expect(await w.states(run)).toEqual({ small: 'success', large: 'running', behind: 'scheduled' });
    await w.finishAll();
    expect((await w.run(run)).state).toBe('success');
  });

  test('a pool that nobody has made lets nothing in until somebody does', async () => {
    const w = await DagWorld.with([dag('d', [task('a', { pool: 'later' })])]);
    await w.worker();
    const run = await w.trigger('d');
    expect(await w.states(run)).toEqual({ a: 'scheduled' });
    await w.call({ action: 'set_pool', pool: 'later', slots: 1, description: '' });
    expect(await w.states(run)).toEqual({ a: 'running' });
  });

  test('a pool that is made smaller lets those that run go on, and nobody after them', async () => {
    const w = await DagWorld.with([dag('d', three({ pool: 'p' }))]);
    await w.call({ action: 'set_pool', pool: 'p', slots: 2, description: '' });
    await w.worker();
    const run = await w.trigger('d');
    await w.call({ action: 'set_pool', pool: 'p', slots: 1, description: '' });
    await w.finish({ a: {} });
    expect(await w.states(run)).toEqual({ a: 'success', b: 'running', c: 'scheduled' });
    await w.finishAll();
    expect((await w.run(run)).state).toBe('success');
  });

  test('waiting for a pool is no waiting in a queue: the queued timeout does not count it (P12)', async () => {
    const w = await DagWorld.with([dag('d', [task('a', { pool: 'p', queuedTimeoutMs: 5_000 })])]);
    const run = await w.trigger('d');
    await w.pass(60_000, 1_000);
    expect(await w.states(run)).toEqual({ a: 'scheduled' });
    await w.call({ action: 'set_pool', pool: 'p', slots: 1, description: '' });
    await w.pass(4_800, 1_000);
    expect(await w.states(run)).toEqual({ a: 'queued' });
    await w.pass(400);
    expect((await w.instances(run)).get('a')).toMatchObject({ state: 'failed', reason: 'queued_timeout' });
  });

  test('the slots of those that run are taken after a restart, too', async () => {
    const w = await DagWorld.with([dag('d', three({ pool: 'p' }))]);
    await w.call({ action: 'set_pool', pool: 'p', slots: 2, description: '' });
    const run = await w.trigger('d');
    await w.restart();
    expect(await w.states(run)).toEqual({ a: 'queued', b: 'queued', c: 'scheduled' });
    expect(w.engine.state.dags.poolUse.get('p')).toBe(2);
  });
});
