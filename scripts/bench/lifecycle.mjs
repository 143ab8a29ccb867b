// Full durable lifecycles: submit, offer, start request, permit, report, acknowledge, with synchronous=FULL.
import { dial } from './certificate.mjs';
import { cpuSeconds, residentKib, startAgents, startCoordinator } from './processes.mjs';
import { onSqlite } from './stores.mjs';
import { allReported, bareTask, submitAll, workThrough } from './work.mjs';

/**
 * One round on a fresh database: `n` tasks wait and are drained by agents that come then, which is what is compared with
 * others; then `n` more while the agents are there. Throws when the store disagrees afterwards.
 */
export async function lifecycleRound(shape) {
  return await round(shape, 2 * shape.n, (coordinator, client) => worked(coordinator, client, shape.n));
}

/** The first half of it alone. */
export async function drainRound(shape) {
  return await round(shape, shape.n, async () => ({}));
}

async function round({ n, agents, slots, kind = onSqlite }, tasks, andThen) {
  const place = kind.fresh();
  const coordinator = await startCoordinator('5s', [], false, { flags: place.flags });
  const client = dial(coordinator.address);
  const begin = performance.now();
  await submitAll(client, n, bareTask);
  const submitsPerS = (1_000 * n) / (performance.now() - begin);
  const { workers, ...drained } = await drain(coordinator, client, { n, agents, slots, id: 'bench' });
  const more = await andThen(coordinator, client);
  client.close();
  await workers.stop();
  await checkStore(coordinator, tasks, 0, place);
  return { drainPerS: drained.perS, submitsPerS, drainCpuMicrosPerTask: drained.cpuMicrosPerTask, ...more };
}

async function worked(coordinator, client, n) {
  const before = (await client.coordinator()).counters;
  const cpuBefore = cpuSeconds(coordinator.pid);
  const { lifecyclesPerS } = await workThrough(client, n, bareTask);
  const cpu = cpuSeconds(coordinator.pid) - cpuBefore;
  const { counters } = await client.coordinator();
  const since = (name) => Number(counters[name]) - Number(before[name]);
  const residentMib = residentKib(coordinator.pid) / 1_024;
  return {
    ...{ lifecyclesPerS, cpuMicrosPerTask: (cpu / n) * 1e6 },
    ...{
      commitsPer1000: (1_000 * since('commits')) / n,
      tasksPutPerCommit: since('tasksPut') / since('commits'),
    },
    ...{ messagesPerTask: since('heartbeats') / n },
    // Of the agents: what each of their messages asks for and tells of.
    recordsPerMessage: (since('permits') + since('reports')) / since('heartbeats'),
    residentMib,
  };
}

/** Agents come, and do `n` of the tasks that wait: from their first dial to the last report. */
export async function drain(coordinator, client, { n, agents, slots, id, left = 0 }) {
  const workers = startAgents(coordinator.address, id, slots, agents, { waits: true });
  await workers.loaded();
  const before = Number((await client.coordinator()).counters.reports);
  const cpuBefore = cpuSeconds(coordinator.pid);
  const begin = performance.now();
  workers.go();
  await allReported(client, before + n, left > 0);
  const seconds = (performance.now() - begin) / 1_000;
  const done = Number((await client.coordinator()).counters.reports) - before;
  const cpu = cpuSeconds(coordinator.pid) - cpuBefore;
  return { workers, perS: done / seconds, cpuMicrosPerTask: (cpu / done) * 1e6 };
}

/** The store is opened again: every task that ended is done, none twice; `left` still wait. */
export async function checkStore(coordinator, n, left = 0, place = onSqlite.fresh()) {
  const { database, remove } = await coordinator.stop();
  const store = await place.open(database);
  const counts = await store.countTasks();
  const { counters } = await store.load();
  await store.close();
  remove();
  place.end();
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (all !== n + left) throw new Error(`${all} of ${n + left} tasks are there`);
  if ((counts.success ?? 0) < n) throw new Error(`${counts.success} of ${n} tasks succeeded`);
  const begun = (counts.success ?? 0) + (counts.running ?? 0);
  if (left === 0 && counters.token !== BigInt(n)) throw new Error(`${counters.token} permits for ${n} tasks`);
  if (left > 0 && counters.token < BigInt(begun))
    throw new Error(`${counters.token} permits for ${begun} starts`);
}
