import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { BIN, cleanEnvironment, holdfast } from './support/program.js';

// Real processes of the built program, each on a port of its own; the whole file takes a few seconds.
const folder = mkdtempSync(join(tmpdir(), 'holdfast-processes-'));
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly stderr: () => string;
}

function start(args: readonly string[]): Started {
  const child = spawn(process.execPath, [BIN, ...args], { env: cleanEnvironment(), cwd: folder });
  children.push(child);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return { child, ended: new Promise((resolve) => child.on('close', resolve)), stderr: () => stderr };
}

async function addressIn(file: string): Promise<{ grpc: string; pid: number }> {
  await eventually(`the address in ${file}`, () => existsSync(file));
  return JSON.parse(readFileSync(file, 'utf8')) as { grpc: string; pid: number };
}

test('dev runs a task, and Ctrl-C ends it in good order', async () => {
  const file = join(folder, 'dev.json');
  // What an earlier process left behind must not be taken for an address.
  writeFileSync(file, 'stale');
  const dev = start(['dev', '--port', '0', '--db-file', join(folder, 'dev.db'), '--address-file', file]);
  await eventually('its own address', () => existsSync(file) && readFileSync(file, 'utf8') !== 'stale');
  const { grpc, pid } = await addressIn(file);
  expect(pid).toBe(dev.child.pid);

  const env = { HOLDFAST_COORDINATOR: grpc, HOLDFAST_OUTPUT: 'json' };
  const run = await holdfast(
    ['task', 'submit', '--wait', '--', 'sh', '-c', 'echo 7 > "$HOLDFAST_RESULT_FILE"'],
    { env },
  );
  expect(run.code).toBe(0);
  expect(JSON.parse(run.stdout)).toMatchObject({
    state: 'success',
    tryNumber: 1,
    agentId: 'dev-worker',
    result: 7,
  });

  dev.child.kill('SIGINT');
  expect(await dev.ended).toBe(0);
  expect(existsSync(file)).toBe(false);
});

test('an agent does not start over the journal of a newer one, and leaves it as it was', async () => {
  const stateDir = join(folder, 'of-a-newer');
  mkdirSync(stateDir, { mode: 0o700 });
  const journal = '{"kind":"journal","version":99}\n';
  writeFileSync(join(stateDir, 'journal.jsonl'), journal);
  const { code, stderr } = await holdfast(['agent', 'start', '--state-dir', stateDir]);
  expect(code).toBe(78);
  expect(stderr).toMatch(
    /^error: the journal .+ was written by a newer agent \[STATE_DIRECTORY_NEWER\]\n {2}because: at line 1, its version is 99, and this agent knows \d+\n {2}try: Start that version again, and drain it .+\n$/,
  );
  expect(readFileSync(join(stateDir, 'journal.jsonl'), 'utf8')).toBe(journal);
});

test('files are for their owner only, and commands keep the umask of the user', async () => {
  const file = join(folder, 'modes.json');
  const db = join(folder, 'modes.db');
  const before = process.umask(0o022);
  const dev = start(['dev', '--port', '0', '--db-file', db, '--address-file', file]);
  process.umask(before);
  const env = { HOLDFAST_COORDINATOR: (await addressIn(file)).grpc };
  const command = ['sh', '-c', 'printf %s "$(umask)"'];
  const { code, stdout, stderr } = await holdfast(['task', 'submit', '--wait', '--', ...command], { env });
  expect(code).toBe(0);
  expect(stderr).toMatch(/^success in .+; output: holdfast task logs /);
  expect((await holdfast(['task', 'logs', stdout.trim()], { env })).stdout).toMatch(/^0?022$/);
  const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
  const files = [db, `${db}-wal`, `${db}.owner`];
  const folders = [`${db}.logs`, `${db}.agents`, `${db}.agents/dev-worker`];
  expect(files.map(modeOf)).toEqual(['600', '600', '600']);
  expect(folders.map(modeOf)).toEqual(['700', '700', '700']);

  // Its worker's directory is taken.
  const second = await holdfast(['agent', 'start', '--state-dir', `${db}.agents/dev-worker`], { env });
  expect([second.code, second.stderr.includes('serves')]).toEqual([78, false]);
  expect(second.stderr).toMatch(
    /^error: the state directory .+ is in use \[STATE_DIRECTORY_IN_USE\]\n {2}because: another agent \(pid \d+\) holds agent\.lock in it\n {2}try: stop that agent, .+\n$/,
  );

  // Once drained, the worker ends and how to start another is told.
  await holdfast(['agent', 'drain', 'dev-worker', '--wait'], { env });
  await eventually('the drain to be told', () => dev.stderr().includes('was drained'));
  const told =
    dev
      .stderr()
      .split('\n')
      .find((line) => line.includes('was drained')) ?? '{}';
  const { level, msg } = JSON.parse(told) as { level: string; msg: string };
  expect(level).toBe('warn');
  expect(msg).toContain(
    `holdfast agent start --coordinator ${env.HOLDFAST_COORDINATOR} --agent-id dev-worker`,
  );
  dev.child.kill('SIGINT');
  expect(await dev.ended).toBe(0);
});

test('a server that cannot start says why, and leaves the running one alone', async () => {
  const file = join(folder, 'server.json');
  const dbFile = join(folder, 'server.db');
  const server = start(['server', 'start', '--port', '0', '--db-file', dbFile, '--address-file', file]);
  const { grpc } = await addressIn(file);

  const second = await holdfast(['server', 'start', '--port', '0', '--db-file', dbFile]);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain('[STORE_LOCKED]\n  because: process ');
  const port = grpc.split(':')[1] ?? '';
  const third = await holdfast(['server', 'start', '--port', port, '--db-file', join(folder, 'other.db')]);
  expect(third.code).toBe(1);
  expect(third.stderr).toMatch(/^error: cannot listen on 127\.0\.0\.1:\d+ \[PORT_IN_USE\]\n {2}because: /m);
  const corrupt = join(folder, 'corrupt.db');
  writeFileSync(corrupt, 'this is no database '.repeat(100));
  const fourth = await holdfast(['server', 'start', '--port', '0', '--db-file', corrupt]);
  expect([fourth.code, fourth.stderr.includes('[STORE_CORRUPT]')]).toEqual([1, true]);

  expect((await holdfast(['health', '-o', 'name'], { env: { HOLDFAST_COORDINATOR: grpc } })).code).toBe(0);
  server.child.kill('SIGTERM');
  expect(await server.ended).toBe(0);
  const last = JSON.parse(server.stderr().trim().split('\n').at(-1) ?? '') as { msg: string };
  expect(last.msg).toBe('coordinator has stopped');
});

test('an agent is drained by the first signal and stopped by the second', async () => {
  const file = join(folder, 'stop.json');
  const server = start([
    'server',
    'start',
    '--port',
    '0',
    '--db-file',
    join(folder, 'stop.db'),
    '--address-file',
    file,
  ]);
  const { grpc } = await addressIn(file);
  const env = { HOLDFAST_COORDINATOR: grpc };
  const args = [
    'agent',
    'start',
    '--coordinator',
    grpc,
    '--agent-id',
    'w',
    '--slots',
    '1',
    '--state-dir',
    join(folder, 'w'),
  ];
  const agent = start(args);
  const { stdout } = await holdfast(['task', 'submit', '--', 'sleep', '60'], { env });
  const running = () => holdfast(['task', 'list', '--state', 'running', '-o', 'name'], { env });
  await eventually('its run', async () => (await running()).stdout === stdout);
  agent.child.kill('SIGTERM');
  await wait(300);
  expect(agent.child.exitCode).toBeNull();
  agent.child.kill('SIGTERM');
  expect(await agent.ended).toBe(130);
  server.child.kill('SIGTERM');
  expect(await server.ended).toBe(0);
});

test('an agent goes on trying while nobody answers, and ends at once when told to', async () => {
  // A port that is taken but speaks no gRPC.
  const sockets: Socket[] = [];
  const mute = createServer((socket) => sockets.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const { port } = mute.address() as AddressInfo;
  const agent = start([
    'agent',
    'start',
    '--coordinator',
    `127.0.0.1:${port}`,
    '--state-dir',
    join(folder, 'mute'),
  ]);
  await once(mute, 'connection');
  expect(agent.child.exitCode).toBeNull();
  agent.child.kill('SIGINT');
  const code = await agent.ended;
  for (const socket of sockets) socket.destroy();
  mute.close();
  expect(code).toBe(0);
});
