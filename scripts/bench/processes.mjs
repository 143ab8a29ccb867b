// The processes of a bench: the real coordinator from the built bin, bare agents, and what the kernel says of them.
import { execFileSync, fork, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

export const bin = new URL('../../dist/main/bin.js', import.meta.url).pathname;
const bareAgent = new URL('./bare-agent.mjs', import.meta.url).pathname;
const started = new Set();

/** Ends what is still running, by pid; nothing else is ever touched. */
export function endAll() {
  for (const child of started) child.kill('SIGKILL');
}

export function follow(child) {
  started.add(child);
  child.once('exit', () => started.delete(child));
  return child;
}

/** A coordinator on a fresh database; `directory` is removed by `stop`. */
export async function startCoordinator(heartbeat = '5s', nodeOptions = []) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const database = join(directory, 'holdfast.db');
  const addressFile = join(directory, 'address.json');
  const args = ['server', 'start', '--port', '0', '--db-file', database, '--address-file', addressFile];
  const options = ['--heartbeat-interval', heartbeat, '--log-level', 'error'];
  const startedAt = performance.now();
  const child = follow(
    spawn(process.execPath, [...nodeOptions, bin, ...args, ...options], {
      stdio: ['ignore', 'ignore', 'inherit'],
    }),
  );
  await until(() => existsSync(addressFile), 15_000, 'the coordinator did not come up');
  const readyMs = performance.now() - startedAt;
  const address = JSON.parse(readFileSync(addressFile, 'utf8')).grpc;
  const stop = async () => {
    child.kill('SIGTERM');
    await exited(child);
    return { database, remove: () => rmSync(directory, { recursive: true, force: true }) };
  };
  return { child, pid: child.pid, address, readyMs, stop };
}

/** A process with bare agents; `connected` settles when all of them have a session. */
export function startAgents(address, id, slots, agents = 1, tell = '') {
  const child = follow(fork(bareAgent, [address, id, String(slots), String(agents), tell]));
  let sessions = 0;
  const connected = new Promise((resolve) => {
    child.on('message', (message) => {
      if (message.connected !== undefined && ++sessions === agents) resolve();
    });
  });
  const stop = async () => {
    if (child.connected) child.disconnect();
    await exited(child);
  };
  return { child, connected, stop };
}

export function exited(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', resolve));
}

export async function until(condition, limitMs, what) {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(what);
    await wait(20);
  }
}

const TICKS_PER_SECOND = 100;

/** CPU seconds of a process so far, user and system. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident memory of a process, in KiB. */
export function residentKib(pid) {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

export function kernel() {
  return execFileSync('uname', ['-sr'], { encoding: 'utf8' }).trim();
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
