import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RunKey } from '../../src/core/dag/rows.js';
import type { AgentId, TaskId } from '../../src/kit/ids.js';
import type { ServiceMs, WallMs } from '../../src/kit/time.js';
import { Driver, type Statement } from '../../src/store/sqlite/driver.js';
import { migrate } from '../../src/store/sqlite/migrate.js';
import { Reader } from '../../src/store/sqlite/read.js';
import { folder } from './files.js';

/** Knows what it was asked. */
class Watched extends Driver {
  asked: string[] = [];

  override statement(sql: string, options: { readonly bigints?: boolean } = {}): Statement {
    this.asked.push(sql);
    return super.statement(sql, options);
  }
}

const files = folder();
let driver: Watched;
let reader: Reader;
beforeAll(() => {
  const file = files.file('plans.db');
  driver = new Watched(file);
  migrate(driver, file);
  reader = new Reader(driver);
});
afterAll(() => {
  driver.close();
  files.end();
});

const run = 'etl/1' as RunKey;
const agentId = 'a' as AgentId;
const at = { createdAt: 1 as WallMs, run };

type Case = [what: string, index: string, ask: (of: Reader) => unknown];

/** How SQLite will find the rows: what is put in order by hand, or read through, grows with all that there is. */
function plansOf(call: (of: Reader) => unknown): string[] {
  driver.asked = [];
  call(reader);
  return [...new Set(driver.asked)].flatMap((sql) =>
    driver
      .statement(`EXPLAIN QUERY PLAN ${sql}`)
      .all(
        ...sql
          .split('?')
          .slice(1)
          .map(() => null),
      )
      .map(({ detail }) => String(detail)),
  );
}

describe('an SQLite store finds by an index, in order and without reading all rows,', () => {
  test.each<Case>([
    ['the instances of a run', 'tasks_of_run', ({ dags }) => dags.instances(run, null, 9)],
    [
      'the list of a run',
      'tasks_of_run',
      (of) => of.list({ run, states: ['failed', 'success'], agentId }, null, 9),
    ],
    [
      'the failed of a run',
      'tasks_of_run',
      (of) => of.list({ run, states: ['failed'], queue: 'q' }, null, 9),
    ],
    [
      'the list of a DAG',
      'tasks_of_dag',
      (of) => of.list({ dagId: 'etl', agentId, queue: 'q' }, 't' as TaskId, 9),
    ],
    ['the failed of a DAG', 'tasks_of_state', (of) => of.list({ dagId: 'etl', states: ['failed'] }, null, 9)],
    ['failed tasks', 'tasks_of_state', (of) => of.list({ states: ['failed'] }, 't' as TaskId, 9)],
    ['queued tasks', 'tasks_queued', (of) => of.list({ states: ['queued'] }, 't' as TaskId, 9)],
    [
      'running tasks of an agent',
      'tasks_open',
      (of) => of.list({ states: ['running'], agentId, queue: 'q' }, 't' as TaskId, 9),
    ],
    ...(
      ['tasks_ready', 'tasks_due', 'tasks_wall_due', 'tasks_idempotency', 'sqlite_autoindex_tasks_1'] as const
    ).map((index): Case => ['what is asked in every turn', index, () => new Reader(driver)]),
    ['the list of an agent', 'tasks_of_agent', (of) => of.list({ agentId }, null, 9)],
    ['finished tasks', 'tasks_finished', (of) => of.finished(null, 9, {})],
    [
      'the next finished tasks',
      'tasks_finished',
      (of) =>
        of.finished({ finishedAt: 1 as ServiceMs, taskId: 't' as TaskId }, 9, { until: 2 as ServiceMs }),
    ],
    ['runs', 'runs_newest', ({ dags }) => dags.listRuns({}, null, 9)],
    ['successful runs', 'runs_newest', ({ dags }) => dags.listRuns({ states: ['success'] }, at, 9)],
    ['runs of a type', 'runs_newest', ({ dags }) => dags.listRuns({ type: 'manual' }, at, 9)],
    ['runs of a DAG', 'runs_of_dag', ({ dags }) => dags.listRuns({ dagId: 'etl' }, at, 9)],
    [
      'successful runs of a DAG',
      'runs_of_dag',
      ({ dags }) => dags.listRuns({ dagId: 'etl', states: ['success'] }, null, 9),
    ],
    [
      'failed runs',
      'runs_unsuccessful',
      ({ dags }) => dags.listRuns({ states: ['failed'], dagId: 'etl' }, at, 9),
    ],
    [
      'runs of a backfill',
      'runs_of_backfill',
      ({ dags }) => dags.listRuns({ backfill: 'may', states: ['failed'], dagId: 'etl' }, at, 9),
    ],
    ['ended runs', 'runs_ended', ({ dags }) => dags.ended(null, 9)],
    ['the next ended runs', 'runs_ended', ({ dags }) => dags.ended({ endedAt: 1 as WallMs, run }, 9)],
    ['events of an asset', 'asset_events_of_asset', ({ dags }) => dags.listEvents('a', 9, 9)],
    ['events of an asset between two', 'asset_events_of_asset', ({ dags }) => dags.events('a', 1, 9, 9)],
    ['all events', 'asset_events USING INTEGER PRIMARY KEY', ({ dags }) => dags.listEvents(null, null, 9)],
    ['backfills', 'backfills_newest', ({ dags }) => dags.listBackfills(null, null, 9)],
    [
      'backfills of a DAG',
      'backfills_of_dag',
      ({ dags }) => dags.listBackfills('etl', { createdAt: 1 as WallMs, backfill: 'b' }, 9),
    ],
  ])('%s (%s)', (_, index, call) => {
    const plans = plansOf(call);
    expect(plans.join('\n')).toContain(index);
    const walks = plans.filter((plan) => /^SCAN (?!.* (USING INDEX|VIRTUAL TABLE))/.test(plan));
    expect([...walks, ...plans.filter((plan) => plan.includes('TEMP B-TREE'))]).toEqual([]);
  });

  test('what a coordinator starts with: runs that go on, their instances, backfills under way', () => {
    const plans = plansOf(({ dags }) => dags.load()).join('\n');
    for (const index of ['runs_unsuccessful', 'tasks_of_run', 'backfills_under_way'])
      expect(plans).toContain(index);
    expect(plans).not.toContain('SCAN tasks');
    expect(plans).not.toContain('SCAN runs');
  });
});
