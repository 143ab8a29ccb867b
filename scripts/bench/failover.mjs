// Death by kill -9: of one of ten agents, of all of them, of the coordinator. When it is seen, when the work has begun
// elsewhere, when everything is back.
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { connect } from '../../dist/client/index.js';
import { percentile, spread } from './figures.mjs';
import { exited, startAgents, startCoordinator, until } from './processes.mjs';
import { bareTask } from './work.mjs';

const H_MS = 1_000;
const L_MS = 3 * H_MS;
const AGENTS = 10;
/** Twice what runs: whoever is left has room for it. */
const [TASKS, SLOTS] = [20, 8];
const LIMIT_MS = 60_000;

/**
 * `sites` coordinators at once, each with ten agents in processes of their own, whose tasks never end by themselves; in each
 * one agent after another is killed (`rounds` times), then all of them, then the coordinator. L is 3 s.
 */
export async function failover({ sites, rounds, harsh }) {
  const told = await Promise.all(Array.from({ length: sites }, () => siteRounds(rounds, harsh)));
  const all = (kind, name) => told.flatMap((site) => site[kind].flatMap((round) => round[name]));
  const row = (title, values) => [
    title,
    percentile(values, 0.5),
    percentile(values, 0.99),
    spread(values).max,
    values.length,
  ];
  const one = all('one', 'sinceLastHeartbeatMs');
  return {
    figures: {
      leaseMs: L_MS,
      detectMs: percentile(one, 0.5),
      detectSinceKillMs: percentile(all('one', 'detectMs'), 0.5),
      ...{
        reassignedLastMs: spread(all('one', 'lastMs')).max,
        allReassignedLastMs: spread(all('all', 'lastMs')).max,
      },
      ...{ coordinatorBackLastMs: spread(all('coordinator', 'backMs')).max, rounds: one.length },
    },
    rows: [
      row('one of ten agents: failed, since its last heartbeat', one),
      row('one of ten agents: failed, since the kill', all('one', 'detectMs')),
      row('one of ten agents: a task of it has begun elsewhere', all('one', 'startedMs')),
      row('one of ten agents: the last of its tasks has', all('one', 'lastMs')),
      row('all agents, ten new ones come at once: the last is failed', all('all', 'detectMs')),
      row('all agents: a task has begun on a new one', all('all', 'startedMs')),
      row('all agents: the last task has', all('all', 'lastMs')),
      row('the coordinator, started again at once: it accepts calls', all('coordinator', 'upMs')),
      row('the coordinator: the last agent has its session again', all('coordinator', 'backMs')),
      row('the coordinator: a task submitted then has started', all('coordinator', 'firstStartMs')),
    ],
  };
}

async function siteRounds(rounds, harsh) {
  const site = new Site();
  await site.start();
  try {
    const told = { one: [], all: [], coordinator: [] };
    for (let i = 0; i < rounds; i++) told.one.push(await site.killOne());
    for (let i = 0; i < harsh; i++) told.all.push(await site.killAll());
    for (let i = 0; i < harsh; i++) told.coordinator.push(await site.killCoordinator());
    return told;
  } finally {
    await site.stop();
  }
}

class Site {
  #coordinator;
  #client;
  #port;
  #named = 0;
  /** By their ids, with their processes. */
  #agents = new Map();
  /** Where each task has begun, and when, by performance.now() of this process. */
  #starts = new Map();
  /** The first of its coordinators made it, none of the later ones removes it. */
  #folder;

  async start() {
    await this.#startCoordinator({});
    this.#folder = dirname(this.#coordinator.database);
    await this.#addAgents(AGENTS);
    await this.#client.tasks.submit(Array.from({ length: TASKS }, lastingTask));
    await until(() => this.#starts.size === TASKS, LIMIT_MS, 'tasks did not start');
  }

  async killOne() {
    const [doomed] = [...this.#starts.values()].map(({ agentId }) => agentId);
    const at = this.#kill(doomed);
    const { leaseRemainingMs } = (await this.#client.agents.describe(doomed)).agent;
    const lastHeartbeat = performance.now() - (L_MS - leaseRemainingMs);
    const failedAt = await this.#failed([doomed]);
    const starts = await this.#reassigned(at, [doomed]);
    await this.#addAgents(1);
    return { sinceLastHeartbeatMs: failedAt - lastHeartbeat, detectMs: failedAt - at, ...starts };
  }

  async killAll() {
    const doomed = [...this.#agents.keys()];
    // Loaded before: ten programs that begin at once would keep the machine, and their coordinator with it, busy for a second.
    const fresh = this.#newAgents(AGENTS);
    await Promise.all(fresh.map(({ loaded }) => loaded()));
    const [at] = doomed.map((id) => this.#kill(id));
    const arrived = Promise.all(fresh.map((agent) => arrival(agent)));
    const detectMs = (await this.#failed(doomed)) - at;
    const starts = await this.#reassigned(at, doomed);
    await arrived;
    return { detectMs, ...starts };
  }

  async killCoordinator() {
    const { child, database } = this.#coordinator;
    const before = this.#sessions();
    const at = performance.now();
    child.kill('SIGKILL');
    await exited(child);
    this.#client.close();
    await this.#startCoordinator({ database, port: this.#port });
    const upMs = performance.now() - at;
    const started = this.#starts.size;
    await this.#client.tasks.submit([lastingTask()]);
    await until(() => this.#starts.size > started, LIMIT_MS, 'a new task did not start');
    const firstStartMs = performance.now() - at;
    await until(() => this.#sessions() >= before + this.#agents.size, LIMIT_MS, 'agents did not come back');
    const backMs = performance.now() - at;
    const failed = (await this.#client.agents.list()).filter(
      ({ agentId, state }) => this.#agents.has(agentId) && state !== 'healthy',
    );
    if (failed.length > 0) throw new Error(`${failed.length} agents lost their lease with the coordinator`);
    return { upMs, firstStartMs, backMs };
  }

  async stop() {
    for (const { child } of this.#agents.values()) child.kill('SIGKILL');
    this.#client.close();
    (await this.#coordinator.stop()).remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #startCoordinator(choice) {
    // The brake holds the work of agents that died together for a lease, by default; it is not what is measured here.
    const flags = ['--storm-brake', 'false', '--poison-limit', '1000'];
    this.#coordinator = await startCoordinator(`${H_MS}ms`, [], false, { ...choice, flags });
    this.#port = Number(this.#coordinator.address.split(':').at(-1));
    this.#client = connect(this.#coordinator.address);
  }

  async #addAgents(count) {
    await Promise.all(this.#newAgents(count).map(async (agent) => arrival(agent)));
  }

  /** They dial when they are told to. */
  #newAgents(count) {
    return Array.from({ length: count }, () => {
      const id = `agent-${++this.#named}`;
      const choice = { tell: 'starts', runMs: null, waits: true };
      const agent = startAgents(this.#coordinator.address, id, SLOTS, 1, choice);
      agent.child.on('message', ({ started }) => {
        if (started) this.#starts.set(started, { agentId: id, at: performance.now() });
      });
      this.#agents.set(id, agent);
      return agent;
    });
  }

  #kill(id) {
    this.#agents.get(id).child.kill('SIGKILL');
    this.#agents.delete(id);
    return performance.now();
  }

  /** When the last of these agents was seen to be failed. */
  async #failed(ids) {
    const isFailed = async () => {
      const agents = await this.#client.agents.list();
      const states = new Map(agents.map(({ agentId, state }) => [agentId, state]));
      return ids.every((id) => states.get(id) === 'failed');
    };
    await until(isFailed, LIMIT_MS, 'agents were not failed');
    return performance.now();
  }

  /** When the work of these agents has begun elsewhere, each task and the last of them, since `at`. */
  async #reassigned(at, ids) {
    const lost = [...this.#starts]
      .filter(([, { agentId }]) => ids.includes(agentId))
      .map(([taskId]) => taskId);
    // Those that began elsewhere before this was asked are among them as well.
    const moved = () => [...this.#starts.values()].filter((start) => start.at > at);
    await until(
      () => lost.every((id) => !ids.includes(this.#starts.get(id).agentId)),
      LIMIT_MS,
      'no other agent took over',
    );
    const startedMs = moved().map((start) => start.at - at);
    return { startedMs, lastMs: Math.max(...startedMs) };
  }

  #sessions() {
    return [...this.#agents.values()].reduce((sum, { sessions }) => sum + sessions(), 0);
  }
}

/** Settles when it has its session. */
async function arrival(agent) {
  await agent.loaded();
  agent.go();
  await agent.reach(1);
}

const lastingTask = () => ({ ...bareTask(), retries: 0 });
