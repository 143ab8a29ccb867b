// A whole site at once: a thousand agents die by kill -9 in the middle of their work, until all of it has begun elsewhere.
import { dial } from './certificate.mjs';
import { median } from './figures.mjs';
import { startAgents, startCoordinator, until } from './processes.mjs';
import { bareTask, submitAll } from './work.mjs';

const [H_MS, L_MS] = [1_000, 3_000];
const PROCESSES = 2;
const LIMIT_MS = 60_000;

/**
 * `agents` agents, each with one task that never ends, die at once; one agent that is there already has room for all of their work. The storm
 * brake is off: by default it would hold the work back for a lease.
 */
export async function siteLoss(agents, rounds) {
  const told = [];
  for (let round = 0; round < rounds; round++) told.push(await lossOf(agents));
  const of = (name) => told.map((one) => one[name]);
  return {
    ...{ agents, leaseMs: L_MS, rounds },
    ...{ firstStartMs: median(of('firstStartMs')), lastStartMs: median(of('lastStartMs')) },
    lastStartWorstMs: Math.max(...of('lastStartMs')),
  };
}

async function lossOf(agents) {
  const flags = ['--storm-brake', 'false'];
  const coordinator = await startCoordinator(`${H_MS}ms`, [], false, { flags });
  const client = dial(coordinator.address);
  const starts = new Map();
  const follow = (agent) =>
    agent.child.on('message', ({ started, agentId }) => {
      if (started) starts.set(started, { agentId, at: performance.now() });
    });
  const work = { tell: 'starts', runMs: null };
  const doomed = Array.from({ length: PROCESSES }, (_, i) =>
    startAgents(coordinator.address, `doomed-${i}`, 1, agents / PROCESSES, work),
  );
  doomed.forEach(follow);
  await Promise.all(doomed.map(({ connected }) => connected));
  await submitAll(client, agents, () => ({ ...bareTask(), retries: 0 }));
  await until(() => starts.size === agents, LIMIT_MS, 'tasks did not start');
  const rescue = startAgents(coordinator.address, 'rescue', agents, 1, work);
  follow(rescue);
  await rescue.connected;
  const at = performance.now();
  for (const { child } of doomed) child.kill('SIGKILL');
  const moved = () => [...starts.values()].filter(({ agentId }) => agentId === 'rescue');
  await until(() => moved().length === agents, LIMIT_MS, 'tasks did not start elsewhere');
  const after = moved().map((start) => start.at - at);
  client.close();
  rescue.child.kill('SIGKILL');
  (await coordinator.stop()).remove();
  return { firstStartMs: Math.min(...after), lastStartMs: Math.max(...after) };
}
