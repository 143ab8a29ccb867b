import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { realClock } from '../../src/agent/clock.js';
import { Guardian, gateEndOf } from '../../src/agent/runner/guardian.js';
import { HandClock } from './hand-clock.js';
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

test('the guardian takes whichever clock has gone furthest, so that a suspended host keeps no gate open', () => {
  const clock = new HandClock();
  let expired = 0;
  const guardian = new Guardian(clock, () => expired++);
  expect(guardian.gate()).toBe('untold');
  guardian.renew(gateEndOf(clock, 3_000));
  expect(guardian.gate()).toBe('open');
  clock.wall += 3_600_000;
  expect(guardian.gate()).toBe('closed');
  clock.timer?.();
  expect(expired).toBe(1);
  guardian.renew(gateEndOf(clock, 4_000));
  expect(guardian.gate()).toBe('open');
  clock.wall -= 3_600_000;
  clock.mono = 4_000;
  expect(guardian.gate()).toBe('closed');
});

test('a wall clock that is set back over the sleep of its host keeps no gate of the guardian open', () => {
  const clock = new HandClock();
  const guardian = new Guardian(clock, () => {});
  guardian.renew(gateEndOf(clock, 3_000));
  clock.wall -= 3_600_000;
  clock.boot += 2_000;
  expect(guardian.gate()).toBe('closed');
});

test('a deadline that is told before the sleep of its host and read after it keeps no gate open', () => {
  const clock = new HandClock();
  const guardian = new Guardian(clock, () => {});
  const end = gateEndOf(clock, 3_000);
  clock.boot += 2_000;
  guardian.renew(end);
  expect(guardian.gate()).toBe('closed');
});

test('what is to begin soon begins before the end of the gate, by every clock', () => {
  const clock = new HandClock();
  const guardian = new Guardian(clock, () => {});
  expect(guardian.within(10)).toEqual({ monoMs: 1_010, wallMs: 5_010, bootMs: 2_020 });
  const end = gateEndOf(clock, 1_005);
  guardian.renew(end);
  expect(guardian.within(10)).toEqual(end);
  guardian.renew(gateEndOf(clock, 3_000));
  expect(guardian.within(10).monoMs).toBe(1_010);
});

test('at the gate end a single_run is stopped and others go on; nothing starts until the gate is open again', async () => {
  const heard = await listen('auto');
  const { runner } = heard;
  runner.start(runOf('1', ['true'], { singleRun: true }));
  expect(await heard.failure('1')).toMatchObject({ code: 'GATE_CLOSED' });

  runner.renewGuardian(realClock.monoMs() + 60_000);
  runner.start(runOf('2', shell('echo up; exec sleep 60'), { singleRun: true }));
  runner.start(runOf('3', shell('echo up; exec sleep 60')));
  await heard.says('2', 'up');
  await heard.says('3', 'up');

  const endMs = realClock.monoMs() + 200;
  runner.renewGuardian(endMs);
  expect(await heard.end('2')).toMatchObject({ stopReason: 'gate', exitCode: 143 });
  // The first clock to reach the end counts, and the one since boot is told in steps of 10 ms.
  expect(realClock.monoMs()).toBeGreaterThan(endMs - 10);
  runner.start(runOf('4', ['true']));
  expect(await heard.failure('4')).toMatchObject({ code: 'GATE_CLOSED' });
  expect(heard.ends.map(({ runId }) => runId)).toEqual(['2']);

  runner.renewGuardian(realClock.monoMs() + 60_000);
  runner.start(runOf('5', ['true'], { singleRun: true }));
  expect(await heard.end('5')).toMatchObject({ exitCode: 0 });
});

test('a gate that closes between permit and exec lets nothing run', async () => {
  const heard = await listen('off');
  heard.runner.renewGuardian(realClock.monoMs() + 60_000);
  heard.beforeExec = () => heard.runner.renewGuardian(realClock.monoMs() - 1);
  heard.runner.start(runOf('1', shell('echo ran')));
  expect(await heard.end('1')).toMatchObject({ executed: false, stopReason: 'gate' });
  expect(heard.text('1')).toBe('');
});

test('the guardian acts although the agent is stopped, and kills what ignores SIGTERM', async () => {
  const isSet = join(mkdtempSync(join(tmpdir(), 'holdfast-guardian-')), 'trap-is-set');
  const stubborn = shell(`trap "" TERM; : > ${isSet}; while :; do sleep 0.05; done`);
  const agent = new AgentProcess({
    namespace: 'auto',
    // From the agent's start, on a busy machine too.
    guardianMs: 6_000,
    runs: [
      runOf('1', stubborn, { singleRun: true }),
      // Floods the stopped agent: the guardian's word must not wait behind its output.
      runOf('2', shell('cat /dev/zero')),
      runOf('3', ['sleep', '60'], { singleRun: true }),
    ],
  });
  const [first, other, third] = await Promise.all(['1', '2', '3'].map((run) => agent.heard('started', run)));
  const pid = (line: typeof first): number => line?.pid as number;
  await until('the trap', () => existsSync(isSet));
  agent.kill('SIGSTOP');
  await until('the end of both single runs', () => !isAlive(pid(first)) && !isAlive(pid(third)), 12_000);
  rmSync(dirname(isSet), { recursive: true });
  expect(isAlive(pid(other))).toBe(true);
  agent.kill('SIGCONT');
  expect(await agent.heard('ended', '1')).toMatchObject({ stopReason: 'gate', signal: 'SIGKILL' });
  expect(await agent.heard('ended', '3')).toMatchObject({ stopReason: 'gate', signal: 'SIGTERM' });
});
