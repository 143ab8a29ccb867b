// The processes of a bench: the real coordinator from the built bin, bare agents, and what the kernel says of them.
import { fork, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

export const bin = new URL('../../dist/main/bin.js', import.meta.url).pathname;
const bareAgent = new URL('./bare-agent.mjs', import.meta.url).pathname;
const ANSWER_LIMIT_MS = 30_000;
const CONNECT_LIMIT_MS = 60_000;
const started = new Set();

/**
 * Node options of a process that answers what only it can know (see probe.mjs); it needs a channel, too. The heap's young
 * generation has its full size from the start: left alone it doubles again and again under load, and looks like a leak.
 */
export const PROBE = [
  '--expose-gc',
  '--min-semi-space-size=16',
  '--max-semi-space-size=16',
  '--import',
  import.meta.resolve('./probe.mjs'),
];

/**
 * Tasks that nobody will run, cancelled again. Large ones fill the page cache of the database (32 MiB), which would else
 * grow with the work and look like a leak as well; small ones then take their place among the specs in memory.
 */
export async function fillCaches(client) {
  const large = { BALLAST: 'x'.repeat(20_000) };
  for (let batch = 0; batch < 100; batch++) await addBallast(client, 20, large);
  for (let batch = 0; batch < 20; batch++) await addBallast(client, 250, {});
}

async function addBallast(client, count, env) {
  const tasks = Array.from({ length: count }, () => ({ queue: 'ballast', command: ['true'], env }));
  const told = await client.tasks.submit(tasks);
  await Promise.all(told.map(({ taskId }) => client.tasks.cancel(taskId, 'ballast')));
}

/** What a process with a probe says of itself: { heapBytes, lagMs }, after a collection of its garbage. */
export function ask(child) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('a probe did not answer')), ANSWER_LIMIT_MS);
    child.once('message', (told) => {
      clearTimeout(timer);
      resolve(told);
    });
    child.send('measure');
  });
}

/** Ends what is still running, by pid; nothing else is ever touched. */
export function endAll() {
  for (const child of started) child.kill('SIGKILL');
}

export function follow(child) {
  started.add(child);
  child.once('exit', () => started.delete(child));
  return child;
}

/**
 * A coordinator on a fresh database, or on `choice.database`; `directory` is removed by `stop`. With a `probe` it can be
 * asked (see ask); `choice.channel`: one for a probe of the caller's own; `choice.port`: where its agents look for it.
 */
export async function startCoordinator(heartbeat = '5s', nodeOptions = [], probe = false, choice = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const database = choice.database ?? join(directory, 'holdfast.db');
  const addressFile = join(directory, 'address.json');
  const port = String(choice.port ?? 0);
  const args = ['server', 'start', '--port', port, '--db-file', database, '--address-file', addressFile];
  const options = ['--heartbeat-interval', heartbeat, '--log-level', 'error', ...(choice.flags ?? [])];
  const startedAt = performance.now();
  const stdio = ['ignore', 'ignore', 'inherit', ...(probe || choice.channel ? ['ipc'] : [])];
  const all = [...nodeOptions, ...(probe ? PROBE : []), bin, ...args, ...options];
  const child = follow(spawn(process.execPath, all, { stdio: /** @type {any} */ (stdio) }));
  await until(() => existsSync(addressFile), CONNECT_LIMIT_MS, 'the coordinator did not come up');
  const readyMs = performance.now() - startedAt;
  const address = JSON.parse(readFileSync(addressFile, 'utf8')).grpc;
  const stop = async () => {
    child.kill('SIGTERM');
    await exited(child);
    return { database, remove: () => rmSync(directory, { recursive: true, force: true }) };
  };
  return { child, pid: child.pid, address, database, readyMs, stop };
}

/**
 * A process with bare agents; `connected` settles when all of them have a session, `sessions` says how many sessions they
 * were told of, new and kept, `fresh` how many of those were new. `choice`: their `queue`; `tell`, 'starts' or 'rtts' (see bare-agent.mjs); `runMs`, how long
 * a task takes, null for ever; with `waits` they dial only at `go()`, when their program has long been loaded.
 */
export function startAgents(address, id, slots, agents = 1, choice = {}) {
  const child = follow(fork(bareAgent, [JSON.stringify({ address, id, slots, agents, ...choice })]));
  let [sessions, fresh, isLoaded] = [0, 0, false];
  child.on('message', (message) => {
    if (message.connected !== undefined) sessions++;
    if (message.isNew) fresh++;
    if (message.loaded) isLoaded = true;
  });
  const reach = (count, limitMs = CONNECT_LIMIT_MS) =>
    until(() => sessions >= count, limitMs, 'the agents did not connect');
  const stop = async () => {
    if (child.connected) child.disconnect();
    await exited(child);
  };
  return {
    /** They say goodbye first, so that nobody takes them for failed. */
    leave: async () => {
      child.send('leave');
      await exited(child);
    },
    ...{ child, stop, reach, sessions: () => sessions, fresh: () => fresh },
    loaded: () => until(() => isLoaded, CONNECT_LIMIT_MS, 'the agents were not loaded'),
    go: () => child.send('go'),
    /** When told to wait, they are not connected before `go`. */
    connected: choice.waits ? Promise.resolve() : reach(agents),
  };
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
