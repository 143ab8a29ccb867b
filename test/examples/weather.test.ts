import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Client, connect } from '../../src/client/index.js';
import { Program } from '../e2e/support/site.js';
import { eventually } from '../wire/support/wait.js';

const examples = resolve(import.meta.dirname, '../../examples');
const weather = join(examples, 'weather');

let folder: string;
let dev: Program | undefined;
let client: Client;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-weather-'));
});
afterEach(async () => {
  client?.close();
  if (dev !== undefined && !dev.isOver) {
    // Asked, not killed: it ends its agents first.
    dev.signal('SIGTERM');
    await dev.exited;
  }
  dev = undefined;
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

test('the daily pipeline draws what a direct computation gives, and a new report is announced once', async () => {
  await startDev('--dags', join(weather, 'dags'), '--handlers', join(weather, 'handlers.mjs'));
  await eventually('both DAGs in force', async () => (await all(client.dags.list())).length === 2);

  const params = { year: 2013, folder: join(folder, 'charts'), patience: '100ms' };
  const { run, instances } = await client.runs.triggerAndWait('weather', { params }, { timeoutMs: 60_000 });
  expect(run.state).toBe('success');
  expect(instances.filter(({ task }) => task === 'month').map(({ state }) => state)).toEqual(
    Array(12).fill('success'),
  );

  const drawn = readFileSync(join(folder, 'charts/weather-2013.svg'), 'utf8');
  expect([...drawn.matchAll(/<title>(.*?)<\/title>/g)].map(([, title]) => title)).toEqual(titlesOf('2013'));

  const announced = async () =>
    (await all(client.runs.list({ dagId: 'announce', states: ['success'] }))).length;
  await eventually('the announcement', async () => (await announced()) > 0);
  const [announcement, ...further] = await all(client.runs.list({ dagId: 'announce' }));
  expect(further).toEqual([]);
  expect(announcement).toMatchObject({
    type: 'asset_triggered',
    consumed: [{ asset: 'weather/report', count: 1 }],
  });
  const [said] = (await client.runs.get('announce', announcement?.runId ?? '')).instances;
  const pieces = await all(client.tasks.logs(said?.taskId ?? ''));
  expect(Buffer.concat(pieces.map(({ data }) => data)).toString()).toBe('a new report: ["weather/report"]\n');
}, 120_000);

test('the DAG of the first example greets everybody once', async () => {
  await startDev('--dags', join(examples, 'hello'));
  await eventually('the DAG in force', async () => (await all(client.dags.list())).length === 1);
  const { run, instances } = await client.runs.triggerAndWait('hello', {}, { timeoutMs: 60_000 });
  expect(run.state).toBe('success');
  const said = await Promise.all(
    instances.map(async ({ taskId }) =>
      Buffer.concat((await all(client.tasks.logs(taskId))).map(({ data }) => data)).toString(),
    ),
  );
  expect(said).toEqual(['hello world\n', 'hello moon\n', 'all greeted\n']);
}, 120_000);

test('the README of the pipeline shows its graph as it is drawn', async () => {
  const [, shown] =
    /compares\):\n\n```\n(.*?)```/s.exec(readFileSync(join(weather, 'README.md'), 'utf8')) ?? [];
  const graph = new Program(['dag', 'graph', join(weather, 'dags/weather.dag.yaml')], folder);
  expect(await graph.exited).toMatchObject({ code: 0 });
  expect(graph.stdout).toBe(shown);
}, 60_000);

async function startDev(...flags: string[]): Promise<void> {
  const addressFile = join(folder, 'address.json');
  const files = ['--db-file', join(folder, 'dev.db'), '--address-file', addressFile];
  dev = new Program(['dev', '--port', '0', ...files, ...flags], folder);
  await eventually('dev to be up', () => existsSync(addressFile));
  client = connect((JSON.parse(readFileSync(addressFile, 'utf8')) as { grpc: string }).grpc);
}

/** What the chart says about a year, straight from the file, in whole tenths. */
function titlesOf(year: string): string[] {
  const days = readFileSync(join(weather, 'data/seattle-weather.csv'), 'utf8')
    .split('\n')
    .map((line) => line.split(','))
    .filter(([date]) => date?.startsWith(year));
  const months = [...new Set(days.map(([date = '']) => date.slice(0, 7)))];
  return months.flatMap((month) => {
    const own = days.filter(([date]) => date?.startsWith(month));
    const tenths = (column: number) =>
      own.reduce((total, day) => total + Math.round(Number(day[column]) * 10), 0);
    const mean = (column: number) => Math.round(tenths(column) / own.length) / 10;
    return [`${month}: ${tenths(1) / 10} mm`, `${month}: ${mean(3)} to ${mean(2)} °C`];
  });
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
