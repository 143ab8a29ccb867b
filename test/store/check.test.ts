import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { readyLane } from '../../src/core/rows.js';
import { dueAt } from '../../src/core/task.js';
import { checkDatabase } from '../../src/store/sqlite/check.js';
import { openDriver, openSqliteStore } from '../../src/store/sqlite/open.js';
import { StoreError } from '../../src/store/store.js';
import { folder } from './files.js';
import { allStates } from './fixtures/states.js';
import { put, puts } from './rows.js';

const files = folder();
const sound = files.file('sound.db');
let file: string;
let count = 0;
beforeAll(async () => {
  const store = openSqliteStore({ file: sound });
  const { tasks, ...others } = allStates();
  await store.commit(
    puts({ ...others, tasks: tasks.map((row) => put(row, readyLane(row), dueAt(row, 15_000))) }),
  );
  await store.close();
});
afterAll(() => files.end());
beforeEach(() => {
  file = files.file(`check-${count++}.db`);
  copyFileSync(sound, file);
});

function spoil(sql: string): void {
  const driver = openDriver({ file });
  driver.exec(sql);
  driver.close();
}

function faultOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof StoreError) return error.fault;
    throw error;
  }
  return 'none';
}

describe('a check of a database', () => {
  test('that is sound finds nothing, and leaves it as it was', () => {
    expect(checkDatabase(file)).toEqual({ tasks: 17, findings: [], more: false });
    expect(checkDatabase(file)).toEqual({ tasks: 17, findings: [], more: false });
  });

  test.each([
    ['UPDATE counters SET token = 3', 'its token is above the counter, so it could be drawn twice'],
    ['UPDATE counters SET epoch = 3', 'its epoch is above the counter'],
    [
      "DELETE FROM tasks WHERE task_id = 'task-00000009'",
      'there are 1 specifications of tasks that are not there',
    ],
    [
      "INSERT INTO history VALUES ('gone', 0, '[]'), ('gone', 1, '[]')",
      'there are 2 history rows of tasks that are not there',
    ],
    [
      "DELETE FROM specs WHERE id = (SELECT id FROM tasks WHERE task_id = 'task-00000002')",
      'there are 1 tasks without a specification',
    ],
    ["UPDATE tasks SET history = '' WHERE task_id = 'task-00000002'", 'its history has gaps'],
    [
      "UPDATE tasks SET history = replace(history, '[0,', '[2,') WHERE task_id = 'task-00000002'",
      'its history has gaps',
    ],
    [
      "UPDATE tasks SET history = '[0,\"soon\"],' WHERE task_id = 'task-00000002'",
      'history of task task-00000002, value 1, should be a number',
    ],
    ["UPDATE tasks SET is_open = NULL WHERE task_id = 'task-00000005'", 'its open token cannot be found'],
    ["UPDATE tasks SET state = 'success' WHERE task_id = 'task-00000005'", 'it has ended with an open token'],
    [
      "UPDATE tasks SET state = 'running' WHERE task_id = 'task-00000002'",
      'it is running without an open token',
    ],
    [
      "UPDATE tasks SET lane = 'other' WHERE task_id = 'task-00000002'",
      'it is listed in a lane where it does not wait',
    ],
    [
      "UPDATE tasks SET finished_at = NULL WHERE task_id = 'task-00000011'",
      'its end is not noted for retention',
    ],
    [
      "UPDATE tasks SET progress = replace(progress, '\"9\"', '\"10\"') WHERE task_id = 'task-00000009'",
      'token 10 is that of task task-00000009 too',
    ],
    ["UPDATE tasks SET progress = '[1]' WHERE task_id = 'task-00000002'", 'should be text'],
    ["DELETE FROM agents WHERE agent_id = 'agent-2'", 'there are 1 sessions of agents that are not there'],
    [
      "UPDATE sessions SET is_live = 1, agent_id = 'agent-1'",
      'there are 1 agents with more than one live session',
    ],
    ['DELETE FROM counters', 'the counters are missing'],
    [
      "UPDATE tasks SET run = 'etl/other' WHERE run IS NOT NULL",
      'there are 3 task instances of runs that are not there',
    ],
    [
      "UPDATE tasks SET run = 'etl/manual__2' WHERE task_id = 'task-00000014'",
      'it is listed under another run',
    ],
    [
      "UPDATE tasks SET dag_id = 'other' WHERE task_id = 'task-00000014'",
      'it is listed under another run, or another DAG',
    ],
    ['DELETE FROM dags', 'there are 2 runs of DAGs that are not there'],
    [
      'DELETE FROM dag_versions WHERE definition_version = 1',
      'there are 2 runs without the definition that they pin',
    ],
    [
      'DELETE FROM dag_versions WHERE definition_version = 2',
      'there are 1 DAGs without their newest definition',
    ],
    [
      "UPDATE dag_versions SET definition = '{' WHERE definition_version = 2",
      'definition 2 of DAG etl: it is no JSON',
    ],
    [
      "UPDATE runs SET ended_at = NULL WHERE state = 'failed'",
      'there are 1 runs that have ended without an end',
    ],
    [
      "UPDATE runs SET ended_at = 1 WHERE state = 'running'",
      'there are 1 runs that have ended without an end, or go on',
    ],
    [
      "UPDATE runs SET data = '[]' WHERE state = 'failed'",
      'run etl/manual__2: run etl/manual__2, value 0, should be text',
    ],
    [
      "UPDATE runs SET data = '[]' WHERE state = 'running'",
      'what a coordinator starts with: run etl/manual__1',
    ],
    ["UPDATE runs SET type = 'other' WHERE state = 'failed'", 'may not be "other"'],
    [
      "UPDATE runs SET data = replace(data, 'manual__2', 'manual__3')",
      'run etl/manual__2: it is of DAG etl and called manual__3',
    ],
    ["UPDATE triggers SET task_id = 'task-00000002'", 'there are 1 triggers of tasks that are not deferred'],
    [
      'UPDATE triggers SET data = replace(data, \'"18"\', \'"14"\')',
      'trigger-14: token 14 is that of task task-00000014 too',
    ],
    [
      'UPDATE triggers SET data = replace(data, \'"18"\', \'"19"\')',
      'trigger-14: its token is above the counter',
    ],
    [
      'UPDATE triggers SET data = replace(data, \'"7"\', \'"8"\')',
      'trigger-14: its epoch is above the counter',
    ],
    [
      'UPDATE bundles SET data = replace(data, \'"7"\', \'"8"\')',
      'bundle main: its epoch is above the counter',
    ],
    ['DELETE FROM assets', 'there are 2 asset events of assets that are not there'],
    ['UPDATE assets SET last_event = 1', 'there are 1 assets with a newer event than they know of'],
    ["UPDATE asset_events SET data = '[1]' WHERE n = 1", 'asset event 1: asset event 1 is no list'],
    [
      "UPDATE backfills SET data = '[]' WHERE backfill = 'june'",
      'backfill june: backfill june, value 0, should be',
    ],
  ])('after %s says so', (sql, said) => {
    spoil(sql);
    expect(checkDatabase(file).findings.join('\n')).toContain(said);
  });

  test('with a damaged page says so', () => {
    const bytes = readFileSync(file);
    bytes.fill(0xa5, 6 * 4_096, 7 * 4_096);
    writeFileSync(file, bytes);
    expect(checkDatabase(file).findings.join('\n')).toContain('the file is damaged');
  });

  test('is refused while a coordinator has it', async () => {
    const store = openSqliteStore({ file });
    expect(faultOf(() => checkDatabase(file))).toBe('locked');
    await store.close();
    expect(faultOf(() => checkDatabase(file))).toBe('none');
  });

  test('of an older schema is refused, and upgrades nothing', () => {
    spoil('PRAGMA user_version = 1');
    expect(faultOf(() => checkDatabase(file))).toBe('older');
    expect(faultOf(() => checkDatabase(file))).toBe('older');
  });
});
