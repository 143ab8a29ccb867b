// Full durable lifecycles: submit, offer, start request, permit, report, acknowledge, with synchronous=FULL.
import { dial } from './certificate.mjs';
import { cpuSeconds, residentKib, startAgents, startCoordinator } from './processes.mjs';
import { onSqlite } from './stores.mjs';
import { allReported, bareTask, submitAll, workThrough } from './work.mjs';

/** Nothing is removed beside the work, and nothing has waited for too long when a million were submitted slowly. */
export const LASTING = ['--retention-count', '1000000000', '--queued-timeout', '12h'];

/**
 * A coordinator that stands through all rounds of its side, as the servers of its peers do; it has worked through `warmUp`
 * tasks before the first. `tasks` counts what it was given: its store is held to that when it is closed.
 */
async function openSite({ agents, slots, warmUp, kind = onSqlite }) {
  const place = kind.fresh();
  const coordinator = await startCoordinator('5s', [], false, { flags: [...LASTING, ...place.flags] });
  const site = { agents, slots, coordinator, client: dial(coordinator.address), place, tasks: 0, rounds: 0 };
  await drainRound(site, warmUp);
  return site;
}

/** Opens a site for each of `wanted`, and closes them when `act` is done. Throws when a store disagrees then. */
export async function withSites(wanted, act) {
  const sites = {};
  for (const [name, how] of Object.entries(wanted)) sites[name] = await openSite(how);
  const told = await act(sites);
  for (const { coordinator, client, tasks, place } of Object.values(sites)) {
    client.close();
    await checkStore(coordinator, tasks, 0, place);
  }
  return told;
}

/** Agents of a site's shape for one round; they leave with a goodbye, so that the next round meets no failed ones. */
export function newAgents({ coordinator, agents, slots, rounds }, choice) {
  return startAgents(coordinator.address, `bench-${rounds}`, slots, agents, choice);
}

/** `n` tasks wait and are drained by agents that come then, which is what is compared with others. */
export async function drainRound(site, n) {
  return await round(site, n, async () => ({}));
}

/** The same, then `n` more while the agents are there. */
export async function lifecycleRound(site, n) {
  return await round(site, n, () => worked(site, n));
}

async function round(site, n, andThen) {
  const { coordinator, client, place } = site;
  const begin = performance.now();
  await submitAll(client, n, bareTask);
  const submitsPerS = (1_000 * n) / (performance.now() - begin);
  const workers = newAgents(site, { waits: true });
  site.rounds++;
  const drained = await drain(coordinator, client, workers, n);
  site.tasks += n;
  const more = await andThen();
  await workers.leave();
  place.rest();
  return { drainPerS: drained.perS, submitsPerS, drainCpuMicrosPerTask: drained.cpuMicrosPerTask, ...more };
}

async function worked(site, n) {
  const { coordinator, client } = site;
  const before = (await client.coordinator()).counters;
  const cpuBefore = cpuSeconds(coordinator.pid);
  const { lifecyclesPerS } = await workThrough(client, n, bareTask);
  site.tasks += n;
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

/** Agents that wait dial now, and do `n` of the tasks that wait: from their first dial to the last report. */
export async function drain(coordinator, client, workers, n, left = 0) {
  await workers.loaded();
  const before = Number((await client.coordinator()).counters.reports);
  const cpuBefore = cpuSeconds(coordinator.pid);
  const begin = performance.now();
  workers.go();
  await allReported(client, before + n, left > 0);
  const seconds = (performance.now() - begin) / 1_000;
  const done = Number((await client.coordinator()).counters.reports) - before;
  const cpu = cpuSeconds(coordinator.pid) - cpuBefore;
  return { perS: done / seconds, cpuMicrosPerTask: (cpu / done) * 1e6 };
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
