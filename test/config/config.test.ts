import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { checkListening, policyOf } from '../../src/config/policy.js';
import { ConfigError, type Problem } from '../../src/config/problem.js';
import { type Config, misspeltVariables, resolveConfig, type Sources } from '../../src/config/resolve.js';

const root = mkdtempSync(join(tmpdir(), 'holdfast-config-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
/** A configuration read in an empty place, with these files in it. */
function read(sources: Partial<Sources> = {}, files: Readonly<Record<string, string>> = {}): Promise<Config> {
  folders += 1;
  const cwd = join(root, String(folders));
  for (const [name, text] of Object.entries({ '.keep': '', ...files })) {
    mkdirSync(join(cwd, name, '..'), { recursive: true });
    writeFileSync(join(cwd, name), text);
  }
  const configFile = sources.configFile === undefined ? undefined : join(cwd, sources.configFile);
  return resolveConfig({
    flags: {},
    env: {},
    cwd,
    home: join(cwd, 'home'),
    defaults: {},
    ...sources,
    configFile,
  });
}

const problemsOf = async (config: Promise<unknown> | (() => unknown)): Promise<readonly Problem[]> => {
  try {
    await (typeof config === 'function' ? config() : config);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

const FILE = 'server:\n  queuedTimeout: 4m\n';

describe('P12: the queued timeout has three names', () => {
  const airflow = { AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT: '180.0' };
  const ours = { HOLDFAST_QUEUED_TIMEOUT: '2m' };
  test.each<[string, Partial<Sources>, Record<string, string>, number, string]>([
    ['the default', {}, {}, 600_000, ''],
    ['the file', {}, { 'holdfast.yaml': FILE }, 240_000, 'holdfast.yaml:2:3'],
    [
      'Airflow’s variable',
      { env: airflow },
      { 'holdfast.yaml': FILE },
      180_000,
      'AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT',
    ],
    [
      'our variable',
      { env: { ...airflow, ...ours } },
      { 'holdfast.yaml': FILE },
      120_000,
      'HOLDFAST_QUEUED_TIMEOUT',
    ],
    [
      'the flag',
      { env: { ...airflow, ...ours }, flags: { 'server.queuedTimeout': '1m' } },
      { 'holdfast.yaml': FILE },
      60_000,
      '--queued-timeout',
    ],
  ])('%s counts when nothing stronger speaks', async (_name, sources, files, ms, origin) => {
    const config = await read(sources, files);
    expect(config.get('server.queuedTimeout')).toBe(ms);
    expect(config.origin('server.queuedTimeout').name.endsWith(origin)).toBe(true);
    expect(policyOf(config).queuedTimeoutMs).toBe(ms);
  });

  test.each(['', 'ten', '0', '-5', '10s'])('Airflow’s variable must be seconds: %j', async (text) => {
    const problems = await problemsOf(read({ env: { AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT: text } }));
    expect(problems).toHaveLength(text === '' ? 0 : 1);
  });
});

describe('the file', () => {
  test('is the first that exists, alone', async () => {
    const near = await read(
      {},
      { 'holdfast.yaml': 'output: json\n', 'home/.config/holdfast/holdfast.yaml': 'timeout: 3s\n' },
    );
    expect([near.get('output'), near.find('timeout')]).toEqual(['json', null]);
    const far = await read({}, { 'home/.config/holdfast/holdfast.yaml': 'timeout: 3s\n' });
    expect([far.get('output'), far.find('timeout')]).toEqual(['table', 3_000]);
    const named = await read(
      { configFile: 'other.yaml' },
      { 'other.yaml': 'output: name\n', 'holdfast.yaml': 'output: json\n' },
    );
    expect(named.get('output')).toBe('name');
  });

  test('writes lists and maps as YAML does', async () => {
    const text = 'agent:\n  queues: [a, b]\n  labels: { zone: eu, gpu: 2 }\n  slots: 3\n';
    const config = await read({}, { 'holdfast.yaml': text });
    expect(config.get('agent.queues')).toEqual(['a', 'b']);
    expect(config.get('agent.labels')).toEqual({ zone: 'eu', gpu: '2' });
    expect(config.get('agent.slots')).toBe(3);
  });

  test('with an unknown key is an error with its place and a suggestion', async () => {
    const [first, second] = await problemsOf(
      read({}, { 'holdfast.yaml': 'server:\n  heartbeatIntervall: 1s\nsever: {}\n' }),
    );
    expect(first?.what).toMatch(
      /holdfast\.yaml:2:3: unknown key server\.heartbeatIntervall \(did you mean server\.heartbeatInterval\?\)$/,
    );
    expect(second?.what).toContain('holdfast.yaml:3:1: unknown key sever');
  });

  test('that is no YAML, or no map, is an error with its place', async () => {
    expect((await problemsOf(read({}, { 'holdfast.yaml': 'a: [\n' })))[0]?.what).toMatch(
      /holdfast\.yaml:\d+:\d+: this is not YAML/,
    );
    expect((await problemsOf(read({}, { 'holdfast.yaml': '- a\n' })))[0]?.what).toContain(
      'this is no configuration',
    );
    expect(await problemsOf(read({}, { 'holdfast.yaml': '# nothing yet\n' }))).toEqual([]);
  });

  test('that was named must exist', async () => {
    const [problem] = await problemsOf(read({ configFile: 'missing.yaml' }));
    expect(problem).toMatchObject({ because: 'there is no such file' });
  });
});

describe('values', () => {
  test('every bad one is told, with where it came from', async () => {
    const problems = await problemsOf(
      read({
        flags: { 'server.port': '70000', 'agent.queues': ['ok', 'not ok'] },
        env: { HOLDFAST_SLOTS: '0', HOLDFAST_COORDINATOR: 'x' },
      }),
    );
    expect(problems.map((problem) => problem.what)).toEqual([
      'HOLDFAST_COORDINATOR cannot be "x"',
      '--port cannot be "70000"',
      '--queue cannot be "ok,not ok"',
      'HOLDFAST_SLOTS cannot be "0"',
    ]);
  });

  test('an empty variable counts as not set', async () => {
    expect((await read({ env: { HOLDFAST_OUTPUT: '' } })).get('output')).toBe('table');
  });

  test('flags given several times and commas mean the same', async () => {
    const flags = { 'agent.queues': ['a', 'b,c'], 'agent.labels': ['x=1', 'y=2'] };
    const config = await read({ flags });
    expect(config.get('agent.queues')).toEqual(['a', 'b', 'c']);
    expect(config.get('agent.labels')).toEqual({ x: '1', y: '2' });
  });

  test('what is shown is read back', async () => {
    const config = await read({
      flags: { 'agent.labels': ['x=1', 'y=2'], 'server.heartbeatInterval': '1500ms' },
    });
    for (const { key, text } of config.entries()) {
      if (text === null || text === '') continue;
      const again = await read({ flags: { [key]: text } });
      expect([key, again.find(key)]).toEqual([key, config.find(key)]);
    }
  });

  test.each([
    ['127.0.0.1:7400', true],
    ['[::1]:7400', true],
    ['coordinator.example:7400', true],
    ['coordinator', false],
    ['http://h:1', false],
    ['h:0', false],
    ['h:65536', false],
  ])('a coordinator is HOST:PORT: %s', async (text, good) => {
    expect((await problemsOf(read({ flags: { coordinator: text } }))).length === 0).toBe(good);
  });
});

describe('settings that contradict each other stop the start', () => {
  test('a hold timeout within the lease', async () => {
    const config = await read({ flags: { 'server.holdTimeout': '10s' } });
    expect(await problemsOf(() => policyOf(config))).toEqual([
      {
        what: 'server.holdTimeout is not longer than the lease',
        because: 'it would end before a loss is noticed',
        try: 'change server.holdTimeout, which comes from --hold-timeout',
      },
    ]);
  });

  test('a heartbeat interval out of its range', async () => {
    const config = await read({ env: { HOLDFAST_HEARTBEAT_INTERVAL: '50ms' } });
    const [problem] = await problemsOf(() => policyOf(config));
    expect(problem?.what).toBe('server.heartbeatInterval is 50');
    expect(problem?.try).toBe(
      'change server.heartbeatInterval, which comes from HOLDFAST_HEARTBEAT_INTERVAL',
    );
  });

  test('listening beyond this machine needs the word', async () => {
    for (const [flags, good] of [
      [{ 'server.host': '0.0.0.0' }, false],
      [{ 'server.host': '0.0.0.0', 'server.allowPlaintext': 'true' }, true],
      [{ 'server.host': 'localhost' }, true],
      [{ 'server.host': '::1' }, true],
    ] as const) {
      const config = await read({ flags });
      expect((await problemsOf(() => checkListening(config, false))).length === 0).toBe(good);
    }
  });

  test('with TLS beyond loopback only where callers say who they are, or somebody said that they need not', async () => {
    for (const [flags, good] of [
      [{}, true],
      [{ 'server.host': '0.0.0.0' }, false],
      [{ 'server.host': '0.0.0.0', 'server.tlsClientCa': 'ca.pem' }, true],
      [{ 'server.host': '0.0.0.0', 'server.allowAnonymous': 'true' }, true],
    ] as const) {
      const config = await read({ flags });
      expect((await problemsOf(() => checkListening(config, true))).length === 0).toBe(good);
    }
  });
});

test('a misspelt variable is noticed, those of tasks are not', () => {
  const env = {
    HOLDFAST_HEARTBET_INTERVAL: '1s',
    HOLDFAST_TASK_ID: 't',
    HOLDFAST_RESULT_FILE: '/r',
    HOLDFAST_QUEUE: 'q',
    PATH: '',
  };
  expect(misspeltVariables(env)).toEqual([
    { variable: 'HOLDFAST_HEARTBET_INTERVAL', meant: 'HOLDFAST_HEARTBEAT_INTERVAL' },
  ]);
});
