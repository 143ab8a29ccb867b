// Full durable lifecycles: submit, offer, start request, permit, report, acknowledge, with synchronous=FULL.
import { connect } from '../../dist/client/index.js';
import { openSqliteStore } from '../../dist/store/sqlite/open.js';
import { cpuSeconds, startAgents, startCoordinator, until } from './processes.mjs';

const BATCH = 250;
const SUBMITS_AT_ONCE = 8;

/** One round: `n` tasks through `agents` bare agents with `slots` each. Throws when the store disagrees afterwards. */
export async function lifecycleRound(n, agents, slots) {
  const coordinator = await startCoordinator();
  const workers = startAgents(coordinator.address, 'bench', slots, agents);
  await workers.connected;
  const client = connect(coordinator.address);
  const cpuBefore = cpuSeconds(coordinator.pid);
  const begin = performance.now();
  await submitAll(client, n);
  const submitted = performance.now();
  await until(() => allEnded(client), 120_000, 'tasks did not end');
  const end = performance.now();
  const cpu = cpuSeconds(coordinator.pid) - cpuBefore;
  const { counters } = await client.coordinator();
  client.close();
  await workers.stop();
  await checkStore(coordinator, n);
  return {
    submitsPerS: n / ((submitted - begin) / 1000),
    lifecyclesPerS: n / ((end - begin) / 1000),
    cpuMicrosPerTask: (cpu / n) * 1e6,
    tasksPerCommit: n / Number(counters.commits),
    permits: Number(counters.permits),
  };
}

async function submitAll(client, n) {
  const underWay = new Set();
  for (let i = 0; i < n; i += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, n - i) }, () => ({
      queue: 'bench',
      command: ['true'],
    }));
    const call = client.tasks.submit(batch).then(() => underWay.delete(call));
    underWay.add(call);
    if (underWay.size >= SUBMITS_AT_ONCE) await Promise.race(underWay);
  }
  await Promise.all(underWay);
}

async function allEnded(client) {
  for await (const _ of client.tasks.list({ states: ['queued', 'running', 'up_for_retry'] }, { limit: 1 }))
    return false;
  return true;
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
