import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { type LockAttempt, tryLock } from '../../src/agent/state/lock.js';
import { AgentProcess, isAlive, killAgents, newFolder, removeFolders, runOf, until } from './support.js';

afterAll(() => {
  killAgents();
  removeFolders();
});

const held = (attempt: LockAttempt) => {
  if (attempt.kind !== 'held') throw new Error(attempt.text);
  return attempt.lock;
};

test('a state directory has one agent, and the second is told which', async () => {
  const first = new AgentProcess({ namespace: 'off', runs: [] });
  await first.heard('ready');
  const second = new AgentProcess({ namespace: 'off', runs: [], stateDir: first.stateDir });
  const { text } = await second.heard('refused');
  expect(text).toContain(`${first.stateDir} is in use by another agent (pid ${first.child.pid})`);

  const third = tryLock(join(first.stateDir, 'agent.lock'));
  expect(third).toMatchObject({ kind: 'inUse', pid: first.child.pid });
  // Looking at it has not taken it from its holder.
  expect(tryLock(join(first.stateDir, 'agent.lock')).kind).toBe('inUse');
});

test('kill -9 of its holder frees the lock', async () => {
  const agent = new AgentProcess({ namespace: 'off', runs: [] });
  await agent.heard('ready');
  const file = join(agent.stateDir, 'agent.lock');
  expect(tryLock(file).kind).toBe('inUse');
  agent.kill('SIGKILL');
  const lock = await until('the lock', () => {
    const attempt = tryLock(file);
    return attempt.kind === 'held' ? attempt.lock : null;
  });
  lock.release();
});

test("the runner's lock is held until the runner has killed everything", async () => {
  const agent = new AgentProcess({ namespace: 'off', runs: [runOf('1', ['sleep', '60'])] });
  const { pid } = await agent.heard('started', '1');
  agent.kill('SIGKILL');
  const file = join(agent.stateDir, 'runner.lock');
  const lock = await until('the lock', () => {
    const attempt = tryLock(file);
    return attempt.kind === 'held' ? attempt.lock : null;
  });
  expect(isAlive(pid as number)).toBe(false);
  lock.release();
});

test('a process that holds the lock is refused a second time without losing the first', async () => {
  const file = join(newFolder(), 'agent.lock');
  const lock = held(tryLock(file));
  expect(tryLock(file)).toMatchObject({ kind: 'inUse', pid: process.pid });
  const other = new AgentProcess({ namespace: 'off', runs: [], stateDir: join(file, '..') });
  expect((await other.heard('refused')).text).toContain(`(pid ${process.pid})`);
  lock.release();
  held(tryLock(file)).release();
});

test('the lock names the host and the file that it is', () => {
  const lock = held(tryLock(join(newFolder(), 'deep', 'er', 'agent.lock')));
  expect(lock.bootId).toBe(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  expect([typeof lock.device, lock.inode > 0n]).toEqual(['bigint', true]);
  lock.release();
});

test('what cannot be locked is said with a way out', () => {
  const file = join(newFolder(), 'agent.lock');
  writeFileSync(file, 'this is no database'.repeat(100));
  const attempt = tryLock(file);
  expect(attempt).toMatchObject({
    kind: 'failed',
    text: expect.stringMatching(/damaged lock file may be removed/),
  });
  expect(tryLock('/proc/nowhere/agent.lock').kind).toBe('failed');
});
