import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { realClock } from '../../src/agent/clock.js';
import { OUTPUT_WINDOW_BYTES } from '../../src/agent/runner/index.js';
import {
  AgentProcess,
  closeRunners,
  isAlive,
  killAgents,
  listen,
  removeFolders,
  runOf,
  shell,
  until,
} from './support.js';

afterAll(async () => {
  killAgents();
  await closeRunners();
  removeFolders();
});

/** What one pipe holds, and one read beyond the window. */
const SLACK_BYTES = 128 * 1024;

const residentBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

const cpuTicks = (pid: number): string =>
  readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').slice(11, 13).join() ?? '';

test('what its parent left open in an agent is not open in its commands', async () => {
  const agent = new AgentProcess({
    namespace: 'auto',
    runs: [runOf('1', shell('ls /proc/self/fd | tr "\\n" " "'))],
  });
  // The fourth is the listing's own.
  expect((await agent.heard('output', '1')).text).toBe('0 1 2 3 ');
});

test('a flood that the agent does not take stops its own writer, and no other run', async () => {
  const heard = await listen('off');
  heard.beforeExec = ({ runId }) => {
    if (runId === 'flood') heard.runner.pauseOutput(runId);
  };
  heard.runner.start(runOf('flood', shell('cat /dev/zero')));
  await until('a full window', () => heard.text('flood').length >= OUTPUT_WINDOW_BYTES);

  for (const runId of ['1', '2', '3']) {
    heard.runner.start(runOf(runId, shell('seq 1 50000')));
    expect(await heard.end(runId)).toMatchObject({ exitCode: 0, outputTruncated: false });
    expect(heard.text(runId)).toMatch(/^1\n[0-9\n]*\n50000\n$/);
  }
  expect(heard.text('flood').length).toBeLessThanOrEqual(OUTPUT_WINDOW_BYTES + SLACK_BYTES);

  heard.runner.resumeOutput('flood');
  await until('more of the flood', () => heard.text('flood').length > 4 * OUTPUT_WINDOW_BYTES);
  heard.runner.stop('flood', 'cancelled', 60_000);
  expect(await heard.end('flood')).toMatchObject({ exitCode: 143 });
});

test('a flood that the agent takes starves no other run', async () => {
  const heard = await listen('off');
  for (const flood of ['a', 'b']) heard.runner.start(runOf(flood, shell('cat /dev/zero')));
  await until('the floods', () => heard.text('a').length > 1_000_000 && heard.text('b').length > 1_000_000);
  const startMs = realClock.monoMs();
  heard.runner.start(runOf('1', shell('echo quick')));
  await heard.end('1');
  expect(heard.text('1')).toBe('quick\n');
  expect(realClock.monoMs() - startMs).toBeLessThan(1_000);
});

test('the end of a run is told to an agent that takes none of its output', async () => {
  const heard = await listen('off');
  heard.beforeExec = ({ runId }) => heard.runner.pauseOutput(runId);
  heard.runner.start(runOf('1', shell('seq 1 60000')));
  // 350 KB: a window, and what the pipe still held when the command could write no more.
  await until('a full window', () => heard.text('1').length >= OUTPUT_WINDOW_BYTES);
  heard.runner.stop('1', 'cancelled', 60_000);
  await heard.end('1');
  expect(heard.text('1').length).toBeGreaterThan(OUTPUT_WINDOW_BYTES);
});

test('a process that got away with the output pipe delays the end by a second at most, and is said', async () => {
  const heard = await listen('off');
  // Leaves the session and clears its environment: the one escape there is without namespaces.
  heard.runner.start(runOf('1', shell('setsid env -i sleep 5 & echo done; sleep 0.2')));
  const end = await heard.end('1');
  expect(end).toMatchObject({ exitCode: 0, outputTruncated: true });
  expect(heard.text('1')).toBe('done\n');
});

test('floods of a stopped agent cost its runner little memory', async () => {
  const flood = shell('cat /dev/zero');
  const runs = ['1', '2', '3', '4', '5', '6'].map((runId) => runOf(runId, flood));
  const agent = new AgentProcess({ namespace: 'off', runs });
  const runner = await agent.runnerPid();
  const writers = await Promise.all(runs.map(async ({ runId }) => (await agent.heard('started', runId)).pid));
  await Promise.all(runs.map(({ runId }) => agent.heard('output', runId)));
  agent.kill('SIGSTOP');
  let before = '';
  const stands = (): boolean => {
    const now = [runner, ...writers].map((pid) => cpuTicks(pid as number)).join();
    const same = now === before;
    before = now;
    return same;
  };
  // Standing still over twenty looks: everybody waits for the stopped agent.
  let still = 0;
  await until('the floods to stand', () => {
    still = stands() ? still + 1 : 0;
    return still > 20;
  });
  expect(residentBytes(runner)).toBeLessThan(200 * 1024 * 1024);
  expect(writers.every((pid) => isAlive(pid as number))).toBe(true);
});
