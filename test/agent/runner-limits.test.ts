import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { realClock } from '../../src/agent/clock.js';
import { findCgroups, Limits } from '../../src/agent/runner/limits.js';
import { closeRunners, listen, runOf, shell } from './support.js';

const MIB = 2 ** 20;
/** `tail` keeps the whole of a line that never ends. */
const takes = (mib: number) => `head -c ${mib * MIB} /dev/zero | tail -n 1 > /dev/null`;

const folders: string[] = [];
afterEach(async () => {
  await closeRunners();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe.each(['auto', 'off'] as const)('with namespaces %s', (namespace) => {
  test('a command that takes more memory than it may is killed for it, with all of its processes', async () => {
    const heard = await listen(namespace);
    expect(heard.runner.limits.memory).not.toBe('none');
    const limited = { memoryLimitBytes: 64 * MIB };
    heard.runner.start(runOf('1', shell(`(${takes(2_000)}) & sleep 4711`), limited));
    // In a session of its own, where no signal to the group would reach it, and the group would not show it.
    heard.runner.start(runOf('2', shell(`setsid sh -c '${takes(2_000)}; sleep 4711'`), limited));
    for (const runId of ['1', '2']) {
      expect(await heard.end(runId, 20_000)).toMatchObject({ executed: true, outOfMemory: 64 * MIB });
    }
  }, 60_000);

  test('a command within its limit, or killed for another reason, is not out of memory', async () => {
    const heard = await listen(namespace);
    heard.runner.start(runOf('1', shell(takes(30)), { memoryLimitBytes: 256 * MIB }));
    heard.runner.start(runOf('2', shell('kill -9 $$'), { memoryLimitBytes: 256 * MIB }));
    expect(await heard.end('1', 20_000)).toMatchObject({ exitCode: 0, outOfMemory: null });
    expect(await heard.end('2', 20_000)).toMatchObject({ signal: 'SIGKILL', outOfMemory: null });
  }, 60_000);
});

test('a limit that cannot be enforced starts nothing', async () => {
  const heard = await listen('off');
  expect(heard.runner.limits.cpu).toBe('none');
  heard.runner.start(runOf('1', shell('echo ran'), { cpuLimitMillis: 500 }));
  expect(await heard.failure('1')).toMatchObject({
    code: 'SPAWN',
    text: expect.stringContaining('CPU limits not at all'),
  });
});

describe('a delegated cgroup', () => {
  /** The files of a cgroup tree; the kernel's part is written by the test. */
  function tree(own: string, given = 'cpuset cpu io memory pids\n') {
    const root = mkdtempSync(join(tmpdir(), 'holdfast-cgroup-'));
    folders.push(root);
    mkdirSync(join(root, 'holdfast.slice', 'holdfast'), { recursive: true });
    writeFileSync(join(root, 'cgroup.controllers'), 'cpu memory\n');
    writeFileSync(join(root, 'holdfast.slice', 'cgroup.controllers'), given);
    writeFileSync(join(root, 'self'), `1:name=systemd:/\n0::${own}\n`);
    return { root, cgroups: findCgroups(root, join(root, 'self')) };
  }
  const spec = (limits: object) => runOf('7', ['true'], limits);

  test('is used when the operator says so by its name: each run gets one of its own, with its limits', () => {
    const { root, cgroups } = tree('/holdfast.slice/holdfast');
    expect(cgroups).toEqual({ parent: join(root, 'holdfast.slice'), cpu: true, reason: '' });
    const control = join(root, 'holdfast.slice', 'cgroup.subtree_control');
    expect(readFileSync(control, 'utf8')).toBe('+memory +cpu');
    const limits = new Limits(realClock, 'i', cgroups);
    expect(limits.inForce).toMatchObject({ memory: 'cgroup', cpu: 'cgroup' });
    const limit = limits.prepare(spec({ memoryLimitBytes: 64 * MIB, cpuLimitMillis: 500 }));
    limit?.enter(4_711, () => {});
    const folder = join(root, 'holdfast.slice', 'holdfast-i-7');
    const has = (file: string) => readFileSync(join(folder, file), 'utf8');
    const files = ['memory.max', 'memory.oom.group', 'cpu.max', 'cgroup.procs'].map(has);
    expect(files).toEqual([String(64 * MIB), '1', '50000 100000', '4711']);
    writeFileSync(
      join(folder, 'memory.events'),
      'low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 1\n',
    );
    expect(limit?.end()).toBe(64 * MIB);
  });

  test('tells a run that the kernel did not kill for memory', () => {
    const { root, cgroups } = tree('/holdfast.slice/holdfast');
    const limit = new Limits(realClock, 'i', cgroups).prepare(spec({ memoryLimitBytes: 64 * MIB }));
    writeFileSync(
      join(root, 'holdfast.slice', 'holdfast-i-7', 'memory.events'),
      'max 9\noom 0\noom_kill 0\n',
    );
    expect(limit?.end()).toBeNull();
  });

  test('without the cpu controller limits memory alone: a task with a CPU limit starts nothing there', () => {
    const { root, cgroups } = tree('/holdfast.slice/holdfast', 'memory pids\n');
    const control = join(root, 'holdfast.slice', 'cgroup.subtree_control');
    expect(readFileSync(control, 'utf8')).toBe('+memory');
    const limits = new Limits(realClock, 'i', cgroups);
    expect(limits.inForce).toMatchObject({ memory: 'cgroup', cpu: 'none' });
    expect(limits.inForce.text).toContain('CPU limits not at all (the cpu controller is not delegated');
    expect(() => limits.prepare(spec({ memoryLimitBytes: 64 * MIB, cpuLimitMillis: 500 }))).toThrow(
      'cannot enforce',
    );
    limits.prepare(spec({ memoryLimitBytes: 64 * MIB }));
    const folder = join(root, 'holdfast.slice', 'holdfast-i-7');
    expect(readFileSync(join(folder, 'memory.max'), 'utf8')).toBe(String(64 * MIB));
    expect(existsSync(join(folder, 'cpu.max'))).toBe(false);
  });

  test.each([
    ['the memory controller is not given', 'cpu pids\n', () => {}, 'the memory controller is not delegated'],
    [
      'its parent takes no controllers',
      'cpu memory\n',
      (parent: string) => mkdirSync(join(parent, 'cgroup.subtree_control')),
      'the cgroup cannot be used: EISDIR',
    ],
  ])(
    'that is found and not delegated, because %s, leaves memory to the watch and CPU to nobody',
    (_, given, spoil, words) => {
      const { root } = tree('/elsewhere', given);
      spoil(join(root, 'holdfast.slice'));
      writeFileSync(join(root, 'self'), '0::/holdfast.slice/holdfast\n');
      const cgroups = findCgroups(root, join(root, 'self'));
      expect(cgroups).toMatchObject({ parent: null, cpu: false, reason: expect.stringContaining(words) });
      const { inForce } = new Limits(realClock, 'i', cgroups);
      expect(inForce).toMatchObject({ memory: 'watch', cpu: 'none' });
      expect(inForce.text).toContain(words);
      expect(
        readdirSync(join(root, 'holdfast.slice')).filter((name) => name.startsWith('holdfast-')),
      ).toEqual([]);
    },
  );

  test('whose limits cannot be written starts nothing, and nothing is left of it', () => {
    const { root, cgroups } = tree('/holdfast.slice/holdfast');
    rmSync(join(root, 'holdfast.slice'), { recursive: true });
    const limits = new Limits(realClock, 'i', cgroups);
    expect(() => limits.prepare(spec({ memoryLimitBytes: 64 * MIB }))).toThrow('ENOENT');
  });

  test('is left alone when nobody has said that it is ours', () => {
    const { cgroups } = tree('/holdfast.slice/agent.service');
    expect(cgroups.parent).toBeNull();
    expect(cgroups.reason).toContain('not in a delegated cgroup named holdfast');
    expect(findCgroups('/nowhere').reason).toContain('no cgroup v2');
  });
});
