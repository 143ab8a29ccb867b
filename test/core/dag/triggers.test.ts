import { describe, expect, test } from '@jest/globals';
import type { DagCall } from '../../../src/core/dag/calls.js';
import type { RunRow } from '../../../src/core/dag/rows.js';
import type { AgentId } from '../../../src/kit/ids.js';
import { DagWorld, dag, deferral, task } from './support.js';

async function deferred(
  change: Parameters<typeof deferral>[0] = {},
  of: Parameters<DagWorld['submit']>[0] = {},
) {
  const world = await DagWorld.with([]);
  await world.worker(1);
  const taskId = await world.submit(of);
  await world.finish({ [taskId]: deferral(change) });
  return { world, taskId };
}

describe('a deferral', () => {
  test('frees the slot, closes the token and leaves a trigger in the same commit', async () => {
    const { world, taskId } = await deferred({ state: '{"page":2}' });
    expect(await world.task(taskId)).toMatchObject({
      state: 'deferred',
      open: null,
      tryNumber: 1,
      reason: 'date_time',
    });
    const { triggers } = await world.store.load().then(({ dags }) => dags);
    expect(triggers).toMatchObject([
      { taskId, kind: 'date_time', state: '{"page":2}', epoch: 0n, agentId: '' },
    ]);
    // The slot of the only worker is free again.
    const other = await world.submit();
    expect(await world.running()).toEqual([other]);
  });

  test('goes on in the same try with a new token, its event and its state', async () => {
    const { world, taskId } = await deferred({ state: '{"page":2}' });
    const triggerer = await world.triggerer('t1');
    expect(await triggerer.fire(triggerer.only.triggerId, { rows: 3 })).toMatchObject({ taken: true });
    const [first, second] = world.permits;
    expect(second).toMatchObject({
      taskId,
      tryNumber: 1,
      resumption: { event: '{"rows":3}', state: '{"page":2}' },
    });
    expect(second?.token).toBeGreaterThan(first?.token ?? 0n);
    await world.finishAll();
    expect(await world.task(taskId)).toMatchObject({ state: 'success', tryNumber: 1, resume: null });
    expect(await world.events(taskId)).toEqual([
      'submitted',
      'permitted',
      'deferred',
      'resumed',
      'permitted',
      'success',
    ]);
    expect(world.engine.state.dags.triggers.size).toBe(0);
  });

  test('may be followed by another one', async () => {
    const { world, taskId } = await deferred();
    const triggerer = await world.triggerer('t1');
    const first = triggerer.only.triggerId;
    await triggerer.fire(first, 1);
    await world.finish({ [taskId]: deferral({ state: '"second"' }) });
    expect(triggerer.only.triggerId).not.toBe(first);
    await triggerer.fire(triggerer.only.triggerId, 2);
    expect(world.permits.at(-1)).toMatchObject({
      tryNumber: 1,
      resumption: { event: '2', state: '"second"' },
    });
  });

  test('that says nothing of what it waits for fails the try', async () => {
    const { world, taskId } = await deferred({ kind: 'asset', input: '{}' }, { retries: 1 });
    expect(await world.task(taskId)).toMatchObject({ state: 'up_for_retry', reason: 'invalid_deferral' });
  });

  test('that comes late, its agent lost and the task queued again, is recorded like any end (P10)', async () => {
    const world = await DagWorld.with([]);
    await world.worker();
    const taskId = await world.submit();
    const [permit] = world.permits;
    world.loseWorker();
    await world.pass(20_000);
    expect(await world.task(taskId)).toMatchObject({ state: 'queued' });
    if (permit === undefined) throw new Error('no permit');
    const lost = (await world.task(taskId)).lastAgentId as AgentId;
    await world.returning(lost, [{ token: permit.token, taskId, ...deferral() }]);
    expect(await world.task(taskId)).toMatchObject({ state: 'deferred', open: null, losses: [] });
  });

  test('outlives the coordinator', async () => {
    const { world, taskId } = await deferred();
    await world.restart();
    await world.worker();
    const triggerer = await world.triggerer('t1');
    await triggerer.fire(triggerer.only.triggerId, null);
    await world.finishAll();
    expect(await world.task(taskId)).toMatchObject({ state: 'success' });
  });
});

describe('a deferred task', () => {
  test('fails its try when the timeout has passed, with no triggerer anywhere', async () => {
    const { world, taskId } = await deferred({ timeoutMs: 60_000 });
    await world.pass(59_000, 1_000);
    expect(await world.task(taskId)).toMatchObject({ state: 'deferred' });
    await world.pass(2_000);
    expect(await world.task(taskId)).toMatchObject({ state: 'failed', reason: 'deferral_timeout' });
    expect(world.engine.state.dags.triggers.size).toBe(0);
  });

  test('whose timeout has passed is tried again from the beginning', async () => {
    const { world, taskId } = await deferred({ timeoutMs: 1_000, state: '1' }, { retries: 1 });
    await world.pass(5_000);
    expect(world.permits.at(-1)).toMatchObject({ taskId, tryNumber: 2, resumption: null });
  });

  test('that is cancelled ends at once, and its triggerer stops', async () => {
    const { world, taskId } = await deferred();
    const triggerer = await world.triggerer('t1');
    const { triggerId } = triggerer.only;
    await world.cancel(taskId);
    expect(await world.task(taskId)).toMatchObject({ state: 'cancelled' });
    expect(triggerer.triggers.size).toBe(0);
    expect(await triggerer.fire(triggerId, 1)).toMatchObject({ taken: false });
  });

  test('whose cancel was asked for while it ran does not wait for anything', async () => {
    const world = await DagWorld.with([]);
    await world.worker();
    const taskId = await world.submit();
    await world.cancel(taskId);
    await world.finish({ [taskId]: deferral() });
    expect(await world.task(taskId)).toMatchObject({ state: 'cancelled' });
    expect(world.engine.state.dags.triggers.size).toBe(0);
  });
});

describe('a resumed segment', () => {
  test('whose agent is lost ends its try: the next one starts from the beginning, used events are not replayed', async () => {
    const { world, taskId } = await deferred({ state: '1' });
    const triggerer = await world.triggerer('t1');
    await triggerer.fire(triggerer.only.triggerId, 1);
    expect(world.permits.at(-1)).toMatchObject({ resumption: { event: '1' } });
    world.loseWorker();
    await world.pass(20_000);
    await world.worker();
    expect(world.permits.at(-1)).toMatchObject({ taskId, tryNumber: 2, resumption: null });
  });

  test('that was never started is told its event again, in the same try', async () => {
    const { world, taskId } = await deferred();
    const triggerer = await world.triggerer('t1');
    await triggerer.fire(triggerer.only.triggerId, 'event');
    await world.finish({ [taskId]: { kind: 'never_started', reason: 'gate_closed' } });
    await world.pass(3_000);
    const [, second, third] = world.permits;
    expect(third).toMatchObject({ tryNumber: 1, resumption: { event: '"event"' } });
    expect(third?.token).toBeGreaterThan(second?.token ?? 0n);
  });
});

describe('an instance of a run', () => {
  test('gives its place in its pool away while it is deferred, and waits for one when its event has come', async () => {
    const world = await DagWorld.with([dag('d', [task('a'), task('b')], { maxActiveTasks: 1 })]);
    await world.worker();
    const run = await world.trigger('d');
    expect(await world.running()).toEqual(['a']);
    await world.finish({ a: deferral() });
    expect(await world.running()).toEqual(['b']);
    const triggerer = await world.triggerer('t1');
    await triggerer.fire(triggerer.only.triggerId, 1);
    expect(await world.states(run)).toEqual({ a: 'scheduled', b: 'running' });
    await world.finishAll();
    expect(await world.run(run)).toMatchObject({ state: 'success' });
  });

  test('may say that there was nothing to do, and is skipped', async () => {
    const world = await DagWorld.with([dag('d', [task('a'), task('b', { needs: ['a'] })])]);
    await world.worker();
    const run = await world.trigger('d');
    await world.finish({ a: { kind: 'skipped', message: 'no new rows' } });
    expect(await world.states(run)).toEqual({ a: 'skipped', b: 'skipped' });
    expect((await world.instances(run)).get('a')).toMatchObject({
      reason: 'skipped',
      message: 'no new rows',
    });
  });

  test('skipped without a run is a success', async () => {
    const world = await DagWorld.with([]);
    await world.worker();
    const taskId = await world.submit();
    await world.finish({ [taskId]: { kind: 'skipped', message: 'nothing' } });
    expect(await world.task(taskId)).toMatchObject({ state: 'success' });
  });
});

describe('a wait before the first try', () => {
  const waiting = { kind: 'date_time', input: { at: '{{ params.at }}' }, timeoutMs: null };
  const params = {
    at: { type: 'string', default: '2026-01-02', description: '', oneOf: [], minimum: null, maximum: null },
  } as const;

  test('takes no slot, and its event is known to the templates of the work', async () => {
    const work = { kind: 'handler', name: 'work', input: { rows: '{{ event.rows }}' } } as const;
    const world = await DagWorld.with([dag('d', [task('a', { wait: waiting, work })], { params })]);
    await world.worker();
    const run = await world.trigger('d');
    expect(await world.states(run)).toEqual({ a: 'deferred' });
    const triggerer = await world.triggerer('t1');
    expect(triggerer.only).toMatchObject({ kind: 'date_time', input: '{"at":"2026-01-02"}' });
    await triggerer.fire(triggerer.only.triggerId, { rows: 7 });
    const [permit] = world.permits;
    expect(permit).toMatchObject({ tryNumber: 1, resumption: null });
    const [spec] = await world.store.readSpecs(permit === undefined ? [] : [permit.taskId]);
    expect(spec?.work.kind === 'handler' && new TextDecoder().decode(spec.work.input)).toBe('{"rows":7}');
    await world.finishAll();
    expect(await world.run(run)).toMatchObject({ state: 'success' });
  });

  test('without work ends well with the event as its result', async () => {
    const tasks = [
      task('a', { wait: waiting, work: { kind: 'none' } }),
      task('b', { needs: ['a'], work: { kind: 'handler', name: 'work', input: '{{ results.a.rows }}' } }),
    ];
    const world = await DagWorld.with([dag('d', tasks, { params })]);
    await world.worker();
    const run = await world.trigger('d');
    const triggerer = await world.triggerer('t1');
    await triggerer.fire(triggerer.only.triggerId, { rows: 7 });
    expect(await world.states(run)).toEqual({ a: 'success', b: 'running' });
    const [spec] = await world.store.readSpecs(world.permits.map(({ taskId }) => taskId));
    expect(spec?.work.kind === 'handler' && new TextDecoder().decode(spec.work.input)).toBe('7');
  });

  test('outlives a restart between the event and the work', async () => {
    const world = await DagWorld.with([dag('d', [task('a', { wait: waiting })], { params })]);
    const run = await world.trigger('d');
    await world.restart();
    expect(await world.states(run)).toEqual({ a: 'deferred' });
    const triggerer = await world.triggerer('t1');
    await triggerer.fire(triggerer.only.triggerId, 1);
    await world.restart();
    await world.worker();
    await world.finishAll();
    expect(await world.run(run)).toMatchObject({ state: 'success' });
  });

  test('fails when the event has not come in time, and a retry waits again', async () => {
    const wait = { ...waiting, timeoutMs: 5_000 };
    const world = await DagWorld.with([dag('d', [task('a', { wait, retries: 1 })], { params })]);
    const run = await world.trigger('d');
    await world.pass(5_200);
    expect(await world.states(run)).toEqual({ a: 'up_for_retry' });
    await world.pass(2_000);
    expect(await world.states(run)).toEqual({ a: 'deferred' });
    await world.pass(6_000);
    expect((await world.instances(run)).get('a')).toMatchObject({
      state: 'failed',
      reason: 'deferral_timeout',
    });
    expect(await world.run(run)).toMatchObject({ state: 'failed' });
  });

  test('whose templates refer to nothing fails the instance, and says so', async () => {
    const wait = { kind: 'date_time', input: { at: '{{ params.no }}' }, timeoutMs: null };
    const world = await DagWorld.with([dag('d', [task('a', { wait })])]);
    const run = await world.trigger('d');
    expect((await world.instances(run)).get('a')).toMatchObject({ state: 'failed', reason: 'template' });
  });
});

describe('an operator', () => {
  const wait = { kind: 'date_time', input: { at: '2026-01-02T00:00:00Z' }, timeoutMs: null };
  const clear = (run: RunRow['run'], name: string): DagCall => ({
    ...{ action: 'clear', run, tasks: [{ task: name, mapIndex: null }], upstream: false },
    ...{ downstream: false, onlyFailed: false, dryRun: false, reason: 'by hand' },
  });
  const mark = (run: RunRow['run'], name: string): DagCall => ({
    ...{ action: 'mark', run, tasks: [{ task: name, mapIndex: null }], as: 'success', reason: 'by hand' },
  });

  test('who clears a task that is deferred has it begin again, and its trigger stopped', async () => {
    const world = await DagWorld.with([dag('d', [task('a')])]);
    await world.worker();
    const { run } = await world.trigger('d');
    await world.finish({ a: deferral() });
    const triggerer = await world.triggerer('t1');
    const { triggerId } = triggerer.only;
    await world.call(clear(run, 'a'));
    expect(triggerer.triggers.size).toBe(0);
    expect(await triggerer.fire(triggerId, 1)).toMatchObject({ taken: false });
    expect(world.permits.at(-1)).toMatchObject({ resumption: null });
    expect(await world.states({ run })).toEqual({ a: 'running' });
  });

  test('who clears a task that waits before its first try has it wait again, for a new trigger', async () => {
    const world = await DagWorld.with([dag('d', [task('a', { wait })])]);
    await world.worker();
    const { run } = await world.trigger('d');
    const triggerer = await world.triggerer('t1');
    const { triggerId } = triggerer.only;
    await world.call(clear(run, 'a'));
    expect(triggerer.only.triggerId).not.toBe(triggerId);
    await triggerer.fire(triggerer.only.triggerId, 1);
    await world.finishAll();
    expect(await world.run({ run })).toMatchObject({ state: 'success' });
  });

  test('who marks a task that is deferred ends it, and its trigger is stopped', async () => {
    const world = await DagWorld.with([dag('d', [task('a', { wait })])]);
    const { run } = await world.trigger('d');
    const triggerer = await world.triggerer('t1');
    await world.call(mark(run, 'a'));
    expect(triggerer.triggers.size).toBe(0);
    expect(await world.run({ run })).toMatchObject({ state: 'success' });
  });

  test('who cancels a task that waits before its first try ends it, and its run', async () => {
    const world = await DagWorld.with([dag('d', [task('a', { wait })])]);
    const { run } = await world.trigger('d');
    const taskId = (await world.instances({ run })).get('a')?.taskId;
    if (taskId !== undefined) await world.cancel(taskId);
    expect(await world.run({ run })).toMatchObject({ state: 'failed' });
  });

  test('who clears a task that then defers has it begin again, and wait for nothing', async () => {
    const world = await DagWorld.with([dag('d', [task('a')])]);
    await world.worker();
    const { run } = await world.trigger('d');
    await world.call(clear(run, 'a'));
    await world.finish({ a: deferral() });
    expect(world.engine.state.dags.triggers.size).toBe(0);
    expect(world.permits).toHaveLength(2);
    expect(world.permits.at(-1)).toMatchObject({ resumption: null });
  });
});
