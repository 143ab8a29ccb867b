import { writeFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { events, linesOf, Site } from './support/site.js';

let site: Site;
afterEach(() => site.close());

/** Says in the file that it starts and ends, with task, token and agent. */
const script = (file: string, between: string): string => {
  const say = (word: string) => `echo "${word} $HOLDFAST_TASK_ID $HOLDFAST_FENCING_TOKEN" >> ${file}`;
  return `${say('start')}; ${between}; ${say('end')}`;
};

test('kill -9 of the coordinator amid 1,000 running and queued tasks: every one ends, none twice, running ones go on', async () => {
  site = await Site.start('--heartbeat-interval', '1s');
  const file = site.path('lines');
  const gate = site.path('go');
  for (const id of ['w1', 'w2', 'w3']) site.agent(id, { slots: 8 });
  // Three that are running when the coordinator dies, and end only once it is back.
  const long: string[] = [];
  for (let i = 0; i < 3; i++)
    long.push(await site.submit(script(file, `while [ ! -e ${gate} ]; do sleep 0.1; done`), { priority: 1 }));
  for (const taskId of long) await site.reaches(taskId, 'RUNNING');
  const argv = ['sh', '-c', script(file, ':')];
  const short = Array.from({ length: 1_000 - long.length }, () => ({ work: { command: { argv } } }));
  const ids = [
    ...long,
    ...(await site.api.submit(...short.slice(0, 500))),
    ...(await site.api.submit(...short.slice(500))),
  ];
  const ended = () => linesOf(file).filter((line) => line.startsWith('end')).length;
  await eventually('the first hundred ends', () => ended() >= 100);
  await site.server.kill();
  expect(ended()).toBeLessThan(ids.length - 100);
  await site.startServer();
  await eventually('all other ends', () => ended() >= ids.length - long.length, 60_000);
  await eventually('the long runs', () => linesOf(file).length >= 2 * ids.length - long.length, 60_000);
  for (const taskId of long) expect((await site.task(taskId)).state).toBe('TASK_STATE_RUNNING');
  writeFileSync(gate, '');

  for (const taskId of long) await site.reaches(taskId, 'SUCCESS');
  const said = linesOf(file);
  for (const taskId of ids) {
    const task = await site.reaches(taskId, 'SUCCESS');
    const names = events(task);
    expect(names.filter((event) => ['success', 'failed', 'cancelled'].includes(event))).toEqual(['success']);
    expect(names).not.toContain('lost');
    const mine = said.filter((line) => line.includes(taskId));
    expect(mine).toEqual(['start', 'end'].map((word) => `${word} ${taskId} ${task.fencingToken}`));
  }
}, 120_000);
