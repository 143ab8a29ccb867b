// `npm run chaos -- --herd`: a thousand agents lose the coordinator at one moment, and all must have their own sessions
// again within ten seconds of its return, with no agent failed and no run lost: nothing happened to any of them.
import { monoMs } from './clock.mjs';
import { Plain } from './plain.mjs';
import { shareOf } from './report.mjs';
import { Swarm } from './swarm.mjs';

export const HERD_AGENTS = 1_000;
const AGENTS_A_PROCESS = 250;
const BACK_LIMIT_MS = 10_000;
const GIVEN_UP_MS = 60_000;
const LEASE_MS = 15_000;
/** How long the coordinator is gone: not at all, as long as back-off grows, longer than a lease. */
const OUTAGES_MS = [0, 6_000, 20_000];
const TASKS_A_SECOND = 40;

/** Resolves to the exit code. */
export async function herd({ agents, rounds, signal }) {
  const plain = await Plain.make(signal);
  const processes = Math.ceil(agents / AGENTS_A_PROCESS);
  const swarm = new Swarm({ address: plain.address, slots: 4, runMs: [200, 4_000] }, agents, processes);
  console.log(`A herd of ${agents} agents in ${processes} processes, default intervals (L = ${LEASE_MS} ms)`);
  try {
    await plain.raise();
    swarm.start();
    const began = monoMs();
    if (!(await plain.until(() => swarm.sessions.size === agents, GIVEN_UP_MS)))
      throw new Error(`only ${swarm.sessions.size} of ${agents} agents have come`);
    console.log(`  all connected ${Math.round(monoMs() - began)} ms after their start`);
    const load = plain.submitting([{ queue: 'bench', command: ['true'], perSecond: TASKS_A_SECOND }]);
    const problems = [];
    for (const outageMs of OUTAGES_MS.slice(0, rounds))
      problems.push(...(await outage(plain, swarm, outageMs)));
    // Who was heard once more and then no longer would be failed only now.
    await plain.sleep(LEASE_MS + 1_000);
    await load.stop();
    problems.push(...(await judgeWork(plain)));
    return conclude(problems, Math.min(rounds, OUTAGES_MS.length) + 2);
  } finally {
    await swarm.end();
    await plain.close();
  }
}

async function outage(plain, swarm, outageMs) {
  await plain.sleep(3_000);
  const before = new Map([...swarm.sessions].map(([agentId, { epoch }]) => [agentId, epoch]));
  const goneAt = monoMs();
  await plain.fleet.coordinator.kill();
  await plain.sleep(outageMs);
  await plain.raise();
  const backAt = monoMs();
  const isBack = () => [...swarm.sessions.values()].every(({ at }) => at > goneAt);
  const all = await plain.until(isBack, GIVEN_UP_MS);
  const took = [...swarm.sessions.values()].map(({ at }) => Math.max(at - backAt, 0));
  const longest = Math.round(Math.max(...took));
  const figures = [0.5, 0.99].map((share) => shareOf(took, share)).join(' / ');
  const downMs = Math.round(backAt - goneAt);
  console.log(`  gone for ${downMs} ms: all back ${longest} ms after its return (p50 / p99 ${figures} ms)`);
  const problems = [];
  if (!all) problems.push(`not all agents came back within ${GIVEN_UP_MS} ms`);
  if (longest > BACK_LIMIT_MS)
    problems.push(`the last agent was back after ${longest} ms, the limit is ${BACK_LIMIT_MS} ms`);
  const replaced = [...swarm.sessions].filter(([agentId, { epoch }]) => before.get(agentId) !== epoch);
  if (replaced.length > 0)
    problems.push(`${replaced.length} agents lost their session, ${replaced[0][0]} first`);
  return problems;
}

/** Nobody failed, and every task has ended well on its first try: an outage of ours costs nobody anything (P7). */
async function judgeWork(plain) {
  const problems = [...plain.accidents];
  const failures = plain.fleet.failures;
  problems.push(
    ...failures.map(({ agentId, silentMs }) => `${agentId} was failed, silent for ${silentMs} ms`),
  );
  const { ended, open } = await plain.settle(30_000);
  const bad = ended.filter(({ state, tryNumber }) => state !== 'success' || tryNumber !== 1);
  console.log(`  ${ended.length} tasks ended; agents failed: ${failures.length}; tries lost: ${bad.length}`);
  for (const { taskId, state, reason, tryNumber } of bad)
    problems.push(`task ${taskId} is ${state} (${reason}), try ${tryNumber}`);
  if (open > 0) problems.push(`${open} tasks have not ended`);
  if (ended.length === 0) problems.push('no task has run');
  return problems;
}

function conclude(problems, checks) {
  const MOST_TOLD = 10;
  for (const problem of problems.slice(0, MOST_TOLD)) console.log(`FAILED: ${problem}`);
  const failed = Math.min(problems.length, checks);
  console.log(`${checks - failed} passed, ${failed} failed`);
  return failed > 0 ? 1 : 0;
}
