// Lifecycles on disks that take their time for each sync: what is left of the pace, and whether any agent notices.
import { connect } from '../../dist/client/index.js';
import { startAgents, startCoordinator } from './processes.mjs';
import { workThrough } from './work.mjs';

const AGENTS = 20;
const SLOTS = 20;
/** Commits of the slowest disk take a fifth of it. */
const HEARTBEAT = '1s';
const preload = import.meta.resolve('./slow-sync.mjs');

/** `n` tasks at each of these times for a sync, in milliseconds. Throws when a lease was lost, or a task was started twice. */
export async function slowDisks(n, syncs = [0, 20, 200]) {
  const figures = {};
  for (const syncMs of syncs) {
    const round = await onDisk(n, syncMs);
    for (const [name, value] of Object.entries(round)) figures[`${name}At${syncMs}ms`] = value;
  }
  return figures;
}

async function onDisk(n, syncMs) {
  process.env.BENCH_SYNC_MS = String(syncMs);
  const coordinator = await startCoordinator(HEARTBEAT, ['--import', preload]);
  delete process.env.BENCH_SYNC_MS;
  const agents = startAgents(coordinator.address, 'bench', SLOTS, AGENTS);
  await agents.connected;
  const client = connect(coordinator.address);
  try {
    const before = (await client.coordinator()).counters;
    const { lifecyclesPerS } = await workThrough(client, n, () => ({ queue: 'bench', command: ['true'] }));
    const { counters } = await client.coordinator();
    if (agents.sessions() !== AGENTS) throw new Error(`${agents.sessions() - AGENTS} leases were lost`);
    const permits = Number(counters.permits - before.permits);
    if (permits !== n) throw new Error(`${permits} permits for ${n} tasks`);
    const commits = Number(counters.commits - before.commits);
    return { lifecyclesPerS, tasksPutPerCommit: Number(counters.tasksPut - before.tasksPut) / commits };
  } finally {
    client.close();
    await agents.stop();
    (await coordinator.stop()).remove();
  }
}
