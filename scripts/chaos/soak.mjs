// `npm run chaos -- --soak MINUTES`: steady work on many agents of which one dies every few seconds, and a look at what
// the processes hold: memory, descriptors, the lag of their loops, the database. What grows without end shows as a slope.
import { fillCaches } from '../bench/processes.mjs';
import { monoMs } from './clock.mjs';
import { Figures } from './figures.mjs';
import { detections, Load } from './load.mjs';
import { Plain } from './plain.mjs';
import { Random } from './random.mjs';
import { shareOf } from './report.mjs';
import { Swarm } from './swarm.mjs';

export const SOAK_AGENTS = 200;
/** A tenth of them are real worker processes with real commands. */
const WORKER_SHARE = 0.1;
const SWARM_PROCESSES = 4;
const LEASE_MS = 15_000;
/** What this process and the coordinator's log may add to an upper bound on a busy machine. */
const SLACK_MS = 300;
const START_LIMIT_MS = 60_000;
const SETTLE_LIMIT_MS = 120_000;
const KILL_EVERY_MS = [1_500, 4_500];
const SAMPLE_EVERY_MS = 10_000;
const LOADS = [
  { queue: 'bench', command: ['true'], perSecond: 24 },
  { queue: 'default', command: ['true'], perSecond: 4 },
];

/** Resolves to the exit code. */
export async function soak({ agents, minutes, seed, signal }) {
  const workers = Array.from({ length: Math.ceil(agents * WORKER_SHARE) }, (_, at) => `worker-${at + 1}`);
  // The first worker is never killed: what it holds after all that time is looked at.
  const [spared] = workers;
  const plain = await Plain.make(signal, { workers, asked: ['coordinator', spared] });
  const bare = agents - workers.length;
  const swarm = new Swarm({ address: plain.address, slots: 2, runMs: [100, 3_000] }, bare, SWARM_PROCESSES);
  console.log(
    `A soak of ${minutes} minutes, seed ${seed}: ${workers.length} worker processes and ${bare} bare agents`,
  );
  try {
    await plain.raise();
    swarm.start();
    for (const worker of workers) plain.fleet.startAgent(worker);
    const areAll = async () => (await plain.client.agents.list({ states: ['healthy'] })).length === agents;
    if (!(await plain.until(areAll, START_LIMIT_MS))) throw new Error('not all agents have come');
    await fillCaches(plain.client);
    const work = plain.submitting(LOADS);
    const load = new Load(() => plain.fleet.coordinator.pid);
    const kills = new Kills(plain, swarm, workers, new Random(seed));
    const watched = { coordinator: plain.fleet.coordinator, [spared]: plain.fleet.agents.get(spared) };
    const figures = new Figures(watched, plain.database);
    const end = monoMs() + minutes * 60_000;
    await Promise.all([kills.until(end), sampling(plain, figures, end)]);
    await work.stop();
    load.close();
    const problems = [...(await judge(plain, kills, load)), ...figures.judge()];
    for (const problem of problems) console.log(`FAILED: ${problem}`);
    console.log(problems.length > 0 ? `0 passed, ${problems.length} failed` : '1 passed, 0 failed');
    return problems.length > 0 ? 1 : 0;
  } finally {
    await swarm.end();
    await plain.close();
  }
}

async function sampling(plain, figures, end) {
  while (monoMs() < end) {
    await figures.look();
    await plain.sleep(SAMPLE_EVERY_MS);
  }
}

/** Who was killed when, so that nobody else is failed. */
class Kills {
  byAgent = new Map();
  counts = { 'bare agents': 0, 'worker processes': 0, 'whole processes of bare agents': 0 };
  #plain;
  #swarm;
  #workers;
  #random;

  constructor(plain, swarm, [, ...workers], random) {
    this.#plain = plain;
    this.#swarm = swarm;
    this.#workers = workers;
    this.#random = random;
  }

  async until(end) {
    while (monoMs() < end) {
      await this.#plain.sleep(this.#random.between(...KILL_EVERY_MS));
      const drawn = this.#random.next();
      if (drawn < 0.6) this.#bare();
      else if (drawn < 0.97) await this.#worker();
      else await this.#group();
    }
  }

  #note(agentId) {
    this.byAgent.set(agentId, [...(this.byAgent.get(agentId) ?? []), monoMs()]);
  }

  #bare() {
    const agentId = this.#random.pick(this.#swarm.groups.flat());
    this.#note(agentId);
    this.#swarm.replace(agentId);
    this.counts['bare agents'] += 1;
  }

  async #worker() {
    const agentId = this.#random.pick(this.#workers);
    this.#note(agentId);
    await this.#plain.fleet.agents.get(agentId).kill();
    await this.#plain.sleep(this.#random.between(0, 1_000));
    this.#plain.fleet.startAgent(agentId);
    this.counts['worker processes'] += 1;
  }

  async #group() {
    const index = Math.floor(this.#random.next() * this.#swarm.groups.length);
    for (const agentId of this.#swarm.groups[index]) this.#note(agentId);
    await this.#swarm.killGroup(index);
    this.#swarm.startGroup(index);
    this.counts['whole processes of bare agents'] += 1;
  }
}

/** Only the killed were failed, each in time, and everything that was accepted has ended. */
async function judge(plain, kills, load) {
  const problems = [...plain.accidents];
  const { failures } = plain.fleet;
  for (const { agentId, at, silentMs } of failures) {
    const lastHeard = at - silentMs;
    const killed = (kills.byAgent.get(agentId) ?? []).some(
      (when) => when >= lastHeard - SLACK_MS && when <= at,
    );
    if (!killed) problems.push(`${agentId} was failed although nobody had killed it`);
    if (silentMs < LEASE_MS) problems.push(`${agentId} was failed after a silence of ${silentMs} ms`);
  }
  const told = detections({ failures, faults: [], leaseMs: LEASE_MS }, load);
  problems.push(...told.violations.map(({ what }) => what));
  const { ended, open } = await plain.settle(SETTLE_LIMIT_MS);
  const states = Object.entries(Object.groupBy(ended, ({ state }) => state)).map(
    ([state, of]) => `${of.length} ${state}`,
  );
  const words = Object.entries(kills.counts).map(([what, number]) => `${number} ${what}`);
  console.log(`\n  killed      ${words.join(', ')}`);
  console.log(`  tasks       ${states.join(', ')}; ${open} have not ended`);
  const silences = failures.map(({ silentMs }) => silentMs);
  const spread = [0, 0.5, 0.99, 1].map((share) => (silences.length > 0 ? shareOf(silences, share) : '–'));
  console.log(
    `  failed      ${failures.length} agents, after a silence of ${spread.join(' / ')} ms (min / p50 / p99 / max)`,
  );
  console.log(
    `  failed late ${told.excused.length} agents, while the coordinator had no CPU as long as that`,
  );
  if (open > 0) problems.push(`${open} tasks have not ended ${SETTLE_LIMIT_MS} ms after the last one`);
  for (const { taskId, state, reason, spec } of ended)
    if (state !== 'success' && reason !== 'poison' && spec.queue !== 'ballast')
      problems.push(`task ${taskId} is ${state} (${reason})`);
  return problems;
}
