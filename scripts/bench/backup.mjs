// A backup of a large database while agents are connected and work goes on: what their heartbeats notice of it.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '../../dist/client/index.js';
import { percentile } from './figures.mjs';
import { heartbeats, lateBeats } from './flood.mjs';
import { startAgents, startCoordinator } from './processes.mjs';
import { fill } from './retention.mjs';

/** The shortest that there is, so that a copy of seconds meets many. */
const H_MS = 100;
const AGENTS = 20;
const LEAST_MS = 1_000;
const probe = import.meta.resolve('./heartbeats.mjs');

/** A database with `n` finished tasks is copied beside 200 lifecycles a second; before it, the same without a copy. */
export async function backupBesideWork(n) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const database = join(folder, 'holdfast.db');
  try {
    await fill(database, n);
    const flags = ['--retention-count', '1000000000'];
    const coordinator = await startCoordinator(`${H_MS}ms`, ['--import', probe], false, {
      ...{ database, flags, channel: true },
    });
    const workers = startAgents(coordinator.address, 'working', 20);
    // Heartbeats with reports come early; these agents have nothing to report.
    const idle = startAgents(coordinator.address, 'idle', 1, AGENTS, { queue: 'idle' });
    await Promise.all([workers.connected, idle.connected]);
    const client = connect(coordinator.address);
    const quiet = await watched(coordinator, client, () => wait(5_000));
    const { times, ...copied } = await watched(coordinator, client, () => copies(client, folder));
    client.close();
    await Promise.all([workers.stop(), idle.stop()]);
    (await coordinator.stop()).remove();
    return {
      databaseMiB: statSync(join(folder, 'copy-1.db')).size / 2 ** 20,
      backupMs: percentile(times, 0.5),
      copies: times.length,
      ...{ lateP99Ms: copied.p99, latestMs: copied.latest, beats: copied.beats },
      ...{ lateP99QuietMs: quiet.p99, latestQuietMs: quiet.latest },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Copies one after another for a second at least, so that heartbeats fall within them however small the database is. */
async function copies(client, folder) {
  const begin = performance.now();
  const times = [];
  while (times.length === 0 || performance.now() - begin < LEAST_MS) {
    const start = performance.now();
    await client.backUp(join(folder, `copy-${times.length + 1}.db`));
    times.push(performance.now() - start);
  }
  return times;
}

/** How late heartbeats came while `act` went on beside the work. */
async function watched({ child }, client, act) {
  let over = false;
  const work = (async () => {
    while (!over) {
      await client.tasks.submit(Array.from({ length: 10 }, () => ({ queue: 'bench', command: ['true'] })));
      await wait(50);
    }
  })();
  await heartbeats(child);
  const times = await act();
  const idle = (await heartbeats(child)).filter(([agentId]) => agentId.startsWith('idle'));
  const late = idle.flatMap(([, beats]) => lateBeats(beats, H_MS));
  over = true;
  await work;
  return { times, beats: late.length, p99: percentile(late, 0.99), latest: Math.max(...late) };
}
