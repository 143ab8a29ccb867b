// Connected agents that have nothing to do: what they cost the coordinator.
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '../../dist/client/index.js';
import { cpuSeconds, residentKib, startAgents, startCoordinator } from './processes.mjs';

/** `agents` idle agents at the default interval, watched for `seconds`. */
export async function idleAgents(agents, seconds) {
  const coordinator = await startCoordinator();
  const client = connect(coordinator.address);
  await client.coordinator();
  const emptyKib = residentKib(coordinator.pid);
  const begin = performance.now();
  const workers = startAgents(coordinator.address, 'idle', 4, agents);
  await workers.connected;
  const connectMs = performance.now() - begin;
  await wait(6_000);
  const before = await client.coordinator();
  const cpuBefore = cpuSeconds(coordinator.pid);
  await wait(seconds * 1000);
  const cpu = cpuSeconds(coordinator.pid) - cpuBefore;
  const after = await client.coordinator();
  const fullKib = residentKib(coordinator.pid);
  client.close();
  await workers.stop();
  (await coordinator.stop()).remove();
  return {
    acceptedPerS: agents / (connectMs / 1000),
    cpuPercent: (cpu / seconds) * 100,
    kibPerAgent: (fullKib - emptyKib) / agents,
    heartbeats: Number(after.counters.heartbeats) - Number(before.counters.heartbeats),
    commits: Number(after.counters.commits) - Number(before.counters.commits),
  };
}
