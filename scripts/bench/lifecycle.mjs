// Full durable lifecycles: submit, offer, start request, permit, report, acknowledge, with synchronous=FULL.
import { connect } from '../../dist/client/index.js';
import { openSqliteStore } from '../../dist/store/sqlite/open.js';
import { cpuSeconds, startAgents, startCoordinator } from './processes.mjs';
import { workThrough } from './work.mjs';

/** One round: `n` tasks through `agents` bare agents with `slots` each. Throws when the store disagrees afterwards. */
export async function lifecycleRound(n, agents, slots) {
  const coordinator = await startCoordinator();
  const workers = startAgents(coordinator.address, 'bench', slots, agents);
  await workers.connected;
  const client = connect(coordinator.address);
  const cpuBefore = cpuSeconds(coordinator.pid);
  const speeds = await workThrough(client, n, () => ({ queue: 'bench', command: ['true'] }));
  const cpu = cpuSeconds(coordinator.pid) - cpuBefore;
  const { counters } = await client.coordinator();
  client.close();
  await workers.stop();
  await checkStore(coordinator, n);
  return {
    ...speeds,
    cpuMicrosPerTask: (cpu / n) * 1e6,
    tasksPerCommit: n / Number(counters.commits),
    permits: Number(counters.permits),
  };
}

/** The file is opened again: every task is done, none twice. */
async function checkStore(coordinator, n) {
  const { database, remove } = await coordinator.stop();
  const store = openSqliteStore({ file: database });
  const counts = await store.countTasks();
  const { counters } = await store.load();
  await store.close();
  remove();
  if (counts.success !== n) throw new Error(`${counts.success} of ${n} tasks succeeded`);
  if (counters.token !== BigInt(n)) throw new Error(`${counters.token} permits for ${n} tasks`);
}
