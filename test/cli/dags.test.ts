import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { coloursFor } from '../../src/cli/index.js';
import { runDescriptionView } from '../../src/cli/run-views.js';
import { connect } from '../../src/client/index.js';
import type { Json as JsonValue, Param, ParamType } from '../../src/core/dag/definition.js';
import type { WallMs } from '../../src/kit/time.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { dag, task } from '../core/dag/support.js';
import { asset, assetEvent, bundle } from '../store/dag-rows.js';
import { storeDags } from '../wire/support/dags.js';
import { Stage } from '../wire/support/stage.js';
import { eventually } from '../wire/support/wait.js';
import { type Ended, inProcess } from './support/program.js';

let stage: Stage;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-dags-'));
  const store = new MemoryStore();
  // They wait for nobody: runs of them end by themselves.
  const done = task('extract', { work: { kind: 'none' } });
  const load = { ...done, taskId: 'load', needs: ['extract'] };
  const each = { ...done, taskId: 'each', expand: '{{ params.list }}', needs: ['extract'] };
  const param = (type: ParamType, value: JsonValue): Param => ({
    ...{ type, default: value, description: `a ${type}`, oneOf: [], minimum: null, maximum: null },
  });
  const params = { year: param('integer', 2026), name: param('string', 'x'), list: param('array', [1, 2]) };
  const never = task('never', {
    ...done,
    taskId: 'never',
    when: '{{ params.none }}',
    expand: '{{ params.text }}',
  });
  await storeDags(
    store,
    [
      { definition: dag('daily', [done, load, each], { params, tags: ['etl'], description: 'every day' }) },
      { definition: dag('fails', [never], { params: { text: param('string', 'no list') } }) },
      {
        definition: dag('waits', [
          task('held', {
            work: { kind: 'none' },
            wait: { kind: 'external', input: { name: 'go' }, timeoutMs: null },
          }),
        ]),
      },
      { definition: dag('stuck', [task('waiting')], { dagrunTimeoutMs: 7_200_000 }) },
      {
        definition: dag('held', [task('waiting'), task('after', { needs: ['waiting'] })], {
          maxActiveRuns: 1,
        }),
      },
      {
        definition: dag('nightly', [done], {
          schedule: { kind: 'cron', expression: '0 2 * * *', timezone: 'Europe/Berlin' },
        }),
        row: {
          nextInstant: Date.UTC(2100, 0, 1) as WallMs,
          importError: { message: 'nightly.dag.yaml:1:1: no', since: 1_000 as WallMs },
        },
      },
    ],
    {
      assets: [asset('sales', { lastEvent: 1 })],
      assetEvents: [assetEvent(1, 'sales')],
      bundles: [
        bundle('main', {
          importErrors: [
            {
              file: 'new.dag.yaml',
              message: 'new.dag.yaml:2:1: no\nnew.dag.yaml:3:1: nor this',
              since: 1_000 as WallMs,
            },
          ],
        }),
      ],
    },
  );
  stage = await Stage.start({}, store);
});
afterAll(async () => {
  await stage.close();
  rmSync(folder, { recursive: true, force: true });
});

const cli = (...args: string[]): Promise<Ended> => inProcess([...args, '--coordinator', stage.address]);
const shown = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await cli(...args);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
};
type Json = Readonly<Record<string, unknown>>;
const json = async <T = Json>(...args: string[]): Promise<T> =>
  JSON.parse(await shown(...args, '-o', 'json')) as T;

describe('dag', () => {
  test('list shows what keeps each from running, and its next run', async () => {
    const table = await shown('dag', 'list');
    expect(table).toMatch(/^DAG +STATE +SCHEDULE +NEXT RUN +ACTIVE RUNS +TASKS +BUNDLE +DESCRIPTION\n/);
    expect(table).toMatch(/nightly +import error +0 2 \* \* \* Europe\/Berlin +2100-01-01T00:00:00Z/);
    expect(await shown('dag', 'list', '--tag', 'etl', '-o', 'name')).toBe('daily\n');
    expect(await json<Json[]>('dag', 'list', '--limit', '1')).toMatchObject([
      { dagId: 'daily', paused: false },
    ]);
  });

  test('describe shows its params and tasks', async () => {
    const text = await shown('dag', 'describe', 'daily');
    expect(text).toMatch(/year +integer +2026 +a integer/);
    expect(text).toMatch(/each\[\] +extract +all_success/);
    expect(await shown('dag', 'describe', 'waits')).toMatch(/ waits for external\n/);
    expect(text).toMatch(/\ntasks of a run: +16 at once\n/);
    expect(text).not.toContain('timeout');
    expect(await shown('dag', 'describe', 'stuck')).toMatch(/\nrun timeout: +2h\n/);
    expect(await json('dag', 'describe', 'stuck')).toMatchObject({
      dagrunTimeoutMs: 7_200_000,
      maxActiveTasks: 16,
    });
    expect(await json('dag', 'describe', 'daily')).toMatchObject({
      tasks: [{ task: 'extract' }, { task: 'load', needs: ['extract'] }, { task: 'each', mapped: true }],
      params: [{ name: 'year', required: false, default: 2026 }, { name: 'name' }, { name: 'list' }],
    });
  });

  test('pause and unpause say what is so now', async () => {
    expect(await shown('dag', 'pause', 'daily')).toBe('daily  paused\n');
    const refused = await cli('dag', 'trigger', 'daily');
    expect([refused.code, refused.stderr]).toEqual([5, expect.stringContaining('[DAG_PAUSED]')]);
    expect(await shown('dag', 'unpause', 'daily')).toBe('daily  active\n');
  });

  test.each([
    ['describe', 'nobody'],
    ['pause', 'nobody'],
    ['trigger', 'nobody'],
  ])('%s of a DAG that is not there exits 4', async (verb, name) => {
    const { code, stderr } = await cli('dag', verb, name);
    expect([code, stderr]).toEqual([4, expect.stringContaining('[DAG_NOT_FOUND]')]);
  });
});

describe('dag trigger', () => {
  test('reads params as the types that the DAG says, over those of a file', async () => {
    const file = join(folder, 'params.yaml');
    writeFileSync(file, 'year: 1999\nlist: [1, 2, 3]\n');
    const params = ['--params-file', file, '--param', 'year=2001', '--param', 'name=2001'];
    const run = await json('dag', 'trigger', 'daily', ...params, '--run-id', 'typed');
    expect(run).toMatchObject({ runId: 'typed', params: { year: 2001, name: '2001', list: [1, 2, 3] } });
  });

  test('--wait shows the run with every instance, set in by what comes before', async () => {
    const text = await shown('dag', 'trigger', 'daily', '--run-id', 'waited', '--wait');
    expect(text).toMatch(/^run: +daily\/waited\nstate: +success\n/);
    expect(text).toMatch(/\nextract +success/);
    expect(text).toMatch(/\n {2}load +success/);
    expect(text).toMatch(/\n {2}each\[1\] +success/);
  });

  test('--wait exits 3 when the run fails, and names what failed and why', async () => {
    const { code, stderr } = await cli('dag', 'trigger', 'fails', '--run-id', 'bad', '--wait');
    expect(code).toBe(3);
    expect(stderr).toContain('error: run fails/bad ended as failed [RUN_FAILED]\n  because: leaf_failed');
    expect(stderr).toContain('never ended as failed');
  });

  test('--wait with a time limit exits 6 when it is over, and the run goes on', async () => {
    const waited = await cli('dag', 'trigger', 'stuck', '--run-id', 'long', '--wait', '--timeout', '300ms');
    expect(waited.code).toBe(6);
    expect(waited.stderr).toContain('run stuck/long goes on');
    expect(await json('run', 'describe', 'stuck/long')).toMatchObject({ state: 'running' });
  });

  test.each([
    ['a param that the DAG does not have', ['--param', 'yaer=1'], 'did you mean'],
    ['a value of another type', ['--param', 'year=soon'], 'must be a whole number'],
    ['params that are no object', ['--params-file', '-'], 'it holds no object'],
    ['an instant without a zone', ['--logical-date', '2026-01-01T00:00'], 'an instant with its zone'],
    ['an impossible run id', ['--run-id', 'a/b'], 'ids are 1 to 250'],
  ])('with %s exits 2 and says what to do', async (_name, flags, words) => {
    const { code, stderr } = await cli('dag', 'trigger', 'daily', ...flags);
    expect([code, stderr]).toEqual([2, expect.stringContaining(words)]);
  });

  test('with a run id that is taken exits 5', async () => {
    await shown('dag', 'trigger', 'daily', '--run-id', 'twice');
    const { code, stderr } = await cli('dag', 'trigger', 'daily', '--run-id', 'twice');
    expect([code, stderr]).toEqual([5, expect.stringContaining('[RUN_EXISTS]')]);
  });
});

describe('run', () => {
  test('list shows them newest first, in a form that the other commands take', async () => {
    await shown('dag', 'trigger', 'daily', '--run-id', 'listed', '--wait');
    const names = (await shown('run', 'list', '--dag', 'daily', '-o', 'name')).split('\n');
    expect(names).toContain('daily/listed');
    expect(await shown('run', 'describe', 'daily/listed')).toContain('daily/listed');
    expect(await json<Json[]>('run', 'list', '--dag', 'daily', '--state', 'failed')).toEqual([]);
    expect(await shown('run', 'list', '--dag', 'daily')).toMatch(/daily\/listed +success +manual/);
  });

  test('describe says of a task that nothing is decided of what it waits for', async () => {
    for (const runId of ['first', 'second']) await shown('dag', 'trigger', 'held', '--run-id', runId);
    await eventually('the first task', async () =>
      (await shown('run', 'describe', 'held/first')).includes('queued'),
    );
    expect(await shown('run', 'describe', 'held/first')).toMatch(/ {2}after +not yet .* waits for waiting\n/);
    expect(await shown('run', 'describe', 'held/second')).toMatch(
      /\nwaiting +not yet .* its run waits for its turn\n/,
    );
  });

  test('watch tells each change, and the end of the run last', async () => {
    await shown('dag', 'trigger', 'daily', '--run-id', 'watched');
    const lines = (await shown('run', 'watch', 'daily/watched', '-o', 'jsonl')).trimEnd().split('\n');
    const told = lines.map((line) => JSON.parse(line) as Json);
    expect(told.at(-1)).toMatchObject({ kind: 'run', state: 'success' });
    const each = { kind: 'instance', task: 'each', mapIndex: 1, state: 'success' };
    expect(told).toContainEqual(expect.objectContaining(each));
  });

  test('watch of one that failed exits 3', async () => {
    await cli('dag', 'trigger', 'fails', '--run-id', 'watched');
    const { code, stdout } = await cli('run', 'watch', 'fails/watched');
    expect([code, stdout]).toEqual([3, expect.stringMatching(/fails\/watched {2}failed {2}leaf_failed\n$/)]);
  });

  test('describe of one that is not there exits 4, and of no name 2', async () => {
    expect((await cli('run', 'describe', 'daily/nobody')).code).toBe(4);
    const { code, stderr } = await cli('run', 'describe', 'nobody');
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('error: DAG/RUN cannot be "nobody" [USAGE]\n  because: it must be DAG/RUN, as'),
    ]);
  });
});

describe('runs are steered:', () => {
  test('cancelled, cleared where they failed, and marked', async () => {
    await shown('dag', 'trigger', 'stuck', '--run-id', 'steered');
    const is = async (): Promise<string> =>
      (await json<{ state: string }>('run', 'describe', 'stuck/steered')).state;
    expect(await shown('run', 'cancel', 'stuck/steered', '--reason', 'enough')).toMatch(
      /^stuck\/steered {2}/,
    );
    await eventually('the end', async () => (await is()) === 'cancelled');
    const dry = await shown('run', 'clear', 'stuck/steered', '--failed', '--dry-run');
    expect(dry).toMatch(/waiting +cancelled +would be cleared/);
    expect(await is()).toBe('cancelled');
    const cleared = await json('run', 'clear', 'stuck/steered', '--task', 'waiting', '--downstream');
    expect(cleared).toMatchObject({ instances: [{ task: 'waiting', state: 'cancelled' }] });
    await shown('run', 'mark', 'stuck/steered', '--task', 'waiting', '--success');
    await eventually('the end', async () => (await is()) === 'success');
    expect(await shown('run', 'mark', 'stuck/steered', '--failed')).toMatch(/^stuck\/steered {2}failed/);
  });

  test.each([
    ['a run that is not there', ['cancel', 'stuck/nobody'], 4],
    ['a run that has ended', ['cancel', 'daily/waited'], 5],
    ['a task that it does not have', ['clear', 'daily/waited', '--task', 'nobody'], 4],
    ['no instance by its form', ['clear', 'daily/waited', '--task', 'each[one]'], 2],
    ['two marks', ['mark', 'daily/waited', '--success', '--failed'], 2],
    ['no mark', ['mark', 'daily/waited'], 2],
  ])('%s exits as it should', async (_name, args, exit) => {
    const { code, stderr } = await cli('run', ...args);
    expect([code, stderr]).toEqual([exit, expect.stringContaining('error: ')]);
  });
});

test('a backfill is planned, made, listed and steered', async () => {
  const range = ['--from', '2026-01-01T00:00:00Z', '--to', '2026-01-03T12:00:00Z'];
  const plan = await shown('backfill', 'create', 'nightly', ...range, '--dry-run');
  expect(plan).toMatch(/^nothing was created; there would be\n/);
  // At 02:00 in Berlin.
  expect(plan.match(/2026-01-0[123]T01:00:00Z +create/g)).toHaveLength(3);
  const made = await json('backfill', 'create', 'nightly', ...range, '--id', 'jan', '--max-active-runs', '2');
  expect(made).toMatchObject({ backfillId: 'jan', state: 'running', maxActiveRuns: 2 });
  const state = async () => (await json<Json[]>('backfill', 'list', '--dag', 'nightly'))[0]?.state;
  await eventually('the end', async () => (await state()) === 'completed');
  expect((await shown('run', 'list', '--backfill', 'jan', '-o', 'name')).trim().split('\n')).toHaveLength(3);
  const ended = await cli('backfill', 'pause', 'jan');
  expect([ended.code, ended.stderr]).toEqual([5, expect.stringContaining('[BACKFILL_ENDED]')]);
  expect((await cli('backfill', 'create', 'nightly', '--from', '2026-01-01T00:00:00Z')).code).toBe(2);
  expect((await cli('backfill', 'cancel', 'nobody')).code).toBe(4);
});

test('the output of a task is found by its run and name', async () => {
  const { code, stderr } = await cli('task', 'logs', 'daily/waited', 'nobdy');
  expect(code).toBe(2);
  expect(stderr).toContain('error: run daily/waited has no task instance nobdy');
  expect((await cli('task', 'logs', 'daily', 'load')).stderr).toContain('error: daily is no run');
  const [first] = await json<{ instances: { task: string; mapIndex: number | null }[] }>(
    'run',
    'describe',
    'daily/waited',
  ).then(({ instances }) => instances);
  const name = first?.mapIndex == null ? first?.task : `${first.task}[${first.mapIndex}]`;
  expect((await cli('task', 'logs', 'daily/waited', name ?? '')).code).toBe(0);
});

test('an instance is a task like any other, which says of which run it is', async () => {
  await shown('dag', 'trigger', 'daily', '--run-id', 'tasks', '--wait');
  const tasks = await json<Json[]>('task', 'list', '--run', 'daily/tasks');
  expect(tasks).toHaveLength(4);
  expect((await json<Json[]>('task', 'list', '--dag', 'nobody')).length).toBe(0);
  expect(await shown('task', 'list', '--run', 'daily/tasks')).toContain('extract of daily/tasks\n');
  const [id = ''] = tasks.map(({ taskId }) => String(taskId)).reverse();
  expect(await shown('task', 'describe', id)).toContain('daily/tasks extract');
  expect(await shown('task', 'explain', id)).toContain('instance daily/tasks extract');
});

test('a task of which nothing is decided yet is explained by its run and name', async () => {
  await shown('dag', 'trigger', 'held', '--run-id', 'explained');
  const text = await shown('task', 'explain', 'held/explained', 'after');
  expect(text).toMatch(/^instance held\/explained after\nnothing of it is decided yet; its run is \w+\n/);
  expect(text).toContain('waits for its needs: waiting has not ended [needs_not_ended]');
  expect(await json('task', 'explain', 'held/explained', 'after')).toMatchObject({ taskId: null });
  const unknown = await cli('task', 'explain', 'held/explained', 'aftr');
  expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('did you mean after?')]);
  const logs = await cli('task', 'logs', 'held/explained', 'after');
  expect([logs.code, logs.stderr]).toEqual([2, expect.stringContaining('nothing of it is decided yet')]);
  const client = connect(stage.address);
  const of = (runId: string, task: string) => ({ dagId: 'held', runId, task, mapIndex: undefined });
  await expect(client.tasks.explain(of('nobody', 'after'))).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  await expect(client.tasks.explain(of('explained', 'nobody'))).rejects.toMatchObject({
    code: 'TASK_NOT_IN_DAG',
  });
  client.close();
});

test('pools are set and shown with what is used and what waits', async () => {
  expect(await json('pool', 'set', 'small', '3', '--description', 'three')).toMatchObject({
    ...{ pool: 'small', slots: 3, used: 0, waiting: 0, description: 'three' },
  });
  expect(await shown('pool', 'list')).toMatch(/default_pool +no limit/);
  expect((await cli('pool', 'set', 'small', 'many')).code).toBe(2);
  expect(await shown('pool', 'delete', 'small')).toBe('small  removed\n');
  expect((await cli('pool', 'delete', 'small')).code).toBe(4);
});

test('a trigger that is fired lets its run go on', async () => {
  await shown('dag', 'trigger', 'waits', '--run-id', 'fired');
  const waiting = async (): Promise<Json[]> => json<Json[]>('trigger', 'list', '--kind', 'external');
  await eventually('the trigger', async () => (await waiting()).length > 0);
  expect(await shown('trigger', 'list')).toMatch(/external +- +\S+ +never +waits\/fired held +{"name":"go"}/);
  const [id = ''] = (await waiting()).map(({ triggerId }) => String(triggerId));
  expect(await shown('trigger', 'fire', id, '--payload', '{"by":"hand"}')).toBe(`${id}  fired\n`);
  await shown('run', 'watch', 'waits/fired');
  expect((await cli('trigger', 'fire', id)).code).toBe(4);
  expect((await cli('trigger', 'fire', id, '--payload', '{')).code).toBe(2);
});

test('assets, their events, triggers and bundles are listed', async () => {
  expect(await json<Json[]>('asset', 'list')).toMatchObject([{ asset: 'sales', lastEvent: '1' }]);
  expect(await json<Json[]>('asset', 'events', 'sales')).toMatchObject([
    { n: '1', source: null, extra: null },
  ]);
  const emitted = await json('asset', 'emit', 'sales', '--extra', '{"rows":12}');
  expect(emitted).toMatchObject({ n: '2', asset: 'sales', extra: { rows: 12 } });
  expect((await cli('asset', 'emit', 'sales', '--extra', '12')).code).toBe(2);
  expect((await cli('asset', 'emit', 'nobody')).code).toBe(4);
  expect(await shown('trigger', 'list')).toMatch(/^TRIGGER +KIND/);
  expect(await json<Json[]>('bundle', 'list')).toMatchObject([
    { bundle: 'main', dagCount: 6, agentId: null },
  ]);
});

test('bundle list shows each file that cannot be read, and since when: a new one has no DAG that could show it', async () => {
  const text = await shown('bundle', 'list');
  expect(text).toMatch(/^BUNDLE +DAGS +ERRORS .*\nmain +6 +1 /);
  expect(text).toMatch(
    /\n\nBUNDLE +SINCE +IMPORT ERROR\nmain +\d+d .*ago +new\.dag\.yaml:2:1: no\n +new\.dag\.yaml:3:1: nor this\n$/,
  );
});

test('a long param is shown by its beginning, and as data in full', async () => {
  const list = Array.from({ length: 1_000 }, (_, i) => i);
  const run = ['dag', 'trigger', 'daily', '--param', `list=${JSON.stringify(list)}`, '--run-id', 'long'];
  await shown(...run);
  expect(await shown('run', 'describe', 'daily/long')).toMatch(/\nparams: .*list=\[0,1,2,3,.{1,60}…/);
  expect(await json('run', 'describe', 'daily/long')).toMatchObject({ params: { list } });
});

test('a mapped task with many instances has one row, and one for each that failed or is lost', async () => {
  const list = JSON.stringify(Array.from({ length: 30 }, (_, i) => i));
  const run = ['dag', 'trigger', 'daily', '--param', `list=${list}`, '--run-id', 'wide', '--wait'];
  const text = await shown(...run);
  expect(text).toMatch(/\n {2}each\[30\] +30 success/);
  expect(text).not.toContain('each[0]');
  // Of instances that end without an agent none fails alone: here two have been made to.
  const client = connect(stage.address);
  const description = await client.runs.get('daily', 'wide');
  client.close();
  const odd = description.instances.map((one) =>
    one.mapIndex === 3
      ? { ...one, state: 'failed' as const }
      : one.mapIndex === 5
        ? { ...one, lost: true }
        : one,
  );
  const out = { isTTY: false, columns: undefined, print: () => {} };
  const view = { out, colours: coloursFor(out, {}), now: Date.now() };
  const table = runDescriptionView({ ...description, instances: odd }, view).table();
  expect(table).toMatch(/each\[30\] +29 success, 1 failed/);
  expect(table.match(/ {4}each\[\d+\]/g)).toEqual(['    each[3]', '    each[5]']);
});

test('after a clear of a run that had ended, the time of what is done again counts from when the run went on', async () => {
  await shown('dag', 'trigger', 'daily', '--run-id', 'again', '--wait');
  const client = connect(stage.address);
  const description = await client.runs.get('daily', 'again');
  client.close();
  const at = (second: number) => new Date(1_000 * second);
  const times: Readonly<Record<string, readonly [made: Date, ended: Date | undefined]>> = {
    extract: [at(0), at(4)],
    load: [at(4), at(3_607)],
    each: [at(4), undefined],
  };
  const instances = description.instances.map((one) => {
    const [createdAt, endedAt] = times[one.task] ?? [at(0), undefined];
    return { ...one, createdAt, endedAt };
  });
  const run = { ...description.run, startedAt: at(3_600), endedAt: undefined };
  const out = { isTTY: false, columns: undefined, print: () => {} };
  const view = { out, colours: coloursFor(out, {}), now: at(3_609).getTime() };
  const table = runDescriptionView({ ...description, run, instances }, view).table();
  expect(table).toMatch(/\nextract +success +- +- +4\.0s /);
  expect(table).toMatch(/\n {2}load +success +- +- +7\.0s /);
  expect(table).toMatch(/\n {2}each\[0\] +success +- +- +9\.0s /);
});
