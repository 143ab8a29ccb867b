import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RunKey } from '../../src/core/dag/rows.js';
import type { AgentId, TaskId } from '../../src/kit/ids.js';
import type { ServiceMs, WallMs } from '../../src/kit/time.js';
import { BY_INDEX } from '../../src/store/postgres/open.js';
import { Reader } from '../../src/store/postgres/read.js';
import { PostgresServer } from './postgres-bench.js';

const server = new PostgresServer();
let schema = '';
beforeAll(async () => {
  schema = server.newSchema();
  await (await server.open(schema)).close();
  const settings = Object.entries(BY_INDEX).map(([name, value]) => `SET ${name} = ${value}`);
  await server.query([`SET search_path = ${schema}`, ...settings].join('; '));
});
afterAll(() => server.end());

type Case = [what: string, index: string, ask: (reader: Reader) => Promise<unknown>];

/**
 * How PostgreSQL will find the rows of tables that it knows nothing of, as on the first day: plans are made once, and what is
 * read through or put in order by hand grows with all that there is. Values are left open, as they are in a plan that is kept.
 */
async function plansOf(call: (reader: Reader) => Promise<unknown>): Promise<string[]> {
  const asked = new Set<string>();
  const ask = async (text: string) => {
    asked.add(text);
    return [];
  };
  await call(new Reader({ soon: ask, leisurely: ask }));
  const plans: string[] = [];
  for (const text of asked) {
    const nulls = [...text.matchAll(/\$\d+/g)].map(() => 'NULL');
    await server.query(`SET plan_cache_mode = force_generic_plan; DEALLOCATE ALL; PREPARE asked AS ${text}`);
    const values = nulls.length === 0 ? '' : `(${nulls.join(', ')})`;
    const { rows } = await server.query(`EXPLAIN (COSTS off) EXECUTE asked${values}`);
    plans.push(...rows.map((row) => String(row['QUERY PLAN']).trim()));
  }
  return plans;
}

const run = 'etl/1' as RunKey;
const taskId = 'task' as TaskId;

describe('a PostgreSQL store finds by an index, in order and without reading all rows,', () => {
  test.each<Case>([
    ['tasks by their ids', 'tasks_pkey', (r) => r.tasks([taskId])],
    ['tasks by idempotency key', 'submissions_idempotency', (r) => r.byIdempotencyKey(['key'])],
    ['specifications', 'submissions_pkey', (r) => r.specs([taskId])],
    ['the beginning of a lane', 'tasks_ready', (r) => r.ready('lane', null, 9)],
    ['the next page of a lane', 'tasks_ready', (r) => r.ready('lane', { rank: 1, taskId }, 9)],
    ['what is due', 'tasks_due', (r) => r.due(1 as ServiceMs, 9)],
    ['what is due by the wall clock', 'tasks_wall_due', (r) => r.wallDue(1 as WallMs, 9)],
    ['the newest tasks', 'tasks_pkey', (r) => r.list({}, taskId, 9)],
    ['queued tasks', 'tasks_queued', (r) => r.list({ states: ['queued'] }, taskId, 9)],
    ['running tasks', 'tasks_open', (r) => r.list({ states: ['running'] }, taskId, 9)],
    ['failed tasks', 'tasks_of_state', (r) => r.list({ states: ['failed'] }, taskId, 9)],
    ['tasks of a queue', 'tasks_of_queue', (r) => r.list({ queue: 'q' }, taskId, 9)],
    ['tasks of an agent', 'tasks_of_agent', (r) => r.list({ agentId: 'a' as AgentId }, taskId, 9)],
    ['tasks of a DAG', 'tasks_of_dag', (r) => r.list({ dagId: 'etl' }, taskId, 9)],
    ['the instances of a run', 'tasks_of_run', (r) => r.dags.instances(run, null, 9)],
    [
      'what retention may remove, each run by its key',
      'runs_pkey',
      (r) => r.finished({ finishedAt: 1 as ServiceMs, taskId }, 9, {}),
    ],
    ['the history of a task', 'history_pkey', (r) => r.history(taskId)],
  ])('%s', async (_, index, ask) => {
    const plans = await plansOf(ask);
    expect(plans.join('\n')).toMatch(new RegExp(`Index (Only )?Scan (Backward )?using ${index}`));
    expect(plans.filter((step) => /Seq Scan|Sort|Hash|Bitmap|Materialize/.test(step))).toEqual([]);
  });
});
