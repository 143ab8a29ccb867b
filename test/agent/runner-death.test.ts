import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from '@jest/globals';
import {
  AgentProcess,
  carriers,
  childrenOf,
  isAlive,
  killAgents,
  removeFolders,
  runOf,
  shell,
  until,
} from './support.js';

const marks: string[] = [];

afterAll(() => {
  killAgents();
  // Of a test that failed: what should have been dead.
  for (const pid of marks.flatMap(carriers)) process.kill(pid, 'SIGKILL');
  removeFolders();
});

/** Longest life of anything after its agent's death. */
const LIMIT_MS = 1_000;

const commands = {
  'a command and its children': 'sleep 60 & sleep 60 & wait',
  'a command that ignores SIGTERM, and children in sessions of their own':
    'trap "" TERM HUP; setsid sleep 60 & setsid sh -c "setsid sleep 60 & wait" & wait',
  'a command that forks and forks': 'for i in $(seq 200); do setsid sleep 60 & sleep 0.02; done',
};

/** Starts an agent with each of the commands, three deep in processes; gives the mark that all of them carry. */
async function family(namespace: 'auto' | 'user' | 'off') {
  const mark = randomUUID();
  marks.push(mark);
  const runs = Object.values(commands).map((script, i) =>
    runOf(String(i + 1), shell(script), { env: { MARK: mark } }),
  );
  const agent = new AgentProcess({ namespace, runs });
  const runner = await agent.runnerPid();
  await until('the family', () => carriers(mark).length >= 12);
  return { agent, runner, mark };
}

describe.each(['auto', 'user', 'off'] as const)('with namespaces %s', (namespace) => {
  test('nothing survives kill -9 of the agent for a second', async () => {
    const { agent, runner, mark } = await family(namespace);
    agent.kill('SIGKILL');
    await until('the death of all', () => carriers(mark).length === 0 && !isAlive(runner), LIMIT_MS);
    // Nothing comes back either: the runner, which swept, is gone.
    expect(carriers(mark)).toEqual([]);
  });

  test('nothing survives kill -9 of agent and runner together for a second', async () => {
    const { agent, runner, mark } = await family(namespace);
    agent.kill('SIGKILL');
    process.kill(runner, 'SIGKILL');
    await until('the death of all', () => carriers(mark).length === 0 && !isAlive(runner), LIMIT_MS);
    expect(carriers(mark)).toEqual([]);
  });

  test('nothing survives kill -9 of a stopped agent whose runs are stopped', async () => {
    const { agent, runner, mark } = await family(namespace);
    for (const { pgid } of agent.lines.filter(({ heard }) => heard === 'started')) {
      process.kill(-(pgid as number), 'SIGSTOP');
    }
    agent.kill('SIGSTOP');
    agent.kill('SIGKILL');
    await until('the death of all', () => carriers(mark).length === 0 && !isAlive(runner), LIMIT_MS);
    expect(carriers(mark)).toEqual([]);
  });
});

const isLifeline = (pid: number): boolean =>
  readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('holdfast-lifeline');

test('the lifeline is started again when it is killed', async () => {
  const { agent, runner, mark } = await family('off');
  const watchers = (): number[] => childrenOf(runner).filter(isLifeline);
  const [watcher = 0] = watchers();
  process.kill(watcher, 'SIGKILL');
  await until('another lifeline', () => watchers().some((pid) => pid !== watcher));
  process.kill(runner, 'SIGSTOP');
  agent.kill('SIGKILL');
  process.kill(runner, 'SIGKILL');
  await until('the death of all', () => carriers(mark).length === 0 && !isAlive(runner), LIMIT_MS);
  expect(carriers(mark)).toEqual([]);
});

test('a runner that hangs in its own exit is gone with its agent all the same', async () => {
  const run = runOf('1', shell('sleep 60'), { env: { MARK: randomUUID() } });
  const agent = new AgentProcess({ namespace: 'off', runs: [run], entry: 'stuck-runner.mjs' });
  const runner = await agent.runnerPid();
  await agent.heard('started');
  agent.kill('SIGKILL');
  try {
    await until('the death of the runner', () => !isAlive(runner));
  } finally {
    if (isAlive(runner)) process.kill(runner, 'SIGKILL');
  }
  expect(isAlive(runner)).toBe(false);
});
