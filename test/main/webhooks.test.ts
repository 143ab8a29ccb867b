import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { ConfigError, type Problem } from '../../src/config/problem.js';
import { type Config, resolveConfig, type Sources } from '../../src/config/resolve.js';
import { Coordinator, connect, HoldfastError } from '../../src/index.js';
import { webhooksOf } from '../../src/main/webhooks.js';
import { Receiver } from '../webhooks/support/receiver.js';

const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
const folder = mkdtempSync(join(tmpdir(), 'holdfast-webhooks-'));
const secretFile = join(folder, 'secret');
writeFileSync(secretFile, `${SECRET}\n`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (flags: Sources['flags'], file = '', env: NodeJS.ProcessEnv = {}): Promise<Config> => {
  writeFileSync(join(folder, 'holdfast.yaml'), file);
  const configFile = join(folder, 'holdfast.yaml');
  return resolveConfig({ flags, env, cwd: folder, home: folder, configFile, defaults: {} });
};
const problemsOf = (config: Config): readonly Problem[] => {
  try {
    webhooksOf(config);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

describe('webhooks of the configuration', () => {
  test('come from flags with one secret, and from the file each with its own', async () => {
    const file = `server:\n  webhooks:\n    - url: https://b.example/x?a=1,2\n      secretFile: ${secretFile}\n      events: [agent.failed]\n`;
    const flags = { 'server.webhookUrl': ['https://a.example/1', 'http://localhost:1/2'] };
    const env = { HOLDFAST_WEBHOOK_SECRET_FILE: secretFile };
    expect(webhooksOf(await read(flags, file, env))).toEqual([
      { url: 'https://a.example/1', secret: `${SECRET}\n` },
      { url: 'http://localhost:1/2', secret: `${SECRET}\n` },
      { url: 'https://b.example/x?a=1,2', secret: `${SECRET}\n`, events: ['agent.failed'] },
    ]);
  });

  test('need a secret', async () => {
    const config = await read({ 'server.webhookUrl': 'https://a.example' });
    expect(problemsOf(config)[0]?.try).toContain('--webhook-secret-file');
  });

  test('are refused with every fault at once, and never with their secret', async () => {
    const bad = join(folder, 'bad');
    writeFileSync(bad, 'whsec_tooshort');
    const list = [
      { url: 'http://elsewhere.example/hook', secretFile },
      { url: 'https://me:pw@a.example', secretFile },
      { url: 'https://b.example', secretFile: bad },
      { url: 'https://c.example', secretFile: join(folder, 'none') },
      { url: 'https://d.example', secretFile, events: ['task.failde'] },
    ];
    const problems = problemsOf(await read({ 'server.webhooks': JSON.stringify(list) }));
    const said = problems.map(({ what, because }) => `${what}: ${because}`).join('\n');
    expect(problems).toHaveLength(5);
    for (const part of [
      'http beyond this machine',
      'a user in the url',
      'key 1 must be',
      'ENOENT',
      'task.failde',
    ]) {
      expect(said).toContain(part);
    }
    expect(said).not.toContain('tooshort');
    expect(said).not.toContain('me:pw');
  });

  test('that are no list of endpoints stop the start', async () => {
    await expect(read({ 'server.webhooks': '[{"uri":"x"}]' })).rejects.toThrow('it must be a list of');
  });

  test('may be plain http beyond this machine when plaintext is allowed', async () => {
    const list = JSON.stringify([{ url: 'http://elsewhere.example/hook', secretFile }]);
    expect(problemsOf(await read({ 'server.webhooks': list, 'server.allowPlaintext': 'true' }))).toEqual([]);
  });
});

describe('webhooks of a coordinator in a program', () => {
  test('are told of a task that failed', async () => {
    const receiver = await new Receiver().start();
    const coordinator = await new Coordinator({
      dbFile: join(folder, 'a.db'),
      port: 0,
      webhooks: [{ url: receiver.url, secret: SECRET, events: ['task.failed'] }],
    }).start();
    const client = connect(coordinator.address);
    const task = await client.tasks.submitAndWait({ command: ['true'], queuedTimeoutMs: 200 });
    await receiver.has(1);
    expect(receiver.accepted[0]?.data).toMatchObject({ taskId: task.taskId, reason: 'queued_timeout' });
    client.close();
    await coordinator.stop();
    await receiver.stop();
  });

  test('are checked at start', async () => {
    const webhooks = [{ url: 'ftp://x', secret: 'whsec_x' }];
    const error: unknown = await new Coordinator({ dbFile: join(folder, 'b.db'), port: 0, webhooks })
      .start()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(HoldfastError);
    expect((error as HoldfastError).reason).toContain('no http or https URL');
    expect((error as HoldfastError).reason).toContain('key 1 must be');
  });
});
