import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import * as examples from './support/examples.js';
import { startObjects } from './support/object-store.js';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-fencing-'));
  closing.push(() => rmSync(folder, { recursive: true }));
  return folder;
}

const TOKENS = [3n, 9n, 1n, 12n, 7n, 11n, 2n, 12n, 5n, 8n];
const fenced = { name: 'Fenced' };

describe('the HTTP API of the how-to', () => {
  async function started(file = join(temporary(), 'store.db')) {
    const store = await (await examples.httpServer()).startStore(file);
    closing.push(() => store.close());
    const { write } = await examples.httpClient();
    const read = async (name: string) => {
      const answer = await fetch(`${store.url}/${name}`);
      return { token: answer.headers.get('fencing-token'), value: await answer.text() };
    };
    return { store, read, write: (token: bigint, value: string) => write(`${store.url}/a`, token, value) };
  }

  test('takes the writes of one try and of a newer one, and refuses those of an older one', async () => {
    const { read, write } = await started();
    await write(5n, 'first');
    await write(5n, 'second');
    await expect(write(4n, 'late')).rejects.toMatchObject(fenced);
    expect(await read('a')).toEqual({ token: '5', value: 'second' });
    await write(6n, 'third');
    await expect(write(5n, 'late')).rejects.toMatchObject(fenced);
    expect(await read('a')).toEqual({ token: '6', value: 'third' });
  });

  test('has forgotten nothing after a restart, not even of tokens beyond 2^53', async () => {
    const file = join(temporary(), 'store.db');
    const before = await started(file);
    await before.write(2n ** 53n + 1n, 'newer');
    await before.store.close();
    closing.pop();
    const { read, write } = await started(file);
    await expect(write(2n ** 53n, 'late')).rejects.toMatchObject(fenced);
    expect(await read('a')).toEqual({ token: '9007199254740993', value: 'newer' });
  });

  test('ends with the newest token whatever the order of the writes, and takes none without a token', async () => {
    const { store, read, write } = await started();
    const ended = await Promise.allSettled(TOKENS.map((token) => write(token, `by ${token}`)));
    expect(ended.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
    expect(await read('a')).toEqual({ token: '12', value: 'by 12' });
    for (const headers of [
      {},
      { 'fencing-token': '' },
      { 'fencing-token': '1e9' },
      { 'fencing-token': '-1' },
    ]) {
      const answer = await fetch(`${store.url}/a`, { method: 'PUT', body: 'x', headers });
      expect(answer.status).toBe(428);
    }
    expect((await read('a')).value).toBe('by 12');
  });
});

describe('the conditional writes of the how-to', () => {
  test('end with the newest token whatever the order, and lose nobody to a write at the same time', async () => {
    const { url, close } = await startObjects();
    closing.push(close);
    const { publish, current } = await examples.objects();
    await Promise.allSettled(TOKENS.map((token) => publish(url, 'a', token, `by ${token}`)));
    expect(await current(url, 'a')).toMatchObject({ fence: '12', key: 'a.12' });
    expect(await (await fetch(`${url}/a.12`)).text()).toBe('by 12');
    await expect(publish(url, 'a', 11n, 'late')).rejects.toMatchObject(fenced);
    expect(await current(url, 'a')).toMatchObject({ fence: '12', key: 'a.12' });
  });

  test('refuse a late write that looked before the newer one wrote, even when both write the same data', async () => {
    const { publish, current } = await examples.objects();
    let newer = async (): Promise<void> => {};
    const { url, close } = await startObjects(async (path) => {
      if (path !== '/a') return;
      const strike = newer;
      newer = async () => {};
      await strike();
    });
    closing.push(close);
    await publish(url, 'a', 1n, 'same');
    newer = () => publish(url, 'a', 3n, 'same');
    await expect(publish(url, 'a', 2n, 'same')).rejects.toMatchObject(fenced);
    expect(await current(url, 'a')).toMatchObject({ fence: '3', key: 'a.3' });
  });
});

describe('the file of the how-to', () => {
  const write = async (
    file: string,
    token: bigint,
    content: string,
  ): Promise<{ code: number; said: string }> => {
    const program = spawn('sh', [join(examples.folder, 'write-file.sh'), file], {
      env: { ...process.env, HOLDFAST_FENCING_TOKEN: String(token) },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let said = '';
    program.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    program.stdin.end(content);
    const code = await new Promise<number>((ended) => program.on('close', (exit) => ended(exit ?? -1)));
    return { code, said };
  };

  test('takes a newer try, refuses an older one with exit code 3, and leaves nothing half-written', async () => {
    const folder = temporary();
    const file = join(folder, 'report');
    expect(await write(file, 5n, 'first')).toEqual({ code: 0, said: '' });
    expect(await write(file, 5n, 'again')).toEqual({ code: 0, said: '' });
    const late = await write(file, 4n, 'late');
    expect(late).toEqual({ code: 3, said: `${file} was not written: token 5 has it, and ours is 4\n` });
    expect(readFileSync(file, 'utf8')).toBe('again');
    expect(readdirSync(folder).sort()).toEqual(['report', 'report.fence', 'report.lock']);
  });

  test('ends with the newest token whatever the order of the writes', async () => {
    const file = join(temporary(), 'report');
    const ended = await Promise.all(TOKENS.map((token) => write(file, token, `by ${token}`)));
    expect(new Set(ended.map(({ code }) => code))).toEqual(
      new Set(ended.some(({ code }) => code === 3) ? [0, 3] : [0]),
    );
    expect(readFileSync(file, 'utf8')).toBe('by 12');
    expect(readFileSync(`${file}.fence`, 'utf8')).toBe('12\n');
  });

  test('refuses an older try also after a newer one died between its two renames', async () => {
    const file = join(temporary(), 'report');
    await write(file, 5n, 'old');
    writeFileSync(`${file}.fence`, '6\n');
    expect((await write(file, 5n, 'late')).code).toBe(3);
    expect(readFileSync(file, 'utf8')).toBe('old');
    expect((await write(file, 6n, 'new')).code).toBe(0);
    expect(existsSync(`${file}.fence.new`)).toBe(false);
  });
});
