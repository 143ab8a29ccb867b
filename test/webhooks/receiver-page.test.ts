import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { keysOf, signatureOf } from '../../src/webhooks/sign.js';
import { eventually } from '../wire/support/wait.js';

const page = readFileSync(new URL('../../docs/how-to/webhooks.md', import.meta.url), 'utf8');
const SECRET = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
const keys = keysOf(SECRET) as Buffer[];
const folder = mkdtempSync(join(tmpdir(), 'holdfast-receiver-'));
let receiver: ChildProcess;
let said = '';
let url = '';

beforeAll(async () => {
  const [, code = ''] = /```ts\n(.*?)```/s.exec(page) ?? [];
  const file = join(folder, 'receiver.mts');
  writeFileSync(file, code);
  const flags = ['--experimental-strip-types', '--disable-warning=ExperimentalWarning'];
  receiver = spawn(process.execPath, [...flags, file], {
    env: { ...process.env, WEBHOOK_SECRET: SECRET, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  receiver.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await eventually('the receiver listens', () => said.includes('port:'));
  url = `http://127.0.0.1:${/port: (\d+)/.exec(said)?.[1]}/`;
});
afterAll(async () => {
  const ended = new Promise((resolve) => receiver.on('exit', resolve));
  receiver.kill();
  await ended;
  rmSync(folder, { recursive: true });
});

async function send(
  id: string,
  body: string,
  change: { age?: number; signature?: string } = {},
): Promise<number> {
  const timestamp = Math.floor(Date.now() / 1_000) - (change.age ?? 0);
  const signature = change.signature ?? signatureOf(keys, id, timestamp, body);
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signature,
  };
  return (await fetch(url, { method: 'POST', headers, body })).status;
}

describe('the receiver of the how-to', () => {
  test('takes what we sign, and tells the same message once', async () => {
    expect(await send('one', '{"type":"task.failed"}')).toBe(204);
    expect(await send('one', '{"type":"task.failed"}')).toBe(204);
    await eventually('it is told', () => said.includes('one {"type":"task.failed"}'));
    expect(said.split('one {').length).toBe(2);
  });

  test('takes a message with two signatures, one of them its own', async () => {
    const other = Buffer.alloc(32, 1);
    const timestamp = Math.floor(Date.now() / 1_000);
    expect(
      await send('two', '{}', { signature: signatureOf([other, ...keys], 'two', timestamp, '{}') }),
    ).toBe(204);
  });

  test('goes on when a sender goes away amid its message', async () => {
    const { hostname, port } = new URL(url);
    const half = connect(Number(port), hostname);
    half.end('POST / HTTP/1.1\r\nHost: receiver\r\nContent-Length: 100\r\n\r\nhalf');
    await new Promise((resolve) => half.on('close', resolve).resume());
    expect(await send('three', '{}')).toBe(204);
    expect(receiver.exitCode).toBeNull();
  });

  test('refuses a forged, a changed and an old message', async () => {
    const forged = signatureOf([Buffer.alloc(32, 1)], 'x', Math.floor(Date.now() / 1_000), '{}');
    expect(await send('x', '{}', { signature: forged })).toBe(401);
    expect(await send('x', '{}', { signature: 'v1,' })).toBe(401);
    expect(await send('x', '{}', { age: 3_600 })).toBe(401);
  });
});
