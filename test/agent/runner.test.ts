import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { realClock } from '../../src/agent/clock.js';
import {
  carriers,
  closeRunners,
  type Heard,
  isAlive,
  listen,
  newFolder,
  removeFolders,
  runOf,
  shell,
  until,
} from './support.js';

afterAll(removeFolders);

describe.each(['auto', 'off'] as const)('with namespaces %s', (namespace) => {
  let heard: Heard;
  let last = 0;
  const next = (): string => String(++last);
  beforeAll(async () => {
    heard = await listen(namespace);
  });
  afterAll(closeRunners);
  afterEach(() => {
    heard.answer = 'exec';
    heard.beforeExec = () => {};
  });

  /** Runs the command to its end. */
  const finish = async (...spec: [readonly string[], Parameters<typeof runOf>[2]?]) => {
    const run = runOf(next(), ...spec);
    heard.runner.start(run);
    const end = await heard.end(run.runId);
    return { ...end, stdout: heard.text(run.runId), stderr: heard.text(run.runId, 'stderr') };
  };

  test('exit code and both outputs of a command come through', async () => {
    const end = await finish(shell('echo out; echo err >&2; exit 7'));
    expect(end).toMatchObject({
      exitCode: 7,
      signal: null,
      executed: true,
      stopReason: null,
      timedOut: false,
    });
    expect([end.stdout, end.stderr, end.outputTruncated]).toEqual(['out\n', 'err\n', false]);
  });

  test('a command killed by a signal is told as 128 + n and the signal', async () => {
    const end = await finish(shell('kill -SEGV $$'));
    expect(end).toMatchObject({ exitCode: 139, signal: 'SIGSEGV', stdout: '', stderr: '' });
  });

  test('scripts may write to /dev/stdout and /dev/stderr', async () => {
    const end = await finish(shell('echo out > /dev/stdout; echo err > /dev/stderr'));
    expect([end.stdout, end.stderr]).toEqual(['out\n', 'err\n']);
  });

  test('a command has no descriptors but its three, and nothing to read', async () => {
    const end = await finish(shell('ls /proc/self/fd | wc -l; wc -c'));
    // The listing's own descriptor is the fourth.
    expect(end.stdout.replaceAll(' ', '')).toBe('4\n0\n');
  });

  test('all of a long output arrives, in order, before the end', async () => {
    const end = await finish(shell('seq 1 200000'));
    const lines = end.stdout.trimEnd().split('\n');
    expect([lines.length, lines[0], lines.at(-1)]).toEqual([200_000, '1', '200000']);
  });

  test("a command sees the task's environment and a few of the agent's variables, none of its secrets", async () => {
    const end = await finish(['env'], { env: { COLOUR: 'red', HOLDFAST_TOKEN: '7' }, resultFile: '/r' });
    const names = end.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('=')[0] ?? '');
    expect(end.stdout).toContain('COLOUR=red\n');
    const holdfast = names.filter((name) => name.startsWith('HOLDFAST_'));
    expect(holdfast.sort()).toEqual([
      'HOLDFAST_AGENT_INSTANCE',
      'HOLDFAST_RESULT_FILE',
      'HOLDFAST_RUN',
      'HOLDFAST_TOKEN',
    ]);
    const known = /^(COLOUR|PATH|PWD|OLDPWD|HOME|LANG|TZ|TMPDIR|USER|SHELL|SHLVL|_|LC_.*|HOLDFAST_.*)$/;
    expect(names.filter((name) => !known.test(name))).toEqual([]);
  });

  test('a command runs in its working directory', async () => {
    const cwd = newFolder();
    expect((await finish(['pwd'], { cwd })).stdout).toBe(`${cwd}\n`);
  });

  test.each([
    ['ENOENT', ['no-such-program-here'], {}],
    ['ENOENT', ['./no-such-program-here'], {}],
    ['EACCES', ['/etc/passwd'], {}],
    ['BAD_CWD', ['true'], { cwd: '/no/such/folder' }],
    ['BAD_CWD', ['true'], { cwd: '/etc/passwd' }],
    ['EINVAL', [], {}],
    ['EINVAL', ['true', 'a\0b'], {}],
    ['EINVAL', ['true'], { env: { 'a-b': '1' } }],
    ['SPAWN', ['true', 'x'.repeat(1_000_000)], {}],
  ])('%s tells in words why %j %j was not started', async (code, argv, other) => {
    const run = runOf(next(), argv, other);
    heard.runner.start(run);
    const failure = await heard.failure(run.runId);
    expect(failure.code).toBe(code);
    expect(failure.text.length).toBeGreaterThan(20);
  });

  test('a token is started once, however often it is asked for', async () => {
    const { runId } = await finish(['true']);
    heard.runner.start(runOf(runId, ['true']));
    expect(await heard.failure(runId)).toMatchObject({ code: 'DUPLICATE' });
  });

  test('nothing of a command runs before the agent has journalled its start', async () => {
    const trace = join(newFolder(), 'trace');
    const before: boolean[] = [];
    heard.beforeExec = ({ pgid }) => before.push(isAlive(pgid), existsSync(trace));
    await finish(['touch', trace]);
    expect([...before, existsSync(trace)]).toEqual([true, false, true]);
  });

  test('a start that could not be journalled never runs', async () => {
    const trace = join(newFolder(), 'trace');
    heard.answer = 'abandon';
    const end = await finish(['touch', trace]);
    expect([end.executed, existsSync(trace)]).toEqual([false, false]);
  });

  test('SIGTERM reaches a command without a handler at once', async () => {
    const run = runOf(next(), shell('echo up; exec sleep 60'));
    heard.runner.start(run);
    await heard.says(run.runId, 'up');
    const startMs = realClock.monoMs();
    heard.runner.stop(run.runId, 'cancelled', 60_000);
    expect(await heard.end(run.runId)).toMatchObject({
      exitCode: 143,
      signal: 'SIGTERM',
      stopReason: 'cancelled',
    });
    expect(realClock.monoMs() - startMs).toBeLessThan(2_000);
  });

  test('a command may answer SIGTERM in its own way', async () => {
    const run = runOf(next(), shell('trap "echo bye; exit 4" TERM; echo up; sleep 60 & wait'));
    heard.runner.start(run);
    await heard.says(run.runId, 'up');
    heard.runner.stop(run.runId, 'superseded', 60_000);
    expect(await heard.end(run.runId)).toMatchObject({ exitCode: 4, signal: null, stopReason: 'superseded' });
    expect(heard.text(run.runId)).toBe('up\nbye\n');
  });

  test('a command that ignores SIGTERM is killed after the grace, with all it started, in its session or not', async () => {
    const mark = `MARK=${next()}-${realClock.wallMs()}`;
    const script = 'trap "" TERM; sleep 60 & setsid sleep 60 & echo up; while :; do sleep 0.05; done';
    const run = runOf(next(), shell(script), { env: { MARK: mark.slice(5) } });
    heard.runner.start(run);
    await heard.says(run.runId, 'up');
    await until('the whole family', () => carriers(mark).length >= 4);
    const startMs = realClock.monoMs();
    heard.runner.stop(run.runId, 'cancelled', 300);
    expect(await heard.end(run.runId)).toMatchObject({ exitCode: 137, signal: 'SIGKILL', timedOut: false });
    expect(carriers(mark)).toEqual([]);
    expect(realClock.monoMs() - startMs).toBeGreaterThanOrEqual(299);
    expect(heard.text(run.runId, 'stderr')).toBe('');
  });

  test('a SIGTERM in the first milliseconds of a run is not lost', async () => {
    for (let delayMs = 1; delayMs <= 12; delayMs += 0.25) {
      const runId = next();
      heard.beforeExec = () =>
        void realClock.setTimer(delayMs, () => heard.runner.stop(runId, 'cancelled', 60_000));
      heard.runner.start(runOf(runId, ['sleep', '60']));
      expect(await heard.end(runId)).toMatchObject({ exitCode: 143, stopReason: 'cancelled' });
    }
  });

  test('a second stop can bring the kill forward', async () => {
    const run = runOf(next(), shell('trap "" TERM; echo up; while :; do sleep 0.05; done'));
    heard.runner.start(run);
    await heard.says(run.runId, 'up');
    heard.runner.stop(run.runId, 'drain', 600_000);
    heard.runner.stop(run.runId, 'cancelled', 0);
    expect(await heard.end(run.runId)).toMatchObject({ signal: 'SIGKILL', stopReason: 'drain' });
  });

  test('a stopped group can be ended too', async () => {
    const run = runOf(next(), shell('echo up; exec sleep 60'));
    heard.runner.start(run);
    await heard.says(run.runId, 'up');
    process.kill(-(heard.started.at(-1)?.pgid ?? 0), 'SIGSTOP');
    heard.runner.stop(run.runId, 'cancelled', 60_000);
    expect(await heard.end(run.runId)).toMatchObject({ exitCode: 143 });
  });

  test('a run past its time is stopped and says so', async () => {
    const end = await finish(['sleep', '60'], { timeoutMs: 150 });
    expect(end).toMatchObject({ timedOut: true, stopReason: 'timeout', exitCode: 143 });
  });

  test('when a run is told as ended, nothing that it left behind is alive', async () => {
    const mark = `MARK=left-${next()}-${realClock.wallMs()}`;
    const end = await finish(shell('sleep 60 & setsid sleep 60 & sleep 0.05; exit 5'), {
      env: { MARK: mark.slice(5) },
    });
    expect([end.exitCode, carriers(mark), end.outputTruncated]).toEqual([5, [], false]);
  });

  test('a runner that is killed is told to the agent, when nothing of its runs is alive', async () => {
    const own = await listen(namespace);
    const mark = `MARK=lost-${next()}-${realClock.wallMs()}`;
    const env = { MARK: mark.slice(5) };
    own.runner.start(runOf('1', shell('echo up; sleep 60 & setsid sleep 60 & wait'), { env }));
    own.runner.start(runOf('2', shell('exit 0')));
    await own.end('2');
    await own.says('1', 'up');
    process.kill(own.runner.pid, 'SIGKILL');
    const loss = await until('the loss', () => own.losses[0]);
    expect([loss.runIds, loss.left, carriers(mark)]).toEqual([['1'], 0, []]);
    own.runner.start(runOf('3', ['true']));
    expect(own.failures[0]).toMatchObject({ runId: '3', code: 'RUNNER_LOST' });
  });
});

test('the strongest protection there is gets named, and turning namespaces off is said', async () => {
  const strongest = await listen('auto');
  const off = await listen('off');
  expect(strongest.runner.protection.text).toMatch(/PID namespace/);
  expect(off.runner.protection).toMatchObject({ namespace: 'none', sweep: true, lifeline: true });
  expect(off.runner.protection.text).toMatch(/turned off/);
  await closeRunners();
});

test('a namespace that the system refuses is told as never executed, not as a command that failed', async () => {
  const tools = newFolder();
  const unshare = `#!/bin/sh\n[ -e ${tools}/refuse ] && exit 1\nPATH=/usr/bin:/bin exec unshare "$@"\n`;
  writeFileSync(join(tools, 'unshare'), unshare, { mode: 0o755 });
  const path = process.env.PATH;
  process.env.PATH = `${tools}:${path}`;
  const heard = await listen('auto').finally(() => {
    process.env.PATH = path;
  });
  writeFileSync(join(tools, 'refuse'), '');
  heard.runner.start(runOf('1', shell('echo ran')));
  const executed = heard.runner.protection.namespace === 'none';
  expect(await heard.end('1')).toMatchObject({ executed });
  await closeRunners();
});

test('a second runner on the same lock is refused in words', async () => {
  const stateDir = newFolder();
  const first = await listen('off', stateDir);
  await expect(listen('off', stateDir)).rejects.toThrow(`in use by another agent (pid ${first.runner.pid})`);
  await closeRunners();
});
