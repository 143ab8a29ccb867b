// Connected agents that have nothing to do: what they cost the coordinator, and how fast they are back when it comes back.
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { dial } from './certificate.mjs';
import { percentile } from './figures.mjs';
import { ask, cpuSeconds, exited, residentKib, startAgents, startCoordinator } from './processes.mjs';

/** More of them in one process would wait for one another. */
const AGENTS_A_PROCESS = 2_500;
/**
 * Round trips are those of so many agents in a process of their own. One with thousands of them stops for a tenth of a second
 * whenever it collects its garbage, and that would be measured instead of the coordinator.
 */
const TIMED_AGENTS = 250;
const H_MS = 5_000;
/** Of a queue that nobody submits to. */
const IDLE = { queue: 'idle', waits: true };
const HERD_LIMIT_MS = 180_000;
const probe = import.meta.resolve('./probe.mjs');
/** By default a hundred a second may come back; what is measured here is how many could. */
const UNPACED = ['--recovery-per-second', '100000'];
/** Its memory is read after a collection of garbage, so that it is memory that agents hold. */
const WATCHED = ['--expose-gc', '--import', probe];

/** `agents` idle agents at the default interval, watched for `seconds`; then the coordinator is killed and started again. */
export async function idleAgents(agents, seconds) {
  const coordinator = await startCoordinator('5s', WATCHED, false, { channel: true });
  const client = dial(coordinator.address);
  const empty = await memory(coordinator);
  const fleet = await startFleet(coordinator.address, agents);
  const begin = performance.now();
  fleet.go();
  await fleet.reach(agents);
  const connectMs = performance.now() - begin;
  // A round of heartbeats first: what connecting has left behind is no idling.
  await wait(H_MS);
  await ask(coordinator.child);
  await fleet.rtts();
  const before = (await client.coordinator()).counters;
  const cpuBefore = cpuSeconds(coordinator.pid);
  await wait(seconds * 1000);
  const cpu = cpuSeconds(coordinator.pid) - cpuBefore;
  const after = (await client.coordinator()).counters;
  const rtts = await fleet.rtts();
  const { lagMs } = await ask(coordinator.child);
  const full = await memory(coordinator);
  client.close();
  const herd = await herdReturns(coordinator, fleet, agents);
  await fleet.stop();
  const since = (name) => Number(after[name]) - Number(before[name]);
  return {
    acceptedPerS: agents / (connectMs / 1000),
    kbPerAgent: (full.residentKib - empty.residentKib) / agents,
    heapKbPerAgent: (full.heapKib - empty.heapKib) / agents,
    residentMib: full.residentKib / 1_024,
    cpuPercent: (cpu / seconds) * 100,
    ...{ heartbeats: since('heartbeats'), commits: since('commits') },
    cpuMicrosPerHeartbeat: (1e6 * cpu) / since('heartbeats'),
    ...{ rttP50Ms: percentile(rtts, 0.5), rttP99Ms: percentile(rtts, 0.99) },
    ...{ loopLagP99Ms: lagMs.p99, loopLagLongestMs: lagMs.longest },
    ...herd,
  };
}

async function memory({ child, pid }) {
  const { heapBytes } = await ask(child);
  return { heapKib: heapBytes / 1_024, residentKib: residentKib(pid) };
}

/** Idle agents of no queue that is used, in as many processes as they need; they dial at `go()`. */
export async function startFleet(address, agents) {
  const timed = startAgents(address, 'timed', 4, Math.min(TIMED_AGENTS, agents), { ...IDLE, tell: 'rtts' });
  const processes = [timed];
  for (let from = TIMED_AGENTS; from < agents; from += AGENTS_A_PROCESS) {
    const count = Math.min(AGENTS_A_PROCESS, agents - from);
    processes.push(startAgents(address, `idle-${from}`, 4, count, IDLE));
  }
  await Promise.all(processes.map(({ loaded }) => loaded()));
  const sum = () => processes.reduce((total, { sessions }) => total + sessions(), 0);
  const fresh = () => processes.reduce((total, one) => total + one.fresh(), 0);
  const rtts = () =>
    new Promise((resolve) => {
      const listen = (told) => {
        if (told.rtts === undefined) return;
        timed.child.off('message', listen);
        resolve(told.rtts);
      };
      timed.child.on('message', listen);
      timed.child.send('rtts');
    });
  return {
    go: () => processes.forEach(({ go }) => void go()),
    sessions: sum,
    fresh,
    /** Until all of them together were told of so many sessions. */
    reach: async (count) => {
      const end = performance.now() + HERD_LIMIT_MS;
      for (; sum() < count; await wait(10))
        if (performance.now() > end) throw new Error(`${sum()} of ${count} sessions`);
    },
    rtts,
    stop: () => Promise.all(processes.map((one) => one.stop())),
  };
}

/** kill -9 of the coordinator, and a new one on its database and port at once: until every agent has its session again. */
async function herdReturns(coordinator, fleet, agents) {
  const before = fleet.sessions();
  const freshBefore = fleet.fresh();
  const { database } = coordinator;
  coordinator.child.kill('SIGKILL');
  await exited(coordinator.child);
  const begin = performance.now();
  const port = Number(coordinator.address.split(':').at(-1));
  const next = await startCoordinator('5s', [], false, { database, port, flags: UNPACED });
  const upMs = performance.now() - begin;
  await fleet.reach(before + agents);
  const herdBackMs = performance.now() - begin;
  const sessionsLost = fleet.fresh() - freshBefore;
  (await next.stop()).remove();
  rmSync(dirname(database), { recursive: true, force: true });
  return { herdBackMs, herdBackPerS: (1_000 * agents) / (herdBackMs - upMs), herdSessionsLost: sessionsLost };
}
