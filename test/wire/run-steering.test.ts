import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runKeyOf } from '../../src/core/dag/rows.js';
import type { WallMs } from '../../src/kit/time.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { dag, task } from '../core/dag/support.js';
import { asset, instanceOf, run } from '../store/dag-rows.js';
import { put, task as storedTask } from '../store/rows.js';
import { storeDags } from './support/dags.js';
import type { Message } from './support/proto.js';
import { Stage } from './support/stage.js';
import { eventually } from './support/wait.js';

const shell = { kind: 'command', argv: ['true'], env: {}, workingDirectory: '' } as const;
const work = { ...shell, memoryLimitBytes: null, cpuLimitMillis: null };
const daily = { kind: 'cron', expression: '0 0 * * *', timezone: 'UTC' } as const;

let stage: Stage;
beforeAll(async () => {
  const store = new MemoryStore();
  const first = task('first', { work, queue: 'steered' });
  const second = task('second', { work: { kind: 'none' }, needs: ['first'] });
  const none = { work: { kind: 'none' } } as const;
  const at = Date.now() as WallMs;
  const had = run('chain', 1, { runId: 'had', run: runKeyOf('chain', 'had'), startedAt: at, endedAt: at });
  const left = storedTask(1, {
    state: 'success',
    endedAt: at,
    instance: instanceOf(had, { task: 'second' }),
  });
  await storeDags(
    store,
    [
      { definition: dag('chain', [first, second]) },
      { definition: dag('ranged', [task('only', none)], { schedule: daily }) },
      { definition: dag('timeless', [task('only', none)]) },
    ],
    {
      assets: [asset('sales')],
      runs: [{ ...had, state: 'success' }],
    },
    // Of two instances one is left: the other has gone by its age.
    [put(left)],
  );
  stage = await Stage.start({}, store);
});
afterAll(() => stage.close());

const call = <T = Message>(name: string, request: object = {}): Promise<T> =>
  stage.api.call<T>(name, request);
const at = (day: number) => ({ seconds: String(Date.UTC(2026, 0, day) / 1_000) });
interface Described {
  readonly run: { readonly state: string; readonly reason: string };
  readonly instances: readonly { readonly task: string; readonly taskId: string; readonly state: string }[];
}
const describeRun = (dagId: string, runId: string) => call<Described>('GetRun', { dagId, runId });
const states = async (runId: string): Promise<Record<string, string>> =>
  Object.fromEntries((await describeRun('chain', runId)).instances.map((one) => [one.task, one.state]));
async function begun(runId: string): Promise<string> {
  await call('TriggerDag', { dagId: 'chain', runId });
  await eventually('the first instance', async () => (await states(runId)).first === 'TASK_STATE_QUEUED');
  return (await describeRun('chain', runId)).instances[0]?.taskId ?? '';
}
const endedAs = (runId: string, state: string): Promise<void> =>
  eventually(`${runId} ${state}`, async () => (await describeRun('chain', runId)).run.state === state);
const named = (runId: string) => ({ dagId: 'chain', runId });

describe('a run', () => {
  test('is cancelled with what of it has not ended', async () => {
    await begun('cancelled');
    await call('CancelRun', { ...named('cancelled'), reason: 'not wanted' });
    await endedAs('cancelled', 'RUN_STATE_CANCELLED');
    expect(await states('cancelled')).toMatchObject({ first: 'TASK_STATE_CANCELLED' });
    const again = await stage.api.refused('CancelRun', named('cancelled'));
    expect(again).toMatchObject({ status: status.FAILED_PRECONDITION, code: 'RUN_ENDED' });
  });

  test('is marked, and counts as what it is marked as', async () => {
    await begun('marked');
    await call('MarkRun', { ...named('marked'), as: 'MARK_AS_SUCCESS' });
    await endedAs('marked', 'RUN_STATE_SUCCESS');
    const { run: marked } = await call<Described>('MarkRun', { ...named('marked'), as: 'MARK_AS_FAILED' });
    expect(marked.state).toBe('RUN_STATE_FAILED');
  });

  test('that has failed is cleared where it failed, and goes on', async () => {
    const taskId = await begun('cleared');
    await call('CancelTask', { taskId });
    await endedAs('cleared', 'RUN_STATE_FAILED');
    const clear = { ...named('cleared'), onlyFailed: true };
    const dry = await call<Described>('ClearRun', { ...clear, dryRun: true });
    expect(dry.run.state).toBe('RUN_STATE_FAILED');
    expect(dry.instances).toMatchObject([
      { task: 'first', taskId, state: 'TASK_STATE_CANCELLED', requested: false },
      { task: 'second', state: 'TASK_STATE_UPSTREAM_FAILED' },
    ]);
    expect((await call<Described>('ClearRun', clear)).instances).toHaveLength(2);
    const agent = await stage.greeted({ agentId: 'again', queue: 'steered', slots: 20 });
    await agent.complete(taskId);
    await endedAs('cleared', 'RUN_STATE_SUCCESS');
    agent.close();
  });

  test('has its instances marked, and what comes after them goes on', async () => {
    await begun('by-task');
    const tasks = [{ task: 'first' }];
    const marked = await call<Described>('MarkTasks', { ...named('by-task'), tasks, as: 'MARK_AS_SUCCESS' });
    expect(marked.instances).toMatchObject([{ task: 'first', state: 'TASK_STATE_QUEUED' }]);
    await endedAs('by-task', 'RUN_STATE_SUCCESS');
    expect(await states('by-task')).toEqual({ first: 'TASK_STATE_SUCCESS', second: 'TASK_STATE_SUCCESS' });
  });
});

test('instances are steered by their DAG and run, like tasks by their queue', async () => {
  await begun('one');
  await begun('other');
  type Step = { taskIds: string[]; nextPageToken: string };
  const cancel = { action: 'STEER_ACTION_CANCEL', dryRun: true };
  const meant = async (selection: object) => {
    const states = ['TASK_STATE_QUEUED'];
    const { taskIds } = await call<Step>('SteerTasks', { ...cancel, selection: { states, ...selection } });
    return taskIds.sort();
  };
  const idOf = async (runId: string) => (await describeRun('chain', runId)).instances[0]?.taskId ?? '';
  expect(await meant({ dagId: 'chain', runId: 'one' })).toEqual([await idOf('one')]);
  const both = await meant({ dagId: 'chain' });
  expect(both).toEqual(expect.arrayContaining([await idOf('one'), await idOf('other')]));
  expect(await meant({ dagId: 'ranged', taskIds: both })).toEqual([]);
  expect(await stage.api.refused('SteerTasks', { ...cancel, selection: { runId: 'one' } })).toMatchObject({
    because: 'run ids are unique within their DAG only',
  });
});

describe('a backfill', () => {
  const range = { dagId: 'ranged', from: at(1), to: at(3) };

  test('says which runs there would be, and makes none', async () => {
    const plan = await call<{ instants: Message[] }>('CreateBackfill', { ...range, dryRun: true });
    expect(plan.instants).toMatchObject([
      { logicalDate: at(1), step: 'BACKFILL_STEP_CREATE', runId: '' },
      { step: 'BACKFILL_STEP_CREATE' },
      { step: 'BACKFILL_STEP_CREATE' },
    ]);
    expect(await call('ListBackfills')).toMatchObject({ backfills: [] });
  });

  test('makes a run for each instant of its range, and is completed when they are over', async () => {
    const made = await call('CreateBackfill', { ...range, backfillId: 'b-1' });
    expect(made).toMatchObject({
      backfill: { backfillId: 'b-1', state: 'BACKFILL_STATE_RUNNING', maxActiveRuns: 10 },
    });
    const state = async () =>
      (await call<{ backfills: { state: string }[] }>('ListBackfills', { dagId: 'ranged' })).backfills[0]
        ?.state;
    await eventually('the end', async () => (await state()) === 'BACKFILL_STATE_COMPLETED');
    const { runs } = await call<{ runs: Message[] }>('ListRuns', { dagId: 'ranged', backfill: 'b-1' });
    expect(runs).toHaveLength(3);
    expect(runs).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ type: 'RUN_TYPE_BACKFILL', state: 'RUN_STATE_SUCCESS' }),
      ]),
    );
    const again = { ...range, dryRun: true, reprocess: 'REPROCESS_POLICY_COMPLETED' };
    const plan = await call<{ instants: Message[] }>('CreateBackfill', again);
    expect(plan.instants[0]).toMatchObject({ step: 'BACKFILL_STEP_CLEAR', runState: 'RUN_STATE_SUCCESS' });
    const ended = { backfillId: 'b-1', steering: 'BACKFILL_STEERING_PAUSE' };
    expect(await stage.api.refused('SteerBackfill', ended)).toMatchObject({ code: 'BACKFILL_ENDED' });
    expect(await stage.api.refused('CreateBackfill', { ...range, backfillId: 'b-1' })).toMatchObject({
      code: 'BACKFILL_EXISTS',
    });
  });

  test('is paused, resumed and cancelled', async () => {
    const long = { dagId: 'ranged', from: { seconds: 0 }, to: { seconds: 86_400 * 900 } };
    await call('CreateBackfill', { ...long, backfillId: 'b-2', maxActiveRuns: 1 });
    for (const [steering, state] of [
      ['PAUSE', 'PAUSED'],
      ['RESUME', 'RUNNING'],
      ['CANCEL', 'CANCELLED'],
    ]) {
      const asked = { backfillId: 'b-2', steering: `BACKFILL_STEERING_${steering}` };
      expect(await call('SteerBackfill', asked)).toMatchObject({
        backfill: { state: `BACKFILL_STATE_${state}` },
      });
    }
  });
});

test('a pool is removed, once', async () => {
  await call('SetPool', { pool: 'short-lived', slots: 1 });
  await call('DeletePool', { pool: 'short-lived' });
  expect(await stage.api.refused('DeletePool', { pool: 'short-lived' })).toMatchObject({
    ...{ status: status.NOT_FOUND, code: 'POOL_NOT_FOUND' },
  });
});

test('the default pool is there whatever anybody does: a removal lifts its limit, and is refused when it has none', async () => {
  const pools = async () => (await call<{ pools: { pool: string; known: boolean }[] }>('ListPools')).pools;
  await call('SetPool', { pool: 'default_pool', slots: 1 });
  expect(await pools()).toContainEqual(expect.objectContaining({ pool: 'default_pool', slots: 1 }));
  await call('DeletePool', { pool: 'default_pool' });
  expect(await stage.api.refused('DeletePool', { pool: 'default_pool' })).toMatchObject({
    code: 'POOL_NOT_FOUND',
    because: 'it is there without anybody having made it, and nobody has limited it',
  });
});

test('what is too large is told by its size, with advice that fits', async () => {
  const payload = JSON.stringify('x'.repeat(70_000));
  expect(await stage.api.refused('FireTrigger', { triggerId: 'x', payload })).toMatchObject({
    because: 'at most 65536 are taken',
    try: 'store the data elsewhere, and hand on where it is',
  });
});

test('an event of an asset is told from outside, with its number', async () => {
  const { event } = await call<{ event: Message }>('EmitAssetEvent', {
    asset: 'sales',
    extra: '{"rows":12}',
  });
  expect(event).toMatchObject({ asset: 'sales', source: null, extra: '{"rows":12}' });
  const { events } = await call<{ events: Message[] }>('ListAssetEvents', { asset: 'sales' });
  expect(events).toEqual([event]);
});

const chosen = (tasks: object[]) => ({ ...named('cancelled'), tasks });
test.each([
  ['CancelRun', 'RUN_NOT_FOUND', named('nobody')],
  ['MarkRun', 'INVALID_REQUEST', named('cancelled')],
  ['MarkRun', 'RUN_NOT_FOUND', { ...named('nobody'), as: 1 }],
  ['ClearRun', 'RUN_NOT_FOUND', named('nobody')],
  ['ClearRun', 'TASK_NOT_IN_DAG', chosen([{ task: 'nobody' }])],
  ['ClearRun', 'TASK_NOT_IN_DAG', chosen([{ task: 'first', mapIndex: 7 }])],
  ['ClearRun', 'RUN_PRUNED', named('had')],
  ['ClearRun', 'INVALID_REQUEST', chosen(Array.from({ length: 1_001 }, () => ({ task: 'first' })))],
  ['MarkTasks', 'INVALID_REQUEST', { ...chosen([]), as: 1 }],
  ['MarkTasks', 'INVALID_REQUEST', chosen([{ task: 'first' }])],
  ['MarkTasks', 'TASK_NOT_IN_DAG', { ...chosen([{ task: 'nobody' }]), as: 2 }],
  ['CreateBackfill', 'DAG_NOT_FOUND', { dagId: 'nobody', from: at(1), to: at(2) }],
  ['CreateBackfill', 'INVALID_REQUEST', { dagId: 'ranged', from: at(1) }],
  ['CreateBackfill', 'INVALID_REQUEST', { dagId: 'ranged', from: at(2), to: at(1) }],
  ['CreateBackfill', 'INVALID_REQUEST', { dagId: 'ranged', from: at(1), to: at(2), maxActiveRuns: 1_001 }],
  ['CreateBackfill', 'INVALID_REQUEST', { dagId: 'ranged', from: at(1), to: at(2), reprocess: 9 }],
  ['CreateBackfill', 'INVALID_REQUEST', { dagId: 'ranged', from: at(1), to: at(2), backfillId: 'a/b' }],
  ['CreateBackfill', 'INVALID_PARAMS', { dagId: 'ranged', from: at(1), to: at(2), params: '{"x":1}' }],
  ['CreateBackfill', 'TOO_MANY_INSTANTS', { dagId: 'ranged', from: at(1), to: at(2_000) }],
  ['CreateBackfill', 'NO_INSTANTS', { dagId: 'timeless', from: at(1), to: at(2) }],
  ['SteerBackfill', 'BACKFILL_NOT_FOUND', { backfillId: 'nobody', steering: 1 }],
  ['SteerBackfill', 'INVALID_REQUEST', { backfillId: 'nobody' }],
  ['DeletePool', 'INVALID_REQUEST', { pool: 'a b' }],
  ['EmitAssetEvent', 'ASSET_NOT_FOUND', { asset: 'nobody' }],
  ['EmitAssetEvent', 'INVALID_REQUEST', { asset: 'sales', extra: '[]' }],
  ['EmitAssetEvent', 'EXTRA_TOO_LARGE', { asset: 'sales', extra: JSON.stringify({ x: 'y'.repeat(70_000) }) }],
])('%s is refused as %s, case %#', async (name, code, request) => {
  const refused = await stage.api.refused(name, request);
  expect(refused.code).toBe(code);
  expect([refused.because, refused.try]).not.toContain('');
});
