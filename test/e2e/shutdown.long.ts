import { afterEach, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { events, linesOf, Site } from './support/site.js';

let site: Site;
afterEach(() => site.close());

/** Submits a script, and waits until an agent runs it: a permit alone may still be on its way. */
async function running(script: string): Promise<string> {
  const file = site.path('lines');
  const taskId = await site.submit(`echo up >> ${file}; ${script}`);
  await eventually('the run', () => linesOf(file).length === 1);
  return taskId;
}

test('SIGTERM drains an agent: its run finishes, nothing new starts, it says goodbye and exits 0', async () => {
  site = await Site.start('--heartbeat-interval', '1s');
  const agent = await site.connected('leaves', { slots: 1 });
  const runs = await running('sleep 1; echo done');
  const waits = await site.submit('true');
  agent.signal('SIGTERM');
  expect(await agent.exited).toEqual({ code: 0, signal: null });
  expect(events(await site.task(runs))).toEqual(['submitted', 'permitted', 'success']);
  expect((await site.task(waits)).state).toBe('TASK_STATE_QUEUED');
  expect((await site.agentShown('leaves')).state).toBe('AGENT_STATE_GONE');
});

test('SIGTERM with a drain timeout stops what still runs, and its task runs elsewhere', async () => {
  site = await Site.start('--heartbeat-interval', '1s');
  const agent = await site.connected('hurried', { slots: 1, flags: ['--drain-timeout', '300ms'] });
  const taskId = await running('[ "$HOLDFAST_AGENT_ID" = heir ] || sleep 600');
  agent.signal('SIGTERM');
  expect(await agent.exited).toEqual({ code: 0, signal: null });
  await site.connected('heir');
  expect(await site.reaches(taskId, 'SUCCESS')).toMatchObject({ agentId: 'heir', tryNumber: 2 });
});

test('a drain by the operator is the same', async () => {
  site = await Site.start('--heartbeat-interval', '1s');
  const agent = await site.connected('drained', { slots: 1 });
  const taskId = await running('sleep 1');
  expect((await site.cli('agent', 'drain', 'drained')).code).toBe(0);
  expect(await agent.exited).toEqual({ code: 0, signal: null });
  expect((await site.task(taskId)).state).toBe('TASK_STATE_SUCCESS');
});

test('SIGTERM of the coordinator fails no work: agents come back to the next one with their runs', async () => {
  site = await Site.start('--heartbeat-interval', '1s');
  const agent = await site.connected('stays');
  const taskId = await running('sleep 3; echo 1 > "$HOLDFAST_RESULT_FILE"');
  const { fencingToken } = await site.task(taskId);
  site.server.signal('SIGTERM');
  expect(await site.server.exited).toEqual({ code: 0, signal: null });
  await site.startServer();
  await agent.says('connected again: the session goes on');
  const task = await site.reaches(taskId, 'SUCCESS');
  expect(events(task)).toEqual(['submitted', 'permitted', 'success']);
  expect(task.fencingToken).toBe(fencingToken);
});
