import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { Bundle } from './support/bundle.js';
import { Site } from './support/site.js';

const FILE = `dag_id: reports
description: what people run by hand
params:
  months: { type: array, default: [1, 2, 3] }
  word: { type: string, default: hello }
tasks:
  ingest:
    command: ['sh', '-c', 'echo "{\\"rows\\":12}" > "$HOLDFAST_RESULT_FILE"']
  month:
    needs: ingest
    expand: '{{ params.months }}'
    command: ['sh', '-c', 'echo {{ params.word }} {{ item }}']
  publish:
    needs: month
    command: ['sh', '-c', 'test "$WORD" != bad']
    env: { WORD: '{{ params.word }}' }
`;

let site: Site;
beforeAll(async () => {
  site = await Site.start('--heartbeat-interval', '1s');
  const bundle = new Bundle(site);
  bundle.write('reports.dag.yaml', FILE);
  bundle.processor('processor');
  await bundle.shows('reports');
});
afterAll(() => site.close());

type Json = Readonly<Record<string, unknown>>;
const parsed = <T = Json>({ stdout }: { readonly stdout: string }): T => JSON.parse(stdout) as T;

test('a run that fails is cleared where it failed, and marked; its watch goes on over kill -9 of the coordinator', async () => {
  const bad = ['--param', 'word=bad', '--run-id', 'r'];
  expect((await site.cli('dag', 'trigger', 'reports', ...bad)).code).toBe(0);
  const watching = site.run('run', 'watch', 'reports/r', '--coordinator', site.address);
  await eventually('the first instance', () => watching.stdout.includes('ingest'));
  await site.server.kill();
  await site.startServer();
  await site.connected('worker', { slots: 8 });
  expect((await watching.exited).code).toBe(3);
  expect(watching.stderr).toContain('run reports/r ended as failed [RUN_FAILED]');
  expect(watching.stderr).toContain('publish ended as failed');
  expect(watching.stdout.match(/ingest +success/g)).toHaveLength(1);
  const cleared = await site.cli('run', 'clear', 'reports/r', '--failed', '-o', 'json');
  expect(parsed<{ instances: Json[] }>(cleared).instances).toMatchObject([
    { task: 'publish', state: 'failed' },
  ]);
  await site.cli('run', 'watch', 'reports/r');
  const marked = await site.cli('run', 'mark', 'reports/r', '--success', '-o', 'json');
  expect(parsed(marked)).toMatchObject({ state: 'success' });
});

test('a run by hand goes through its files, its processor and its worker, and is shown with every instance', async () => {
  const params = ['--param', 'word=moin', '--param', 'months=[7,8]'];
  const done = await site.cli('dag', 'trigger', 'reports', ...params, '--wait', '-o', 'json');
  expect([done.code, done.stderr]).toEqual([0, '']);
  const { instances, ...run } = parsed<Json & { instances: (Json & { taskId: string })[] }>(done);
  expect(run).toMatchObject({ dagId: 'reports', state: 'success', params: { word: 'moin', months: [7, 8] } });
  expect(instances.map(({ task, mapIndex, state }) => [task, mapIndex, state])).toEqual([
    ['ingest', null, 'success'],
    ['month', 0, 'success'],
    ['month', 1, 'success'],
    ['publish', null, 'success'],
  ]);
  const logs = await site.cli('task', 'logs', instances[2]?.taskId ?? '');
  expect(logs.stdout).toBe('moin 8\n');
  expect((await site.cli('bundle', 'list')).stdout).toMatch(/main +1 +0 +processor +-/);
});
