import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from '@jest/globals';

interface Line {
  readonly what: string;
  readonly ns: string;
  readonly execNs?: string;
  readonly token: string;
  readonly code?: number;
  readonly beside?: readonly string[];
}

const stub = resolve(import.meta.dirname, '../../scripts/chaos/stub.mjs');
const folder = mkdtempSync(join(tmpdir(), 'holdfast-stub-'));
mkdirSync(join(folder, 'alive'));
const started: ChildProcess[] = [];

afterAll(async () => {
  for (const child of started) child.kill('SIGKILL');
  const running = started.filter((child) => child.exitCode === null && child.signalCode === null);
  await Promise.all(running.map((child) => once(child, 'exit')));
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the command as an agent does, with this token. */
function run(token: string, more: Readonly<Record<string, string>> = {}): ChildProcess {
  const env = {
    CHAOS_FOLDER: folder,
    CHAOS_KEY: 'k1',
    CHAOS_STEP_MS: '50',
    CHAOS_DURATION_MS: '20000',
    CHAOS_FAIL_TRIES: '0',
    CHAOS_STUBBORN: '0',
    HOLDFAST_FENCING_TOKEN: token,
    HOLDFAST_TRY_NUMBER: token,
    HOLDFAST_TASK_ID: 't1',
    HOLDFAST_AGENT_ID: 'a',
    HOLDFAST_RESULT_FILE: join(folder, `result-${token}`),
    ...more,
  };
  const child = spawn(process.execPath, [stub], { env, stdio: 'ignore' });
  started.push(child);
  return child;
}

function lines(): Line[] {
  const file = join(folder, 'history.jsonl');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
}

async function written(token: string, what: string): Promise<Line> {
  for (const until = Date.now() + 20_000; Date.now() < until; ) {
    const line = lines().find((each) => each.token === token && each.what === what);
    if (line !== undefined) return line;
    await sleep(20);
  }
  throw new Error(`the run of token ${token} wrote no line "${what}"`);
}

test('a command tells from outside when it ran, and which other run of its task was alive then', async () => {
  const first = run('1');
  expect(await written('1', 'start')).toMatchObject({ beside: [] });
  // Stopped is alive: it may go on at any time.
  first.kill('SIGSTOP');
  run('2');
  expect(await written('2', 'start')).toMatchObject({ beside: ['1'] });
  first.kill('SIGKILL');
  await once(first, 'exit');
  const third = run('3', { CHAOS_DURATION_MS: '100', CHAOS_FAIL_TRIES: '3' });
  const start = await written('3', 'start');
  expect(start).toMatchObject({ beside: ['2'] });
  expect(BigInt(start.execNs ?? '0')).toBeLessThan(BigInt(start.ns));
  expect(await once(third, 'exit')).toEqual([3, null]);
  expect(await written('3', 'end')).toMatchObject({ code: 3 });
});

test('a stubborn command notes the SIGTERM and goes on, to its end and its result', async () => {
  const child = run('4', { CHAOS_STUBBORN: '1', CHAOS_DURATION_MS: '600' });
  await written('4', 'start');
  child.kill('SIGTERM');
  await written('4', 'term');
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(JSON.parse(readFileSync(join(folder, 'result-4'), 'utf8'))).toEqual({ token: '4' });
});
