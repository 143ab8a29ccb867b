import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type Client,
  type ClientClock,
  connect,
  HoldfastError,
  type RunChange,
} from '../../src/client/index.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { dag, task } from '../core/dag/support.js';
import { storeDags } from '../wire/support/dags.js';
import { Stage } from '../wire/support/stage.js';

let drawn = 0;
const clock: ClientClock = {
  now: () => Date.now(),
  random: () => 0,
  wait: () => Promise.resolve(),
  unique: () => `drawn-${++drawn}`,
};

let stage: Stage;
let client: Client;
beforeEach(async () => {
  const store = new MemoryStore();
  // It waits for nobody: a run of it ends by itself.
  const nothing = task('nothing', { work: { kind: 'none' } });
  const name = { type: 'string', description: '', oneOf: [], minimum: null, maximum: null } as const;
  await storeDags(store, [
    {
      definition: dag('quick', [nothing, task('after', { ...nothing, taskId: 'after', needs: ['nothing'] })]),
    },
    { definition: dag('asks', [nothing], { params: { name } }) },
    { definition: dag('waits', [task('for-a-worker')]) },
  ]);
  stage = await Stage.start({}, store);
  client = connect(stage.address, { clock });
});
afterEach(async () => {
  client.close();
  await stage.close();
});

const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
};
const failureOf = async (call: Promise<unknown>): Promise<HoldfastError> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(HoldfastError);
  return error as HoldfastError;
};
const words = (change: RunChange): string =>
  change.kind === 'run' ? `run ${change.run.state}` : `${change.instance.task} ${change.instance.state}`;

describe('a run by hand', () => {
  test('is waited for to its end, and shown with its instances', async () => {
    const { run, tasks, instances } = await client.runs.triggerAndWait('quick');
    expect(run).toMatchObject({ dagId: 'quick', state: 'success', type: 'manual', params: {} });
    expect(tasks.map((one) => one.task)).toEqual(['nothing', 'after']);
    expect(instances.map((one) => [one.task, one.state, one.mapIndex])).toEqual([
      ['nothing', 'success', undefined],
      ['after', 'success', undefined],
    ]);
  });

  test('has a run id drawn for it, under which it is made once however often the call is sent', async () => {
    const first = await client.dags.trigger('quick');
    expect(first.runId).toBe(`manual__drawn-${drawn}`);
    // What a second attempt of the very same call finds: the clock draws the same id.
    drawn--;
    const second = await client.dags.trigger('quick');
    expect([second.runId, second.createdAt]).toEqual([first.runId, first.createdAt]);
    expect(await collect(client.runs.list({ dagId: 'quick' }))).toHaveLength(1);
  });

  test('of an id of the caller is made by one of two callers', async () => {
    await client.dags.trigger('quick', { runId: 'mine' });
    const refused = await failureOf(client.dags.trigger('quick', { runId: 'mine' }));
    expect(refused).toMatchObject({ code: 'RUN_EXISTS', grpcStatus: status.ALREADY_EXISTS });
  });

  test('without a param that has no default is refused, and the DAG says which it has', async () => {
    expect(await failureOf(client.dags.trigger('asks'))).toMatchObject({ code: 'INVALID_PARAMS' });
    const { params } = await client.dags.get('asks');
    expect(params).toMatchObject([{ name: 'name', type: 'string', required: true, default: undefined }]);
    const run = await client.dags.trigger('asks', { params: { name: 'x' } });
    expect(run.params).toEqual({ name: 'x' });
  });

  test('that takes longer than it may is given up, and goes on', async () => {
    const late = await failureOf(client.runs.triggerAndWait('waits', {}, { timeoutMs: 300 }));
    expect(late.code).toBe('DEADLINE_EXCEEDED');
    expect(await collect(client.runs.list({ dagId: 'waits', states: ['running'] }))).toHaveLength(1);
  });
});

describe('a watch of a run', () => {
  test('tells each change once, and the end of the run last', async () => {
    const { runId } = await client.dags.trigger('quick');
    const told = (await collect(client.runs.watch('quick', runId))).map(words);
    expect(new Set(told).size).toBe(told.length);
    expect(told).toEqual(expect.arrayContaining(['nothing success', 'after success']));
    expect(told.at(-1)).toBe('run success');
  });

  test('that is broken off by its signal rejects', async () => {
    const { runId } = await client.dags.trigger('waits');
    const abort = new AbortController();
    const watching = (async () => {
      for await (const _change of client.runs.watch('waits', runId, { signal: abort.signal })) abort.abort();
    })();
    expect(await failureOf(watching)).toMatchObject({ code: 'CANCELLED' });
  });
});

test('DAGs are paused, and then get no runs', async () => {
  expect(await client.dags.pause('quick')).toMatchObject({ paused: true });
  expect(await failureOf(client.dags.trigger('quick'))).toMatchObject({ code: 'DAG_PAUSED' });
  expect((await collect(client.dags.list({ paused: true }))).map(({ dagId }) => dagId)).toEqual(['quick']);
  expect(await client.dags.unpause('quick')).toMatchObject({ paused: false, schedule: { kind: 'none' } });
  expect(await collect(client.dags.list({}, { limit: 2 }))).toHaveLength(2);
});

test('pools are set and listed, and the default one has no limit until then', async () => {
  expect(await client.pools.list()).toMatchObject([{ pool: 'default_pool', slots: undefined, known: true }]);
  expect(await client.pools.set('small', 3, 'three')).toMatchObject({ pool: 'small', slots: 3, used: 0 });
  expect((await client.pools.list()).map(({ pool }) => pool)).toEqual(['default_pool', 'small']);
});

test('an instance is a task that names its run', async () => {
  const { run, instances } = await client.runs.triggerAndWait('quick');
  const [first] = instances;
  const found = await client.tasks.get(first?.taskId ?? '');
  expect(found.instance).toEqual({
    ...{ dagId: 'quick', runId: run.runId, task: 'nothing', mapIndex: undefined },
  });
  const filter = { dagId: 'quick', runId: run.runId };
  expect(await collect(client.tasks.list(filter))).toHaveLength(2);
});

test('lists of what nobody has made are empty', async () => {
  expect(await collect(client.assets.list())).toEqual([]);
  expect(await collect(client.assets.events())).toEqual([]);
  expect(await collect(client.triggers.list())).toEqual([]);
  expect(await collect(client.backfills.list())).toEqual([]);
  expect(await client.dags.bundles()).toEqual([]);
});

describe('runs are steered', () => {
  test('to their end, again from where they failed, and to what they shall count as', async () => {
    const { runId } = await client.dags.trigger('waits');
    for await (const change of client.runs.watch('waits', runId)) if (change.kind === 'instance') break;
    await client.runs.cancel('waits', runId, 'not wanted');
    for await (const _change of client.runs.watch('waits', runId));
    expect((await client.runs.get('waits', runId)).run.state).toBe('cancelled');
    expect(await failureOf(client.runs.cancel('waits', runId))).toMatchObject({ code: 'RUN_ENDED' });
    const what = { tasks: [{ task: 'for-a-worker' }], onlyFailed: true };
    const dry = await client.runs.clear('waits', runId, { ...what, dryRun: true });
    expect(dry).toMatchObject({
      run: { state: 'cancelled' },
      instances: [{ task: 'for-a-worker', mapIndex: undefined, state: 'cancelled', requested: false }],
    });
    expect((await client.runs.clear('waits', runId, what)).run.state).not.toBe('cancelled');
    await client.runs.markTasks('waits', runId, [{ task: 'for-a-worker' }], 'success');
    for await (const _change of client.runs.watch('waits', runId));
    expect((await client.runs.get('waits', runId)).run.state).toBe('success');
    expect((await client.runs.mark('waits', runId, 'failed')).state).toBe('failed');
  });

  test('and what they share as well', async () => {
    const range = { from: new Date(0), to: new Date(1), dryRun: true };
    expect(await failureOf(client.backfills.create('quick', range))).toMatchObject({ code: 'NO_INSTANTS' });
    expect(await failureOf(client.backfills.cancel('nobody'))).toMatchObject({ code: 'BACKFILL_NOT_FOUND' });
    expect(await failureOf(client.assets.emit('nobody'))).toMatchObject({ code: 'ASSET_NOT_FOUND' });
    await client.pools.set('small', 1);
    await client.pools.remove('small');
    expect(await failureOf(client.pools.remove('small'))).toMatchObject({ code: 'POOL_NOT_FOUND' });
    expect(await failureOf(client.triggers.fire('nobody'))).toMatchObject({ code: 'TRIGGER_NOT_FOUND' });
  });
});
