import { expect } from '@jest/globals';
import { policyOf } from '../../src/config/policy.js';
import { resolveConfig } from '../../src/config/resolve.js';
import type { Policy } from '../../src/core/policy.js';
import { HARVEST } from './support/dags.js';
import { tells } from './support/tells.js';

const WEATHER = `
dag_id: weather
schedule: "*/5 * * * *"
tasks:
  ingest: {command: ./ingest}
  report: {command: ./report, needs: ingest}
`;

/** With one task more. */
const WEATHER_2 = `${WEATHER}  publish: {command: ./publish, needs: report}\n`;

const ORDERS = `
dag_id: orders
schedule: "*/5 * * * *"
tasks:
  count: {command: ./count}
`;

const STOCK = `
dag_id: stock
schedule: "*/5 * * * *"
tasks:
  count: {command: ./count, outlets: [prices]}
`;

const DIGEST = `
dag_id: digest
schedule: {assets: prices}
tasks:
  write: {command: ./write}
`;

tells(
  'dags-last-sent-are-retained',
  'The Airflow scheduler retains all dags that were most recently parsed and sent by the dag processor agent.',
  async (story) => {
    await story.processor('parser', { 'weather.dag.yaml': WEATHER, 'orders.dag.yaml': ORDERS });
    await story.writes('parser', { 'weather.dag.yaml': WEATHER_2 });
    expect(story.dags).toEqual(['orders 1', 'weather 2']);

    // Of the newest snapshot some pieces arrive, not all: it never was sent, and changes nothing.
    story.slowNetwork('parser', '1 s');
    await story.writes('parser', { 'weather.dag.yaml': WEATHER });
    await story.killed('parser');
    await story.pass('1 min');
    expect(story.dags).toEqual(['orders 1', 'weather 2']);

    await story.coordinatorDies();
    await story.pass('10 s');
    await story.coordinatorStarts();
    await story.until('00:05:01');
    expect(story.dags).toEqual(['orders 1', 'weather 2']);
    expect(await story.dagRuns('weather')).toEqual(['weather@00:05 running']);
    expect(story.said('coordinator', 'run weather@00:05: created (scheduled, version 2)')).toHaveLength(1);
  },
);

tells(
  'retained-dags-stay-in-use',
  'If the dag processor agent or any Remote Execution Agent disconnects or fails, the scheduler continues to use these previously parsed dags.',
  async (story) => {
    await story.processor('parser', { 'weather.dag.yaml': WEATHER });
    await story.worker('site-a');

    await story.cut('parser');
    await story.until('00:06');
    expect(await story.dagRuns('weather')).toEqual(['weather@00:05 success']);

    await story.killed('parser');
    await story.killed('site-a');
    await story.until('00:11');
    await story.triggers('weather');
    await story.worker('site-b');
    await story.until('00:12');

    expect(story.said('coordinator', 'parser is failed')).toHaveLength(1);
    expect(story.said('coordinator', 'site-a is failed')).toHaveLength(1);
    expect(story.dags).toEqual(['weather 1']);
    // On schedule, and by hand.
    expect(await story.dagRuns('weather')).toEqual([
      'weather@00:05 success',
      'weather@00:10 success',
      'weather@00:11 success',
    ]);
    expect(story.startsOf('weather@00:10/report')).toEqual(['site-b']);
  },
);

tells(
  'runs-on-schedule-and-by-events',
  'The scheduler will keep creating dag runs on schedule or in response to events, such as dataset updates, for all retained dags.',
  async (story) => {
    await story.processor('parser', { 'stock.dag.yaml': STOCK, 'digest.dag.yaml': DIGEST });
    await story.killed('parser');
    await story.until('00:07');
    await story.updates('prices');
    await story.until('00:08');

    // Nobody is there: neither who parsed them nor who could run anything.
    expect(story.said('coordinator', 'parser is failed')).toHaveLength(1);
    expect(await story.dagRuns('stock')).toEqual(['stock@00:05 running']);
    expect(await story.dagRuns('digest')).toEqual(['digest@00:07 running']);

    // What a task updates counts as well.
    await story.worker('site-a');
    await story.until('00:09');
    expect(await story.dagRuns('stock')).toEqual(['stock@00:05 success']);
    expect(await story.dagRuns('digest')).toEqual(['digest@00:07 success', 'digest@00:08:10 success']);
    expect(story.when('coordinator', 'run digest@00:08:10: created (asset triggered')).toBe(
      story.when('coordinator', 'stock@00:05/count: success'),
    );
    await story.killed('site-a');
    await story.until('00:10:01');
    expect(await story.dagRuns('stock')).toEqual(['stock@00:05 success', 'stock@00:10 running']);
  },
);

tells(
  'new-dags-wait-for-a-processor',
  'New or updated dags are not detected until a healthy dag processor Agent reconnects and provides an updated set of dags.',
  async (story) => {
    await story.processor('parser', { 'weather.dag.yaml': WEATHER });
    await story.worker('site-a');
    await story.cut('parser');
    await story.writes('parser', { 'weather.dag.yaml': WEATHER_2, 'orders.dag.yaml': ORDERS });
    await story.until('00:06');

    expect(story.dags).toEqual(['weather 1']);
    expect(await story.dagRuns('weather')).toEqual(['weather@00:05 success']);
    expect(story.startsOf('weather@00:05/publish')).toEqual([]);
    expect(await story.dagRuns('orders')).toEqual([]);

    await story.heal('parser');
    await story.until('00:11');
    expect(story.dags).toEqual(['orders 1', 'weather 2']);
    expect(await story.dagRuns('orders')).toEqual(['orders@00:10 success']);
    expect(story.startsOf('weather@00:10/publish')).toEqual(['site-a']);
    expect(story.when('coordinator', 'DAG orders, version 1, is in force')).toBeGreaterThan(
      story.when('—', 'the network of parser is mended'),
    );
  },
);

tells(
  'pending-until-somebody-is-there',
  'All tasks and dag runs remain pending until a healthy Remote Execution Agent, worker or triggerer, is available for execution.',
  async (story) => {
    await story.processor('parser', { 'harvest.dag.yaml': HARVEST });
    await story.submit('report-1');
    await story.triggers('harvest');
    await story.pass('5 min');
    expect(await story.state('report-1')).toBe('queued');
    expect(await story.state('harvest@00:00:02/ripen')).toBe('deferred');

    // A triggerer is what the one waits for; a worker is what the others wait for.
    await story.triggerer('east');
    expect(await story.state('harvest@00:00:02/ripen')).toBe('success');
    expect(await story.state('harvest@00:00:02/pick')).toBe('queued');
    await story.pass('2 min');
    expect(await story.dagRuns('harvest')).toEqual(['harvest@00:00:02 running']);
    expect(story.runs).toEqual([]);

    await story.worker('site-a');
    await story.pass('20 s');
    expect(await story.state('report-1')).toBe('success');
    expect(await story.dagRuns('harvest')).toEqual(['harvest@00:00:02 success']);
  },
);

tells(
  'runs-are-created-with-nobody-there',
  'If no healthy Remote Execution Agents are connected, the scheduler continues to create dag runs for known dags but those tasks remain in queued state and will not execute until an agent becomes available.',
  async (story) => {
    await story.processor('parser', { 'weather.dag.yaml': WEATHER });
    await story.killed('parser');
    await story.until('00:12');

    expect(await story.dagRuns('weather')).toEqual(['weather@00:05 running', 'weather@00:10 running']);
    expect(await story.state('weather@00:05/ingest')).toBe('queued');
    expect(await story.state('weather@00:10/ingest')).toBe('queued');
    expect(story.runs).toEqual([]);

    await story.worker('site-a');
    await story.until('00:13');
    expect(await story.dagRuns('weather')).toEqual(['weather@00:05 success', 'weather@00:10 success']);
    expect(story.runs.map(({ task }) => task)).toEqual([
      ...['weather@00:05/ingest', 'weather@00:10/ingest', 'weather@00:05/report', 'weather@00:10/report'],
    ]);
  },
);

const QUEUED_TOO_LONG =
  'If a task stays in queued state for more than 600 seconds (default) or the value set via the AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT environment variable on your Astro deployment, it will be marked as failed.';

tells('queued-for-600-s', QUEUED_TOO_LONG, async (story) => {
  await story.processor('parser', { 'weather.dag.yaml': WEATHER });
  await story.killed('parser');
  await story.submit('report-1');
  const submittedAt = story.when('coordinator', 'report-1: submitted');
  await story.pass('600 s');
  expect(await story.state('report-1')).toBe('queued');
  await story.until('00:15:02');

  const failedAt = story.when('coordinator', 'report-1: queued timeout');
  expect(failedAt).toBeGreaterThan(submittedAt + 600_000);
  expect(failedAt).toBeLessThanOrEqual(submittedAt + 600_200);
  expect(await story.state('report-1')).toBe('failed');
  // A task of a DAG as well; its run then ends as the trigger rules say.
  expect(await story.state('weather@00:05/ingest')).toBe('failed');
  expect(await story.state('weather@00:05/report')).toBe('upstream_failed');
  expect((await story.dagRuns('weather'))[0]).toBe('weather@00:05 failed');
});

tells(
  'queued-for-as-long-as-airflow-says',
  QUEUED_TOO_LONG,
  async (story) => {
    await story.submit('report-1');
    await story.pass('90 s');
    expect(await story.state('report-1')).toBe('queued');
    await story.pass('1 s');
    expect(await story.state('report-1')).toBe('failed');
    expect((await story.task('report-1')).reason).toBe('queued_timeout');
  },
  () => configuredBy({ AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT: '90' }),
);

/** The policy of a coordinator that is started with these variables, and no file. */
async function configuredBy(env: Readonly<Record<string, string>>): Promise<Policy> {
  const nowhere = { cwd: '/nonexistent', home: '/nonexistent', configFile: undefined };
  return policyOf(await resolveConfig({ flags: {}, env, defaults: {}, ...nowhere }));
}
