import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import { keysOf, signatureOf } from '../../src/webhooks/sign.js';
import { Receiver } from '../webhooks/support/receiver.js';
import { eventually } from '../wire/support/wait.js';
import { Site } from './support/site.js';

const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
const folder = mkdtempSync(join(tmpdir(), 'holdfast-secret-'));
const secretFile = join(folder, 'secret');
writeFileSync(secretFile, `${SECRET}\n`, { mode: 0o600 });
afterAll(() => rmSync(folder, { recursive: true }));

let receiver: Receiver;
let site: Site;

beforeEach(async () => {
  receiver = await new Receiver().start();
});
afterEach(async () => {
  await site?.close();
  await receiver.stop();
});

const start = async (...flags: string[]): Promise<void> => {
  site = await Site.start('--webhook-url', receiver.url, '--webhook-secret-file', secretFile, ...flags);
};
/** Tasks that nobody runs, and that fail for it. */
const failing = (count: number): Promise<readonly string[]> =>
  site.api.submit(
    ...Array.from({ length: count }, () => ({ queue: 'nobody', queuedTimeout: { seconds: 1 } })),
  );
const taskIds = () => new Set(receiver.accepted.map(({ data }) => data.taskId));

test('a receiver that is down while the coordinator is killed hears of every failed task once it is back', async () => {
  await start();
  const { port } = receiver;
  await receiver.stop();
  const before = await failing(5);
  await eventually('they have failed', async () => {
    const tasks = await Promise.all(before.map((id) => site.api.task(id)));
    return tasks.every(({ state }) => state === 'TASK_STATE_FAILED');
  });
  await site.server.kill();
  receiver.port = port;
  await receiver.start();
  await site.startServer();
  const after = await failing(5);
  await receiver.has(10);
  expect(taskIds()).toEqual(new Set([...before, ...after]));
  const keys = keysOf(SECRET) as Buffer[];
  for (const { headers, id, body } of receiver.received) {
    const timestamp = Number(headers['webhook-timestamp']);
    expect(headers['webhook-signature']).toBe(signatureOf(keys, id, timestamp, body));
  }
});

test('a coordinator that is killed again and again, with a receiver that fails half the time, loses no notification', async () => {
  receiver.answer = (_message, count) => (count % 2 === 1 ? 500 : 200);
  await start();
  const all: string[] = [];
  for (let round = 0; round < 3; round++) {
    all.push(...(await failing(4)));
    const before = taskIds().size;
    await eventually('one more is delivered', () => taskIds().size > before);
    await site.server.kill();
    await site.startServer();
  }
  await receiver.has(all.length);
  expect(taskIds()).toEqual(new Set(all));
});
