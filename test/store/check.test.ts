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
      "DELETE FROM tasks WHERE task_id = 'task-00000009'",
      'there are 2 history rows of tasks that are not there',
    ],
    ["DELETE FROM task_specs WHERE task_id = 'task-00000002'", 'there are 1 tasks without a specification'],
    ["DELETE FROM history WHERE task_id = 'task-00000002' AND n = 0", 'its history has gaps'],
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
