import { afterEach, expect, test } from '@jest/globals';
import { Site } from './support/site.js';

let site: Site;
afterEach(() => site.close());

async function submitted(...args: string[]): Promise<string> {
  const { stdout, code, stderr } = await site.cli('task', 'submit', '-o', 'name', ...args);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return stdout.trim();
}

test('a command beyond its memory limit fails with the reason out_of_memory, and its neighbour does not notice', async () => {
  site = await Site.start('--heartbeat-interval', '1s');
  await site.connected('w');
  const takes = 'head -c 2000000000 /dev/zero | tail -n 1 > /dev/null';
  const big = await submitted('--memory', '64MiB', '--', 'sh', '-c', takes);
  const small = await submitted('--memory', '64MiB', '--', 'sh', '-c', 'sleep 1; exit 0');
  expect(await site.reaches(big, 'FAILED')).toMatchObject({
    ...{ reason: 'out_of_memory', message: 'killed: out of memory (limit 64 MiB)' },
  });
  await site.reaches(small, 'SUCCESS');
  expect((await site.cli('task', 'describe', big)).stdout).toMatch(/limits: +memory 64 MiB/);
});

test('a limit that no agent can enforce keeps the task waiting, and explain says so', async () => {
  site = await Site.start('--heartbeat-interval', '1s');
  // What is configured under the name of a limit is not believed.
  await site.connected('w', { flags: ['--label', 'holdfast.cpu-limit=enforced'] });
  const taskId = await submitted('--cpu', '500m', '--', 'true');
  const explained = (await site.cli('task', 'explain', taskId)).stdout;
  expect(explained).toContain('w lacks holdfast.cpu-limit=enforced');
  expect(explained).toContain('start a worker that can enforce the limits');
  const other = await submitted('--', 'true');
  await site.reaches(other, 'SUCCESS');
  expect(await site.task(taskId)).toMatchObject({ state: 'TASK_STATE_QUEUED', tryNumber: 0 });
});
