// Everything of one run: folder, network, disk, processes, load, and the faults that were done to them.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../dist/client/index.js';
import { root } from '../tool.mjs';
import { monoMs, wallOffset } from './clock.mjs';
import { Fleet, SLOTS } from './fleet.mjs';
import { NamespaceNetwork, ProxyNetwork } from './network.mjs';
import { historyFileOf, Workload } from './workload.mjs';
import { boundToUs, mountSmallDisk, prepareNames, unmount } from './world.mjs';

export const HEARTBEAT_MS = 500;
const AGENTS = 5;
const DISK_MEGABYTES = 64;
const START_LIMIT_MS = 40_000;
/** What two shared cores may add to an upper bound: to the coordinator's turn, and to our reading of its log. */
const SLACK_MS = 300;

export class Site {
  heartbeatMs;
  leaseMs;
  slackMs = SLACK_MS;
  random;
  network;
  fleet;
  workload;
  /** Where the small disk is mounted; null where nothing may be mounted. */
  disk = null;
  faults = [];
  /** Processes that ended although nobody here wanted it to. */
  accidents = [];
  /** How long the agents took to be back after the last fault. */
  tookMs = 0;
  client = null;
  folder = mkdtempSync(join(tmpdir(), 'hf-chaos-'));
  #signal;
  #shape;
  /** The machine's wall clock is being steered: how far it was from ours, and when. */
  #offsets = [{ wall: Date.now(), offset: wallOffset() }];

  /** `shape`: how many agents, their heartbeat interval, and which built program they and the coordinator are. */
  constructor(world, random, signal, shape = {}) {
    this.random = random;
    const ours = { agents: AGENTS, heartbeatMs: HEARTBEAT_MS, program: join(root, 'dist/main/bin.js') };
    this.#shape = { ...ours, ...shape };
    this.heartbeatMs = this.#shape.heartbeatMs;
    this.leaseMs = 3 * this.heartbeatMs;
    this.#signal = signal;
    mkdirSync(join(this.folder, 'alive'));
    if (world.mount) {
      this.disk = join(this.folder, 'disk');
      mountSmallDisk(this.disk, DISK_MEGABYTES);
    }
    if (world.net) prepareNames();
  }

  async start(world) {
    const { agents, program } = this.#shape;
    const agentIds = Array.from({ length: agents }, (_, index) => `agent-${index + 1}`);
    const port = await freePort();
    this.network = world.net ? new NamespaceNetwork(agentIds, port) : new ProxyNetwork(agentIds, port);
    await this.network.open();
    const { folder, network, heartbeatMs } = this;
    const database = join(this.disk ?? folder, 'holdfast.db');
    const unwanted = (what) => this.#accident(what);
    const place = { folder, database, network, program, heartbeatMs, port, bound: boundToUs(), unwanted };
    this.fleet = new Fleet(place, agentIds);
    this.address = `127.0.0.1:${port}`;
    await this.startCoordinator();
    for (const agentId of agentIds) this.fleet.startAgent(agentId);
    if (!(await this.until(() => this.areHealthy(), START_LIMIT_MS)))
      throw new Error('the agents did not come up');
    this.workload = new Workload(this, this.random, folder);
  }

  #accident(what) {
    if (!this.#signal.aborted) this.accidents.push({ rule: 'process', at: monoMs(), what });
  }

  async startCoordinator() {
    this.fleet.startCoordinator();
    if (!(await this.until(() => this.fleet.isUp, START_LIMIT_MS)))
      throw new Error('the coordinator did not come up');
    // A client that was refused for a while waits long before it dials again: a new one does not.
    this.client?.close();
    this.client = connect(this.address, { timeoutMs: 5_000 });
  }

  /** Writes down a fault that begins now; its end is set when it is over. */
  fault(what) {
    const fault = {
      from: monoMs(),
      to: Number.POSITIVE_INFINITY,
      mustFail: false,
      spareMs: 0,
      mayNotFail: false,
      ...what,
    };
    this.faults.push(fault);
    this.#offsets.push({ wall: Date.now(), offset: wallOffset() });
    return fault;
  }

  async sleep(ms) {
    await sleep(ms, undefined, { signal: this.#signal });
  }

  /** Waits until it holds; false when it did not within the limit. */
  async until(condition, limitMs) {
    const end = monoMs() + limitMs;
    for (;;) {
      if (await condition()) return true;
      if (monoMs() >= end) return false;
      await this.sleep(40);
    }
  }

  async areHealthy() {
    try {
      const healthy = await this.client.agents.list({ states: ['healthy'] }, { timeoutMs: 2_000 });
      return healthy.length === this.fleet.agents.size;
    } catch {
      return false;
    }
  }

  /** What was stopped or cut goes on: for the end of a run, and for a round that broke off. */
  async mend() {
    for (const agentId of this.fleet.agents.keys()) this.network.heal(agentId);
    for (const member of this.fleet.members) if (member.stopped) member.cont();
    if (!this.fleet.coordinator.isAlive) await this.startCoordinator();
    for (const [agentId, member] of this.fleet.agents) if (!member.isAlive) this.fleet.startAgent(agentId);
  }

  /** Everything that was recorded, as the judge wants it. */
  async history() {
    const { workload, fleet } = this;
    const tasks = (await workload.collect()).map((task) => this.#plain(task));
    const accepted = [...workload.accepted].map(([key, { taskId }]) => ({ key, taskId }));
    const { heartbeatMs, leaseMs, slackMs, faults } = this;
    const lines = readLines(historyFileOf(this.folder));
    const told = { failures: fleet.failures, grants: fleet.grants, faults };
    return {
      heartbeatMs,
      leaseMs,
      slackMs,
      slots: SLOTS,
      lines,
      tasks,
      accepted,
      seen: workload.seen,
      ...told,
    };
  }

  /** A wall time of the API on the clock of everything else. */
  #atOf(date) {
    const wall = date.getTime();
    const sample = this.#offsets.findLast((each) => each.wall <= wall) ?? this.#offsets[0];
    return wall - sample.offset;
  }

  #plain({ taskId, spec, state, reason, result, history }) {
    const events = history.map((event) => ({
      at: this.#atOf(event.at),
      event: event.event,
      agentId: event.agentId,
      tryNumber: event.tryNumber,
      token: event.fencingToken,
      reason: event.reason,
    }));
    const text = Buffer.from(result).toString('utf8');
    const resultToken = text === '' ? null : BigInt(JSON.parse(text).token);
    const policy = spec.partitionPolicy;
    return { taskId, key: spec.idempotencyKey, policy, state, reason, resultToken, history: events };
  }

  /** Commands that are alive although everything has ended. */
  async leftovers() {
    const names = readdirSync(join(this.folder, 'alive'));
    const old = process.cwd();
    process.chdir(join(this.folder, 'alive'));
    const asked = names.map(isAnswered);
    // The calls are made by now: another site of this process may go to a folder of its own while they are answered.
    process.chdir(old);
    const answers = await Promise.all(asked);
    return names.filter((_, index) => answers[index]);
  }

  /** Ends what is left, and removes what was made. */
  async close() {
    this.client?.close();
    await this.fleet?.killAll();
    this.network?.close();
    if (this.disk !== null) unmount(this.disk);
    // Commands of an agent that was killed just now may write their last line while the folder goes.
    if (existsSync(this.folder))
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

function readLines(file) {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => {
    const { ns, execNs, token, beside = [], ...rest } = JSON.parse(line);
    const exec = execNs === undefined ? {} : { execAt: Number(BigInt(execNs)) / 1e6 };
    return {
      ...rest,
      ...exec,
      at: Number(BigInt(ns)) / 1e6,
      token: BigInt(token),
      beside: beside.map(BigInt),
    };
  });
}

function isAnswered(name) {
  return new Promise((resolve) => {
    const socket = dial(name);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
  });
}

/** The coordinator comes back on the port that it had, so it is chosen here. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  await new Promise((resolve) => server.close(resolve));
  return port;
}
