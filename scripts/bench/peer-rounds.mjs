// One round of a peer: its server is there already, its two processes (who submits, who works) are made for the round.
import { fork, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { median, percentile } from './figures.mjs';
import { WARM_UP_S } from './pace.mjs';
import { exited, follow } from './processes.mjs';
import { findPostgres, findRedis, startPostgres, startRedis } from './servers.mjs';

const folder = join(import.meta.dirname, 'peers');
const program = join(folder, 'child.mjs');
const LIMIT_MS = 300_000;

/** What is missing for peers, with how to get it; empty when nothing is. */
export function missing() {
  const lacks = [];
  if (findRedis() === null) lacks.push('redis-server (Debian: apt-get install redis-server): no BullMQ');
  if (findPostgres() === null)
    lacks.push('PostgreSQL (Debian: apt-get install postgresql): no graphile-worker, no pg-boss');
  return lacks;
}

/** Installs the peers' packages where they are not yet; false, with a word of what to do, when that fails. */
export function installPeers() {
  if (existsSync(join(folder, 'node_modules/.package-lock.json'))) return true;
  console.log(`\ninstalling the peers' packages into ${folder} (npm ci), once`);
  // Nothing of them needs its install script: msgpackr-extract only makes msgpackr faster where it can be compiled.
  const how = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', how, { cwd: folder, stdio: 'inherit', timeout: LIMIT_MS });
  if (status === 0) return true;
  console.log(`npm ci failed in ${folder}: no peers; run it there by hand to see why`);
  return false;
}

/** The servers that are installed, all of them running; a side's `server` names one. */
export async function startServers() {
  const servers = {};
  if (findRedis() !== null) {
    for (const sync of ['always', 'everysec']) servers[sync] = await startRedis(sync);
  }
  if (findPostgres() !== null) servers.postgres = await startPostgres();
  const stop = () => Promise.all(Object.values(servers).map((one) => one.stop()));
  return { servers, stop };
}

/** `n` tasks wait, and are drained. Throws when one of them ran twice. */
export async function peerDrain(server, side, n) {
  return await withPeer(server, side, async (submitter, startWorker) => {
    const { ms: submitMs } = await tell(submitter, 'submit', { n });
    const { ms, twice } = await tell(await startWorker(), 'drain', { n });
    if (twice > 0) throw new Error(`${side.adapter} ran ${twice} of ${n} tasks twice`);
    return { drainPerS: (1_000 * n) / ms, submitsPerS: (1_000 * n) / submitMs };
  });
}

/** `perSecond` tasks a second for `seconds`; null figures when a peer cannot keep up. */
export async function peerLatency(server, side, { perSecond, seconds }) {
  return await withPeer(server, side, async (submitter, startWorker) => {
    const worker = await startWorker();
    await tell(worker, 'work');
    const all = perSecond * (seconds + WARM_UP_S);
    await tell(submitter, 'pace', { perSecond, seconds: seconds + WARM_UP_S });
    const { waits } = await tell(worker, 'waits', { n: all });
    if (waits.length < all) throw new Error(`${side.adapter} started ${waits.length} of ${all} tasks`);
    const counted = waits.filter(([n]) => n >= perSecond * WARM_UP_S).map(([, ms]) => ms);
    return { p50Ms: median(counted), p99Ms: percentile(counted, 0.99) };
  });
}

/** A fresh database (or an empty Redis) for the round, and the processes in it. */
async function withPeer(server, { adapter, tuned = false }, act) {
  const name = 'bench';
  server.psql?.(`CREATE DATABASE ${name}`);
  const url = server.psql ? server.url(name) : server.url;
  const children = [];
  const start = async () => {
    const settings = { adapter, url, tuned, concurrency: 100 };
    const child = follow(fork(program, [JSON.stringify(settings)], { cwd: folder }));
    children.push(child);
    await answer(child);
    return child;
  };
  try {
    const submitter = await start();
    await tell(submitter, 'prepare');
    return await act(submitter, start);
  } finally {
    for (const child of children) {
      await tell(child, 'close').catch(() => child.kill('SIGKILL'));
      await exited(child);
    }
    server.psql?.(`DROP DATABASE ${name} WITH (FORCE)`);
    server.psql?.('CHECKPOINT');
  }
}

function tell(child, act, details = {}) {
  const answered = answer(child);
  child.send({ act, ...details });
  return answered;
}

function answer(child) {
  return new Promise((resolve, reject) => {
    const over = () => reject(new Error('a process of a peer has died'));
    const timer = setTimeout(() => reject(new Error('a process of a peer did not answer')), LIMIT_MS);
    child.once('exit', over);
    child.once('message', ({ done, failed }) => {
      clearTimeout(timer);
      child.off('exit', over);
      if (failed === undefined) resolve(done);
      else reject(new Error(failed));
    });
  });
}
