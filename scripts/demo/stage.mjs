// The stage: a coordinator, its agents in processes of their own (those that may be cut off behind a proxy each), a client,
// and everybody who listens to them.
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from '../../dist/client/index.js';
import { root } from '../tool.mjs';
import { Footprints } from './footprints.mjs';
import { Processes } from './processes.mjs';
import { openProxy } from './proxy.mjs';
import {
  isFailure,
  isLateReport,
  progressOf,
  wordsOfAgent,
  wordsOfCoordinator,
  wordsOfHistory,
} from './story.mjs';
import { Work } from './work.mjs';

export const HEARTBEAT_MS = 1_000;
const SLOTS = 5;
const START_LIMIT_MS = 30_000;
/** More than an agent gives its runner to end (10 s): it sees to one that hangs by itself. */
const STOP_LIMIT_MS = 15_000;

const bin = join(root, 'dist/main/bin.js');
const handlers = fileURLToPath(import.meta.resolve('./handlers.mjs'));
const bundles = ['examples/weather/dags', 'scripts/demo/dags'];

/** Either triggerer may be the one that waits for something when its moment comes. */
const BEHIND_PROXIES = ['worker-3', 'triggerer-1', 'triggerer-2'];

/** Waits until `condition` holds; false when it did not within the limit. */
export async function waitUntil(condition, limitMs, signal) {
  const until = performance.now() + limitMs;
  for (;;) {
    signal.throwIfAborted();
    if (await condition()) return true;
    if (performance.now() >= until) return false;
    await sleep(20);
  }
}

export class Stage {
  processes;
  story;
  signal;
  client = null;
  work = null;
  /** By agent. */
  proxies = new Map();
  coordinator = null;
  /** Agents by name; an agent that was started again has its newest process here. */
  agents = new Map();
  footprints;
  /** The folder of DAG files that the DAG processor reads. */
  bundle;
  /** Log entries of the coordinator and of the agents, by name. */
  logs = new Map();
  #folder;

  /** `ending` is aborted when the demo is to end early: by Ctrl-C, by a fault, or because it takes too long. */
  constructor(folder, story, ending) {
    this.#folder = folder;
    this.story = story;
    this.signal = ending.signal;
    const footprintsFile = join(folder, 'footprints');
    const env = { DEMO_FOOTPRINTS: footprintsFile };
    this.processes = new Processes(folder, env, (error) => ending.abort(error));
    this.footprints = new Footprints(footprintsFile);
    this.bundle = join(folder, 'dags');
    this.charts = join(folder, 'charts');
    mkdirSync(this.bundle);
    for (const dags of bundles) cpSync(join(root, dags), this.bundle, { recursive: true });
  }

  async startCoordinator() {
    const addressFile = join(this.#folder, 'address.json');
    const args = ['server', 'start', '--port', '0', '--address-file', addressFile];
    const data = ['--db-file', join(this.#folder, 'demo.db'), '--heartbeat-interval', `${HEARTBEAT_MS}ms`];
    this.coordinator = this.#start('coordinator', [...args, ...data], wordsOfCoordinator);
    await this.comes('the coordinator', () => existsSync(addressFile));
    const address = JSON.parse(readFileSync(addressFile, 'utf8')).grpc;
    this.client = connect(address);
    for (const name of BEHIND_PROXIES) this.proxies.set(name, await openProxy(address));
    this.work = new Work(this.client, (entry, fresh, earlier) => {
      for (const [text, tone] of wordsOfHistory(entry, fresh, earlier))
        this.story.tell(entry.name, text, tone);
      const progress = progressOf(this.work, entry, fresh);
      if (progress !== null) this.story.tell('demo', progress);
    });
    const pid = this.coordinator.pid;
    this.story.tell(
      'demo',
      `coordinator started: pid ${pid}, gRPC on ${address}, heartbeats every ${HEARTBEAT_MS} ms`,
      'act',
    );
  }

  async startAgents() {
    for (const name of ['worker-1', 'worker-2', 'worker-3']) {
      const place = name === 'worker-3' ? ['--label', 'site=shore'] : [];
      this.#startAgent(name, 'worker', ['--slots', String(SLOTS), '--handlers', handlers, ...place]);
    }
    for (const name of ['triggerer-1', 'triggerer-2']) this.#startAgent(name, 'triggerer', []);
    this.startProcessor();
    const pids = [...this.agents].map(([name, { pid }]) => `${name} (pid ${pid})`);
    this.story.tell('demo', `agents started: ${pids.slice(0, 3).join(', ')}`, 'act');
    this.story.tell(
      'demo',
      `${pids.slice(3).join(', ')}; worker-3 and the triggerers dial through proxies`,
      'act',
    );
    await this.comes('the agents', () => this.allHealthy());
  }

  /** Whether every agent that was started, and not stopped since, is heard. */
  async allHealthy() {
    const agents = await this.client.agents.list({ states: ['healthy'] });
    for (const { agentId, instanceId } of agents) this.agents.get(agentId).instanceId = instanceId;
    const awaited = [...this.agents.values()].filter(({ wanted }) => !wanted);
    return agents.length === awaited.length;
  }

  startProcessor() {
    this.#startAgent('processor', 'dag-processor', ['--bundle', this.bundle]);
  }

  #startAgent(name, kind, more) {
    const { address } = this.proxies.get(name) ?? this.client;
    const place = ['--coordinator', address, '--agent-id', name, '--state-dir', join(this.#folder, name)];
    this.agents.set(
      name,
      this.#start(name, ['agent', 'start', '--kind', kind, ...place, ...more], wordsOfAgent),
    );
  }

  #start(name, args, wordsOf) {
    const log = this.logs.get(name) ?? [];
    this.logs.set(name, log);
    return this.processes.start(name, [bin, ...args, '--log-format', 'json'], (entry) => {
      log.push(entry);
      const words = wordsOf(entry, this.work);
      if (words !== null) this.story.tell(name, ...words);
      this.#readAgain(entry);
    });
  }

  /** A watch tells of changed states; these entries speak of events that leave a task's state as it was. */
  #readAgain(entry) {
    // Nothing depends on it here: the runs are watched, and their tasks read once more at the end.
    if (isFailure(entry)) this.work.refreshAll().catch(() => {});
    if (isLateReport(entry)) this.work.refresh(entry.taskId).catch(() => {});
  }

  async comes(who, condition) {
    if (await waitUntil(condition, START_LIMIT_MS, this.signal)) return;
    throw new Error(`${who} did not come up within ${START_LIMIT_MS} ms`);
  }

  /** The first entry of a log about an event; undefined while there is none. */
  entryOf(name, event) {
    return this.logs.get(name).find((entry) => entry.event === event);
  }

  /** The coordinator's entry about the failure of an agent; undefined while there is none. */
  failureOf(agentId) {
    return this.logs.get('coordinator').find((entry) => entry.agentId === agentId && isFailure(entry));
  }

  /** Ends an agent as its operator would; true if it drained and ended well. */
  async stopAgent(name) {
    return await this.#stop(name, this.agents.get(name));
  }

  /** Ends what is left as its operator would, the coordinator last; true if all of it drained and ended well. */
  async stop(names) {
    const well = await Promise.all(names.map((name) => this.stopAgent(name)));
    this.client.close();
    well.push(await this.#stop('coordinator', this.coordinator));
    return well.every(Boolean);
  }

  async #stop(name, started) {
    const code = await this.processes.stop(started, STOP_LIMIT_MS);
    if (code === null) this.story.tell(name, `did not end within ${STOP_LIMIT_MS} ms and was killed`, 'bad');
    else if (code !== 0) this.story.tell(name, `ended with exit code ${code}`, 'bad');
    return code === 0;
  }

  /** Ends what is left at once. */
  async close() {
    this.client?.close();
    for (const proxy of this.proxies.values()) proxy.close();
    await this.processes.killAll();
  }
}
