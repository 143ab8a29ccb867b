// What a task costs beside thousands that have nothing to do: agents, DAGs.
import { startFleet } from './agents.mjs';
import { dial } from './certificate.mjs';
import { besideIdleDags } from './dags.mjs';
import { median } from './figures.mjs';
import { checkStore } from './lifecycle.mjs';
import { cpuSeconds, startAgents, startCoordinator } from './processes.mjs';
import { bareTask, workThrough } from './work.mjs';

const ROUNDS = 3;

/**
 * `n` lifecycles through one agent with 100 slots, three times after a first one that is not counted: alone, beside `agents` idle
 * agents, beside `dags` DAGs with nothing due. Heartbeats of idle agents are no cost of the work: what the coordinator takes for
 * them without it is taken off.
 */
export async function crowd({ agents, dags, n, watchMs }) {
  const alone = await lifecycles(n, watchMs);
  const besideAgents = await lifecycles(n, watchMs, { agents });
  const besideDags = await besideIdleDags(dags, (database) => lifecycles(n, watchMs, { database }));
  return {
    ...{
      cpuMicrosPerTask: alone,
      besideAgentsMicrosPerTask: besideAgents,
      agentsRatio: besideAgents / alone,
    },
    ...{ besideDagsMicrosPerTask: besideDags, dagsRatio: besideDags / alone },
  };
}

/**
 * CPU of a coordinator for each of `n` tasks, in microseconds: the median of the rounds.
 *
 * @param {number} n
 * @param {number} watchMs
 * @param {{ agents?: number, database?: string }} [beside]
 */
async function lifecycles(n, watchMs, beside = {}) {
  const { agents = 0, database } = beside;
  const coordinator = await startCoordinator('5s', [], false, { database });
  const client = dial(coordinator.address);
  const fleet = await startFleet(coordinator.address, agents);
  fleet.go();
  await fleet.reach(agents);
  const workers = startAgents(coordinator.address, 'bench', 100);
  await workers.connected;
  await workThrough(client, n, bareTask);
  const idle = await cpuWhile(coordinator, () => new Promise((resolve) => setTimeout(resolve, watchMs)));
  const idleShare = (1_000 * idle.cpuS) / idle.ms;
  const costs = [];
  for (let round = 0; round < ROUNDS; round++) {
    const work = await cpuWhile(coordinator, () => workThrough(client, n, bareTask));
    costs.push((1e6 * (work.cpuS - (idleShare * work.ms) / 1_000)) / n);
  }
  client.close();
  await workers.stop();
  await fleet.stop();
  await checkStore(coordinator, n * (ROUNDS + 1));
  return median(costs);
}

async function cpuWhile({ pid }, work) {
  const [begin, before] = [performance.now(), cpuSeconds(pid)];
  await work();
  return { cpuS: cpuSeconds(pid) - before, ms: performance.now() - begin };
}
