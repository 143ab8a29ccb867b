import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { realClock } from '../../src/agent/clock.js';
import { takeOver } from '../../src/agent/state/index.js';
import { Journal } from '../../src/agent/state/journal.js';
import { SILENT } from '../../src/kit/log.js';
import {
  AgentProcess,
  carriers,
  isAlive,
  killAgents,
  newFolder,
  removeFolders,
  runOf,
  shell,
  until,
} from './support.js';

afterAll(() => {
  killAgents();
  removeFolders();
});

const take = async (stateDir: string, runnerWaitMs?: number) => {
  const options = { stateDir, instanceId: randomUUID(), clock: realClock, log: SILENT };
  const { lock, journal, proof } = await takeOver(
    runnerWaitMs === undefined ? options : { ...options, runnerWaitMs },
  );
  journal.close();
  lock.release();
  return { proof, recovered: journal.recovered };
};

test('the first agent of a state directory has no predecessor', async () => {
  const { proof } = await take(newFolder());
  expect(proof).toEqual({ predecessor: null, proven: false, unproven: null, escaped: 0 });
});

test('after kill -9 the next agent proves that its predecessor is dead, and knows its runs', async () => {
  const mark = randomUUID();
  const runs = [runOf('7', shell('setsid sleep 60 & wait'), { env: { MARK: mark } }), runOf('8', ['true'])];
  const agent = new AgentProcess({ namespace: 'off', runs });
  await agent.heard('ended', '8');
  await until('the family', () => carriers(mark).length >= 2);
  await agent.killed();
  const { proof, recovered } = await take(agent.stateDir);
  expect(proof).toMatchObject({
    predecessor: { instanceId: agent.instanceId },
    proven: true,
    unproven: null,
    escaped: 0,
  });
  expect(proof.predecessor?.inode).toBeGreaterThan(0n);
  expect(carriers(mark)).toEqual([]);
  expect(recovered.runs.map(({ token, taskId }) => [token, taskId])).toEqual([[7n, 'task-7']]);
  expect(recovered.reports).toEqual([{ token: 8n, report: { exitCode: 0 } }]);
});

test('what an earlier instance left alive is killed and counted', async () => {
  const stateDir = newFolder();
  const instanceId = randomUUID();
  const first = await takeOver({ stateDir, instanceId, clock: realClock, log: SILENT });
  const env = { PATH: process.env.PATH, HOLDFAST_AGENT_INSTANCE: instanceId };
  // One by its environment, one only by the group that was journalled for it.
  const marked = spawn('sleep', ['60'], { detached: true, env, stdio: 'ignore' });
  const grouped = spawn('sleep', ['60'], {
    detached: true,
    env: { PATH: process.env.PATH },
    stdio: 'ignore',
  });
  const pgid = grouped.pid as number;
  first.journal.startRuns([{ token: 1n, taskId: 't', tryNumber: 1, pgid, atMs: realClock.wallMs() }]);
  first.journal.close();
  first.lock.release();

  const { proof } = await take(stateDir);
  expect(proof).toMatchObject({ proven: true, escaped: 2 });
  expect([marked.pid, pgid].map((pid) => isAlive(pid as number))).toEqual([false, false]);
});

test('a group that handlers ran in is looked for as a run is, by when it was made, and only once', async () => {
  const stateDir = newFolder();
  const first = await takeOver({ stateDir, instanceId: randomUUID(), clock: realClock, log: SILENT });
  const env = { PATH: process.env.PATH };
  const left = spawn('sleep', ['60'], { detached: true, env, stdio: 'ignore' }).pid as number;
  first.journal.startGroup({ pgid: left, atMs: realClock.wallMs() });
  first.journal.close();
  first.lock.release();

  const { proof, recovered } = await take(stateDir);
  expect([proof.proven, proof.escaped, isAlive(left)]).toEqual([true, 1, false]);
  expect(recovered.groups.map(({ pgid }) => pgid)).toEqual([left]);
  expect((await take(stateDir)).recovered.groups).toEqual([]);
});

test("a process that came by a journalled group's number is left alone", async () => {
  const stateDir = newFolder();
  const first = await takeOver({ stateDir, instanceId: randomUUID(), clock: realClock, log: SILENT });
  const stranger = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
  const hourAgoMs = realClock.wallMs() - 3_600_000;
  const pgid = stranger.pid as number;
  first.journal.startRuns([{ token: 1n, taskId: 't', tryNumber: 1, pgid, atMs: hourAgoMs }]);
  first.journal.close();
  first.lock.release();
  const { proof } = await take(stateDir);
  expect([proof.proven, proof.escaped, isAlive(pgid)]).toEqual([true, 0, true]);
  stranger.kill('SIGKILL');
});

test('while the earlier runner lives nothing is proven', async () => {
  const agent = new AgentProcess({ namespace: 'off', runs: [] });
  const runner = await agent.runnerPid();
  process.kill(runner, 'SIGSTOP');
  await agent.killed();
  const { proof } = await take(agent.stateDir, 100);
  expect([proof.proven, proof.unproven]).toEqual([false, expect.stringMatching(/runner .* holds its lock/)]);
  process.kill(runner, 'SIGCONT');
  const again = await take(agent.stateDir);
  expect(again.proof.proven).toBe(true);
});

test('another lock file, or another start of the host, proves nothing', async () => {
  const stateDir = newFolder();
  const lockFile = join(stateDir, 'agent.lock');
  await take(stateDir);
  copyFileSync(lockFile, `${lockFile}.copy`);
  renameSync(`${lockFile}.copy`, lockFile);
  expect((await take(stateDir)).proof).toMatchObject({
    proven: false,
    unproven: 'the lock file is another one',
  });

  const journal = Journal.open(stateDir, realClock);
  const last = journal.recovered.previousInstance;
  if (last === null) throw new Error('the instance was not journalled');
  journal.startInstance({ ...last, bootId: 'an earlier one' });
  journal.close();
  expect((await take(stateDir)).proof).toMatchObject({
    proven: false,
    unproven: expect.stringMatching(/started anew/),
  });
});
