import { writeFileSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import type { ShownTask } from '../wire/support/proto.js';
import { eventually } from '../wire/support/wait.js';
import { custom, deferringSite, submitDeferring } from './support/deferral.js';
import { events, type Site } from './support/site.js';

let site: Site;
afterEach(() => site.close());

test('a thousand triggers wait in one triggerer, and each of their events counts once', async () => {
  site = await deferringSite('1s', 16);
  const triggerer = await site.triggerer('t', { flags: custom(site) });
  const go = site.path('go');
  const trigger = { kind: 'exists', input: { go } };
  const taskIds = [
    ...(await submitDeferring(site, 500, { trigger })),
    ...(await submitDeferring(site, 500, { trigger })),
  ];
  const list = (request: object) =>
    site.api.call<{ tasks: ShownTask[]; nextPageToken: string }>('ListTasks', request);
  const all = (state: string) =>
    eventually(
      `a thousand tasks ${state}`,
      async () => (await list({ states: [`TASK_STATE_${state}`], pageSize: 1_000 })).tasks.length === 1_000,
      100_000,
    );
  await all('DEFERRED');
  // Lost and told again, all of them.
  await site.server.kill();
  await site.startServer();
  await triggerer.says('connected again: the session goes on');
  writeFileSync(go, '');
  await all('SUCCESS');
  const seen = new Map<string, string[]>();
  let pageToken = '';
  do {
    const { tasks, nextPageToken } = await list({ full: true, pageSize: 50, pageToken });
    for (const task of tasks) seen.set(task.taskId, events(task));
    pageToken = nextPageToken;
  } while (pageToken !== '');
  expect([...seen.keys()].sort()).toEqual([...taskIds].sort());
  const trails = [...seen.values()];
  expect(trails.filter((trail) => trail.filter((event) => event === 'resumed').length !== 1)).toEqual([]);
}, 240_000);
