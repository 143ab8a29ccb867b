import { afterEach, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { events, Site } from './support/site.js';

let site: Site;
afterEach(() => site.close());

/** What is there of a task's output, and with `follow` all of it. */
async function output(taskId: string, change: object = {}): Promise<string> {
  let text = '';
  for await (const piece of site.api.stream('ReadTaskLogs', { taskId, ...change }))
    text += String(piece.data);
  return text;
}

const numbers = (count: number): string =>
  Array.from({ length: count }, (_, i) => `${String(i + 1).padStart(9, '0')}\n`).join('');

test('output is whole after kill -9 of the coordinator amid a flood: what was torn is cut off and sent again', async () => {
  site = await Site.start('--heartbeat-interval', '1s');
  await site.connected('writer');
  const taskId = await site.submit('seq -f %09.0f 1 400000');
  for (const bytes of [300_000, 1_500_000]) {
    await eventually('some output', async () => (await output(taskId)).length > bytes);
    await site.server.kill();
    await site.startServer();
  }
  await site.reaches(taskId, 'SUCCESS');
  const whole = numbers(400_000);
  await eventually('all of the output', async () => (await output(taskId)).length >= whole.length);
  expect((await output(taskId)) === whole).toBe(true);
  expect(await output(taskId, { tailBytes: 25 })).toBe(whole.slice(-25));
});

test('output survives the death of its agent up to the last acknowledged chunk: what was seen once stays', async () => {
  site = await Site.start('--heartbeat-interval', '500ms');
  const agent = await site.connected('writer');
  const [taskId = ''] = await site.api.submit({
    work: { command: { argv: ['sh', '-c', 'seq -f %09.0f 1 100000000'] } },
    retries: 0,
    partitionPolicy: 'PARTITION_POLICY_HOLD',
  });
  let seen = '';
  await eventually('some output', async () => {
    seen = await output(taskId);
    return seen.length > 2_000_000;
  });
  await agent.kill();
  await eventually('its lease to end', async () => events(await site.task(taskId)).includes('lost'));
  const left = await output(taskId);
  expect(left.startsWith(seen)).toBe(true);
  expect(numbers(Math.ceil(left.length / 10)).startsWith(left)).toBe(true);
});
