import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Param } from '../../src/core/dag/definition.js';
import type { WallMs } from '../../src/kit/time.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { dag, task } from '../core/dag/support.js';
import { asset, assetEvent, bundle } from '../store/dag-rows.js';
import { storeDags } from './support/dags.js';
import type { Message } from './support/proto.js';
import { refusalOf } from './support/proto.js';
import { Stage } from './support/stage.js';
import { Watching } from './support/watching.js';

const NEVER = Date.UTC(2100, 0, 1) as WallMs;
const year: Param = {
  ...{ type: 'integer', default: 2026, description: 'which', oneOf: [], minimum: 2000, maximum: null },
};
const shell = { kind: 'command', argv: ['true'], env: {}, workingDirectory: '' } as const;
const command = { ...shell, memoryLimitBytes: null, cpuLimitMillis: null };
const on = (queue: string) => ({ queue, work: command });

let stage: Stage;
beforeAll(async () => {
  const store = new MemoryStore();
  const chain = [task('first', on('chain')), task('second', { ...on('chain'), needs: ['first'] })];
  const many = Array.from({ length: 5 }, (_, i) => task(`t${i}`, { ...on('many'), pool: 'small' }));
  const list: Param = {
    ...year,
    type: 'array',
    default: Array.from({ length: 300 }, (_, i) => i),
    minimum: null,
  };
  const wait = { kind: 'external', input: { name: 'go' }, timeoutMs: 3_600_000 };
  const both = {
    kind: 'all',
    of: [
      { kind: 'asset', asset: 'a' },
      { kind: 'asset', asset: 'b' },
    ],
  } as const;
  await storeDags(
    store,
    [
      { definition: dag('chain', chain, { params: { year }, tags: ['daily'], description: 'two in a row' }) },
      { definition: dag('many', many) },
      { definition: dag('waits', [task('held', { work: { kind: 'none' }, wait })]) },
      {
        definition: dag('wide', [task('each', { ...on('wide'), expand: '{{ params.list }}' })], {
          params: { list },
        }),
      },
      { definition: dag('asleep', [task('only')]), row: { paused: true } },
      { definition: dag('gone', [task('only')]), row: { active: false } },
      { definition: dag('of-assets', [task('only')], { schedule: { kind: 'assets', condition: both } }) },
      {
        definition: dag('nightly', [task('only')], {
          schedule: { kind: 'cron', expression: '0 2 * * *', timezone: 'Europe/Berlin' },
        }),
        row: {
          nextInstant: NEVER,
          importError: { message: 'nightly.dag.yaml:1:1: no', since: 1_000 as WallMs },
        },
      },
    ],
    {
      assets: [asset('a', { lastEvent: 2, lastEventAt: 5_000 as WallMs })],
      assetEvents: [assetEvent(1, 'a'), assetEvent(2, 'a')],
      bundles: [bundle('main')],
    },
  );
  stage = await Stage.start({}, store);
});
afterAll(() => stage.close());

const call = <T = Message>(name: string, request: object = {}): Promise<T> =>
  stage.api.call<T>(name, request);
interface Runs {
  readonly runs: readonly { readonly runId: string; readonly dagId: string; readonly state: string }[];
  readonly nextPageToken: string;
}
const trigger = async (dagId: string, change: object = {}) =>
  (
    await call<{ run: Runs['runs'][number] & { readonly params: string } }>('TriggerDag', {
      dagId,
      ...change,
    })
  ).run;
interface Described {
  readonly run: Runs['runs'][number];
  readonly tasks: readonly { readonly task: string; readonly needs: readonly string[] }[];
  readonly instances: readonly { readonly task: string; readonly taskId: string; readonly state: string }[];
  readonly nextPageToken: string;
}

describe('DAGs', () => {
  test('are listed by name, those that their bundle has lost only when asked for', async () => {
    const names = async (request: object) =>
      (await call<{ dags: { dagId: string }[] }>('ListDags', request)).dags.map(({ dagId }) => dagId);
    expect(await names({})).toEqual(['asleep', 'chain', 'many', 'nightly', 'of-assets', 'waits', 'wide']);
    expect(await names({ inactive: true })).toContain('gone');
    expect(await names({ tag: 'daily' })).toEqual(['chain']);
    expect(await names({ paused: true })).toEqual(['asleep']);
    expect(await names({ bundle: 'other' })).toEqual([]);
  });

  test('come by pages that lack none', async () => {
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await call<{ dags: { dagId: string }[]; nextPageToken: string }>('ListDags', {
        ...{ pageSize: 2, pageToken },
      });
      seen.push(...page.dags.map(({ dagId }) => dagId));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen).toEqual(['asleep', 'chain', 'many', 'nightly', 'of-assets', 'waits', 'wide']);
  });

  test('show their params, tasks and definitions that are kept', async () => {
    const { params, tasks, versions, definition } = await call('GetDag', { dagId: 'chain' });
    expect(params).toMatchObject([{ name: 'year', type: 'integer', defaultValue: '2026', minimum: 2000 }]);
    expect(tasks).toMatchObject([{ task: 'first' }, { task: 'second', needs: ['first'], work: 'command' }]);
    expect(versions).toMatchObject([{ definitionVersion: '1', hash: 'hash of chain' }]);
    expect(definition).toBe('');
    const whole = await call<{ definition: string }>('GetDag', { dagId: 'chain', withDefinition: true });
    expect(JSON.parse(whole.definition)).toMatchObject({ dagId: 'chain' });
  });

  test('show when they run next, why their file cannot be read, and how long nobody reads their bundle', async () => {
    const { dag: shown } = await call<{ dag: Message }>('GetDag', { dagId: 'nightly' });
    expect(shown).toMatchObject({
      schedule: { cron: { expression: '0 2 * * *', timezone: 'Europe/Berlin' } },
      nextRunAt: { seconds: String(NEVER / 1_000) },
      importError: { message: 'nightly.dag.yaml:1:1: no', since: { seconds: '1' } },
      bundle: 'main',
    });
    expect(shown.bundleUnheardFor).not.toBeNull();
    const { dag: waiting } = await call<{ dag: Message }>('GetDag', { dagId: 'of-assets' });
    expect(waiting).toMatchObject({ schedule: { assets: { condition: 'a & b', assets: ['a', 'b'] } } });
  });

  test('are paused and unpaused, however often it is said', async () => {
    for (const [name, paused] of [
      ['PauseDag', true],
      ['PauseDag', true],
      ['UnpauseDag', false],
      ['UnpauseDag', false],
    ] as const) {
      expect(await call(name, { dagId: 'many' })).toMatchObject({ dag: { dagId: 'many', paused } });
    }
  });
});

describe('a run by hand', () => {
  test('has the params given and the defaults of the rest', async () => {
    expect(JSON.parse((await trigger('chain')).params)).toEqual({ year: 2026 });
    expect(JSON.parse((await trigger('chain', { runId: 'r-1', params: '{"year":2001}' })).params)).toEqual({
      year: 2001,
    });
  });

  test('stands for the logical date that it is given, and is named for it', async () => {
    const run = await trigger('chain', { logicalDate: { seconds: 1_767_225_600 } });
    expect(run).toMatchObject({
      runId: 'manual__2026-01-01T00:00:00.000Z',
      logicalDate: { seconds: '1767225600' },
      type: 'RUN_TYPE_MANUAL',
    });
  });

  test.each([
    ['of an unknown DAG', { dagId: 'nobody' }, status.NOT_FOUND, 'DAG_NOT_FOUND'],
    ['of a DAG that its bundle has lost', { dagId: 'gone' }, status.NOT_FOUND, 'DAG_NOT_FOUND'],
    ['of a paused DAG', { dagId: 'asleep' }, status.FAILED_PRECONDITION, 'DAG_PAUSED'],
    ['with a param too many', { params: '{"yaer":1}' }, status.INVALID_ARGUMENT, 'INVALID_PARAMS'],
    [
      'with a param of another type',
      { params: '{"year":"2026"}' },
      status.INVALID_ARGUMENT,
      'INVALID_PARAMS',
    ],
    ['with params that are no JSON', { params: 'year=1' }, status.INVALID_ARGUMENT, 'INVALID_PARAMS'],
    ['with params that are no object', { params: '[1]' }, status.INVALID_ARGUMENT, 'INVALID_PARAMS'],
    [
      'with params beyond the limit',
      { params: JSON.stringify({ year: 'x'.repeat(300_000) }) },
      status.INVALID_ARGUMENT,
      'INVALID_PARAMS',
    ],
    ['with an impossible run id', { runId: 'a/b' }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    [
      'with an impossible date',
      { logicalDate: { seconds: 1e12 } },
      status.INVALID_ARGUMENT,
      'INVALID_REQUEST',
    ],
  ])('%s is refused', async (_name, change, code, stable) => {
    const refused = await stage.api.refused('TriggerDag', { dagId: 'chain', ...change });
    expect(refused).toMatchObject({ status: code, code: stable });
    expect([refused.because, refused.try]).not.toContain('');
  });

  test('of an id that is taken is refused, and says what became of that run', async () => {
    await trigger('chain', { runId: 'taken' });
    const refused = await stage.api.refused('TriggerDag', { dagId: 'chain', runId: 'taken' });
    expect(refused).toMatchObject({ status: status.ALREADY_EXISTS, code: 'RUN_EXISTS' });
  });
});

describe('runs', () => {
  test('are listed newest first, by DAG, state and type, in pages that lack none', async () => {
    for (const runId of ['p-1', 'p-2', 'p-3']) await trigger('of-assets', { runId });
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await call<Runs>('ListRuns', { dagId: 'of-assets', pageSize: 2, pageToken });
      seen.push(...page.runs.map(({ runId }) => runId));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen.sort()).toEqual(['p-1', 'p-2', 'p-3']);
    const filtered = async (change: object) =>
      (await call<Runs>('ListRuns', { dagId: 'of-assets', ...change })).runs.length;
    expect(await filtered({ states: ['RUN_STATE_FAILED'] })).toBe(0);
    expect(await filtered({ type: 'RUN_TYPE_SCHEDULED' })).toBe(0);
    expect(await filtered({ type: 'RUN_TYPE_MANUAL' })).toBe(3);
    expect(await filtered({ backfill: 'b' })).toBe(0);
  });

  test('show the tasks of their definition, and each instance once it is decided', async () => {
    const { runId } = await trigger('chain', { runId: 'shown' });
    const read = () => call<Described>('GetRun', { dagId: 'chain', runId });
    const agent = await stage.greeted({ agentId: 'shower', queue: 'chain', slots: 50 });
    const watching = new Watching(stage.api, 'chain', runId);
    await watching.seen('first');
    const before = await read();
    expect(before.tasks).toMatchObject([
      { task: 'first', needs: [] },
      { task: 'second', needs: ['first'] },
    ]);
    expect(before.instances.map((one) => one.task)).toEqual(['first']);
    await agent.complete(before.instances[0]?.taskId ?? '');
    await watching.seen('second');
    await agent.complete((await read()).instances[1]?.taskId ?? '');
    await watching.ended;
    expect((await read()).run.state).toBe('RUN_STATE_SUCCESS');
    expect(watching.words.filter((word) => /SUCCESS/.test(word))).toEqual([
      'first TASK_STATE_SUCCESS',
      'second TASK_STATE_SUCCESS',
      'run RUN_STATE_SUCCESS',
    ]);
    const { tasks } = await call<{ tasks: Message[] }>('ListTasks', { dagId: 'chain', runId });
    expect(tasks).toMatchObject([
      { instance: { dagId: 'chain', runId, task: 'second' } },
      { instance: { dagId: 'chain', runId, task: 'first' } },
    ]);
    agent.close();
  });

  test('that have ended are told once to whoever watches them, with all of their instances', async () => {
    const watching = new Watching(stage.api, 'chain', 'shown');
    await watching.ended;
    expect(watching.words.sort()).toEqual([
      'first TASK_STATE_SUCCESS',
      'run RUN_STATE_SUCCESS',
      'second TASK_STATE_SUCCESS',
    ]);
  });

  test('come with their instances by pages that lack none, and wait for room in a pool that is full', async () => {
    await call('SetPool', { pool: 'small', slots: 2, description: 'two at once' });
    const { runId } = await trigger('many', { runId: 'paged' });
    const watching = new Watching(stage.api, 'many', runId);
    for (const name of ['t0', 't1', 't2', 't3', 't4']) await watching.seen(name);
    watching.stop();
    const seen: string[] = [];
    const defined: string[] = [];
    let pageToken = '';
    do {
      const page = await call<Described>('GetRun', { dagId: 'many', runId, pageSize: 2, pageToken });
      expect(Math.max(page.tasks.length, page.instances.length)).toBeLessThanOrEqual(2);
      defined.push(...page.tasks.map((one) => one.task));
      seen.push(...page.instances.map((one) => one.task));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(defined).toEqual(['t0', 't1', 't2', 't3', 't4']);
    expect(seen.sort()).toEqual(defined);
    const full = { pool: 'small', slots: 2, used: 2, waiting: 3, known: true, description: 'two at once' };
    expect((await call<{ pools: Message[] }>('ListPools')).pools).toContainEqual(
      expect.objectContaining(full),
    );
  });

  test.each([
    ['GetRun', { dagId: 'chain', runId: 'nobody' }, status.NOT_FOUND, 'RUN_NOT_FOUND'],
    [
      'GetRun',
      { dagId: 'chain', runId: 'shown', pageToken: 'x' },
      status.INVALID_ARGUMENT,
      'INVALID_REQUEST',
    ],
    ['ListRuns', { dagId: 'nobody' }, status.NOT_FOUND, 'DAG_NOT_FOUND'],
    ['ListRuns', { pageToken: 'x' }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    ['ListRuns', { states: [99] }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    ['ListRuns', { type: 99 }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    ['ListTasks', { runId: 'shown' }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    ['ListBackfills', { pageToken: 'x' }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    ['ListAssetEvents', { pageToken: 'x' }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    ['GetDag', { dagId: 'nobody' }, status.NOT_FOUND, 'DAG_NOT_FOUND'],
    ['GetDag', { dagId: 'chain', definitionVersion: 7 }, status.NOT_FOUND, 'DAG_VERSION_NOT_FOUND'],
    ['PauseDag', { dagId: 'nobody' }, status.NOT_FOUND, 'DAG_NOT_FOUND'],
    ['UnpauseDag', { dagId: 'nobody' }, status.NOT_FOUND, 'DAG_NOT_FOUND'],
    ['FireTrigger', { triggerId: 'nobody' }, status.NOT_FOUND, 'TRIGGER_NOT_FOUND'],
    ['FireTrigger', { triggerId: 'x', payload: '{' }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    [
      'FireTrigger',
      { triggerId: 'x', payload: JSON.stringify('x'.repeat(70_000)) },
      status.INVALID_ARGUMENT,
      'INVALID_REQUEST',
    ],
    ['SetPool', { pool: 'a b', slots: 1 }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    ['SetPool', { pool: 'a', slots: 2_000_000 }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
    ['SetPool', { pool: 'a', description: 'x'.repeat(2_000) }, status.INVALID_ARGUMENT, 'INVALID_REQUEST'],
  ])('and what else is asked by %s is refused, case %#', async (name, request, code, stable) => {
    const refused = await stage.api.refused(name, request);
    expect(refused).toMatchObject({ status: code, code: stable });
    expect([refused.because, refused.try]).not.toContain('');
  });

  test('a DAG that is unknown is asked for by the name that was probably meant', async () => {
    for (const name of ['GetDag', 'PauseDag', 'TriggerDag', 'ListRuns']) {
      const { details } = await stage.api.refused(name, { dagId: 'chian' });
      expect([name, details]).toEqual([name, expect.stringContaining('no DAG chian (did you mean chain?)')]);
    }
  });

  test('that are watched slowly are told the last state of each instance all the same', async () => {
    const agent = await stage.greeted({ agentId: 'wide', queue: 'wide', slots: 50 });
    const { runId } = await trigger('wide');
    const watching = new Watching(stage.api, 'wide', runId);
    await watching.seen('each');
    watching.pause();
    const { instances } = await call<Described>('GetRun', { dagId: 'wide', runId });
    expect(instances).toHaveLength(300);
    for (const { taskId } of instances) await agent.complete(taskId);
    watching.resume();
    await watching.ended;
    expect([...watching.last.values()]).toEqual(Array(300).fill('TASK_STATE_SUCCESS'));
    expect(watching.words.at(-1)).toBe('run RUN_STATE_SUCCESS');
    agent.close();
  });

  test('that are not there cannot be watched', async () => {
    const watching = new Watching(stage.api, 'chain', 'nobody');
    const refused = await watching.ended.catch(refusalOf);
    expect(refused).toMatchObject({ status: status.NOT_FOUND, code: 'RUN_NOT_FOUND' });
  });

  test('that are watched no more leave nothing behind', async () => {
    const { runId } = await trigger('of-assets', { runId: 'left' });
    const watching = new Watching(stage.api, 'of-assets', runId);
    await watching.seen('only');
    watching.stop();
    await stage.serves();
  });
});

test('assets show their newest event and the DAGs that wait for them', async () => {
  const { assets } = await call<{ assets: Message[] }>('ListAssets');
  expect(assets).toMatchObject([
    { asset: 'a', lastEvent: '2', dagIds: ['of-assets'] },
    { asset: 'b', lastEvent: '0', lastEventAt: null, dagIds: ['of-assets'] },
  ]);
  const { events, nextPageToken } = await call<{ events: Message[]; nextPageToken: string }>(
    'ListAssetEvents',
    { asset: 'a', pageSize: 1 },
  );
  expect([events, nextPageToken]).toMatchObject([[{ n: '2', asset: 'a', source: null }], '2']);
  const rest = await call<{ events: Message[] }>('ListAssetEvents', { pageToken: nextPageToken });
  expect(rest.events).toMatchObject([{ n: '1' }]);
});

test('bundles show what they hold and how long nobody reads them', async () => {
  const { bundles } = await call<{ bundles: Message[] }>('ListBundles');
  expect(bundles).toMatchObject([{ bundle: 'main', agentId: '', receivedAt: null, dagCount: 7 }]);
  expect(bundles[0]?.unheardFor).not.toBeNull();
});

test('a trigger is listed with its instance, and fired by hand lets its task go on, once', async () => {
  const { runId } = await trigger('waits');
  const watching = new Watching(stage.api, 'waits', runId);
  await watching.seen('held');
  const list = async (change: object) =>
    (await call<{ triggers: (Message & { triggerId: string })[] }>('ListTriggers', change)).triggers;
  const [found] = await list({ kind: 'external' });
  expect(found).toMatchObject({
    ...{ kind: 'external', input: '{"name":"go"}', agentId: '' },
    instance: { dagId: 'waits', runId, task: 'held' },
  });
  expect(found?.timesOutIn).not.toBeNull();
  expect(await list({ kind: 'file' })).toEqual([]);
  const triggerId = found?.triggerId ?? '';
  await call('FireTrigger', { triggerId, payload: '{"by":"hand"}' });
  await watching.ended;
  expect(watching.words.at(-1)).toBe('run RUN_STATE_SUCCESS');
  expect(await stage.api.refused('FireTrigger', { triggerId })).toMatchObject({ code: 'TRIGGER_NOT_FOUND' });
});

test('without backfills and triggers there are none to list', async () => {
  expect(await call('ListBackfills', { dagId: 'chain' })).toMatchObject({ backfills: [], nextPageToken: '' });
  expect(await call('ListTriggers')).toMatchObject({ triggers: [], nextPageToken: '' });
});
