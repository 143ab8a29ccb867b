import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { BIN, holdfast } from './support/program.js';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-start-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('bad configuration stops the start before anything is touched', () => {
  test.each([
    [['server', 'start', '--port', '70000'], 2, '--port cannot be "70000" [BAD_CONFIGURATION]'],
    [['server', 'start', '--heartbeat-interval', '1'], 2, 'it must be a duration with its unit'],
    [['server', 'start', '--heartbeat-interval', '10ms'], 2, 'it must lie between 100 and 300000'],
    [['server', 'start', '--hold-timeout', '10s'], 2, 'it would end before a loss is noticed'],
    [['server', 'start', '--host', '0.0.0.0'], 2, 'say --allow-plaintext'],
    [['server', 'start', '--prot', '1'], 2, 'try: --port; holdfast server start --help'],
    [['dev', '--slots', '0'], 2, '--slots cannot be "0"'],
    [['agent', 'start', '--slots', '0'], 78, '--slots cannot be "0"'],
    [['agent', 'start', '--queue', 'no way'], 78, '"no way" is no name'],
    [['agent', 'start', '--kind', 'scheduler'], 78, '--kind cannot be "scheduler"'],
    [['agent', 'start', '--kind', 'dag-processor'], 78, 'name their folder with --bundle'],
    [['agent', 'start', '--kind', 'dag-processor', '--bundle', 'none'], 78, 'it is no folder'],
  ])('%j', async (args, exit, words) => {
    const { code, stdout, stderr } = await holdfast(args, { cwd: folder });
    expect([code, stdout]).toEqual([exit, '']);
    expect(stderr).toContain(words);
  });

  test('a variable that looks misspelt is told', async () => {
    const env = { HOLDFAST_HEARTBET_INTERVAL: '1s' };
    const { stderr } = await holdfast(['agent', 'start', '--slots', '0'], { env });
    expect(stderr).toContain(
      'HOLDFAST_HEARTBET_INTERVAL is not a setting (did you mean HOLDFAST_HEARTBEAT_INTERVAL?)',
    );
  });
});

test('a triggers module that is of no use is bad configuration, as one of handlers is', async () => {
  const args = [
    'agent',
    'start',
    '--kind',
    'triggerer',
    '--triggers',
    'none.mjs',
    '--state-dir',
    'triggerer',
  ];
  const { code, stderr } = await holdfast(args, { cwd: folder });
  expect([code, stderr]).toEqual([
    78,
    expect.stringContaining('the triggers cannot be served [TRIGGERS_UNUSABLE]'),
  ]);
});

test('config show --origin says where each value comes from', async () => {
  writeFileSync(join(folder, 'holdfast.yaml'), 'server:\n  prefetch: 3\n');
  const env = { HOLDFAST_SLOTS: '7', AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT: '90' };
  const { code, stdout } = await holdfast(['config', 'show', '--origin', '-o', 'json'], { cwd: folder, env });
  expect(code).toBe(0);
  const shown = JSON.parse(stdout) as { key: string; value: string; origin: string; from: string | null }[];
  const of = (key: string) => shown.find((entry) => entry.key === key);
  expect(of('output')).toEqual({ key: 'output', value: 'json', origin: 'flag', from: '--output' });
  expect(of('agent.slots')).toEqual({
    key: 'agent.slots',
    value: '7',
    origin: 'environment',
    from: 'HOLDFAST_SLOTS',
  });
  expect(of('server.queuedTimeout')).toMatchObject({
    value: '1m30s',
    from: 'AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT',
  });
  expect(of('server.prefetch')).toMatchObject({ value: '3', origin: 'file' });
  expect(of('server.prefetch')?.from).toMatch(/holdfast\.yaml:2:3$/);
  expect(of('server.port')).toEqual({ key: 'server.port', value: '7400', origin: 'default', from: null });
});

test('help tells the defaults that hold, and names of variables that exist', async () => {
  const words = async (...args: string[]) =>
    (await holdfast([...args, '--help'])).stdout.replace(/\s+/g, ' ');
  const [dev, agent, all] = await Promise.all([words('dev'), words('agent', 'start'), words()]);
  expect(dev).toContain('tasks to run at once (default: 8) [HOLDFAST_SLOTS]');
  expect(dev).toContain('(default: 10s) [HOLDFAST_DRAIN_TIMEOUT]');
  expect(agent).toContain(
    '(default: as many as the machine has processors; of a triggerer, 10000 triggers) [HOLDFAST_SLOTS]',
  );
  expect(agent).toContain('(default: let it finish) [HOLDFAST_DRAIN_TIMEOUT]');
  expect(all).toContain('nothing starts without a durable confirmation');
  expect(await words('task', 'submit')).toContain('[HOLDFAST_TASK_QUEUED_TIMEOUT]');
});

test('version and completion answer without a coordinator', async () => {
  const version = await holdfast(['version', '-o', 'json']);
  expect(JSON.parse(version.stdout)).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
  const script = await holdfast(['completion', 'bash']);
  expect([script.code, script.stderr]).toEqual([0, '']);
  expect(script.stdout).toContain('holdfast');
  expect((await holdfast(['complete', '--', 'task', 'sub'])).stdout).toContain('submit');
});

test('an old Node is told which one is needed', () => {
  const pretend = 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"22.13.1"})';
  const { status, stderr } = spawnSync(process.execPath, ['--import', pretend, BIN, 'version'], {
    encoding: 'utf8',
  });
  expect(status).toBe(2);
  expect(stderr).toContain('Holdfast needs Node 22.14 or newer [NODE_TOO_OLD]');
  expect(stderr).toContain('npx holdfast');
});
