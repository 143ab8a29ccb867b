// What a task costs while others wait behind it, few or a million of them.
import { connect } from '../../dist/client/index.js';
import { median } from './figures.mjs';
import { checkStore, drain, LASTING } from './lifecycle.mjs';
import { residentKib, startAgents, startCoordinator } from './processes.mjs';
import { bareTask, submitAll } from './work.mjs';

/** So many are done of each backlog, in as many turns as that takes: the cost of one is the same thing then. */
const DONE = 20_000;

/** `waiting` tasks wait; one agent with 100 slots comes and does up to 20,000 of them. */
export async function backlogRound(waiting) {
  const coordinator = await startCoordinator('5s', [], false, { flags: LASTING });
  const client = connect(coordinator.address);
  const turns = Math.min(10, Math.max(1, Math.round(DONE / waiting)));
  const n = Math.min(DONE, waiting);
  const rounds = [];
  let submitMs = 0;
  for (let turn = 0; turn < turns; turn++) {
    const begin = performance.now();
    await submitAll(client, waiting, bareTask);
    submitMs += performance.now() - begin;
    const left = waiting - n;
    const workers = startAgents(coordinator.address, `bench-${turn}`, 100, 1, { waits: true });
    rounds.push(await drain(coordinator, client, workers, n, left));
    await workers.stop();
  }
  const residentMib = residentKib(coordinator.pid) / 1_024;
  client.close();
  await checkStore(coordinator, n * turns, waiting - n);
  return {
    drainPerS: median(rounds.map(({ perS }) => perS)),
    drainCpuMicrosPerTask: rounds.reduce((sum, one) => sum + one.cpuMicrosPerTask, 0) / turns,
    submitsPerS: (1_000 * waiting * turns) / submitMs,
    residentMib,
  };
}
