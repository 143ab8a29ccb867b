// The stage: a coordinator, three workers (the third behind the proxy), a client, and everybody who listens to them.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../dist/client/index.js';
import { root } from '../tool.mjs';
import { Footprints } from './footprints.mjs';
import { Processes } from './processes.mjs';
import { openProxy } from './proxy.mjs';
import {
  isFailure,
  isLateReport,
  progressOf,
  wordsOfCoordinator,
  wordsOfHistory,
  wordsOfWorker,
} from './story.mjs';
import { Tasks } from './tasks.mjs';

export const HEARTBEAT_MS = 500;
const SLOTS = 5;
const START_LIMIT_MS = 10_000;
const STOP_LIMIT_MS = 5_000;

const bin = join(root, 'dist/main/bin.js');

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
  tasks = null;
  proxy = null;
  coordinator = null;
  workers = new Map();
  footprints;
  /** Log entries of the coordinator and of the workers, by name. */
  logs = new Map();
  #folder;

  /** `ending` is aborted when the demo is to end early: by Ctrl-C, by a fault, or because it takes too long. */
  constructor(folder, story, ending) {
    this.#folder = folder;
    this.story = story;
    this.signal = ending.signal;
    this.processes = new Processes(folder, (error) => ending.abort(error));
    this.footprints = new Footprints(join(folder, 'footprints'));
  }

  async startCoordinator() {
    const addressFile = join(this.#folder, 'address.json');
    const args = ['server', 'start', '--port', '0', '--address-file', addressFile];
    const data = ['--db-file', join(this.#folder, 'demo.db'), '--heartbeat-interval', `${HEARTBEAT_MS}ms`];
    this.coordinator = this.#start('coordinator', [...args, ...data], wordsOfCoordinator);
    await this.#come('the coordinator', () => existsSync(addressFile));
    const address = JSON.parse(readFileSync(addressFile, 'utf8')).grpc;
    this.client = connect(address);
    this.proxy = await openProxy(address);
    this.tasks = new Tasks(this.client, join(this.#folder, 'footprints'), (entry, fresh, earlier) => {
      for (const [text, tone] of wordsOfHistory(entry, fresh, earlier))
        this.story.tell(entry.question.name, text, tone);
      const progress = progressOf(this.tasks, entry, fresh);
      if (progress !== null) this.story.tell('demo', progress);
    });
    const pid = this.coordinator.pid;
    this.story.tell(
      'demo',
      `coordinator started: pid ${pid}, gRPC on ${address}, heartbeats every ${HEARTBEAT_MS} ms`,
      'act',
    );
  }

  async startWorkers() {
    this.#startWorker('worker-1', this.client.address, []);
    this.#startWorker('worker-2', this.client.address, []);
    this.#startWorker('worker-3', this.proxy.address, ['--label', 'site=shore']);
    const pids = [...this.workers].map(([name, { pid }]) => `${name} (pid ${pid})`).join(', ');
    this.story.tell(
      'demo',
      `workers started, ${SLOTS} slots each: ${pids}; worker-3 dials through a proxy`,
      'act',
    );
    const healthy = async () => {
      const agents = await this.client.agents.list({ states: ['healthy'] });
      for (const { agentId, instanceId } of agents) this.workers.get(agentId).instanceId = instanceId;
      return agents.length === this.workers.size;
    };
    await this.#come('the workers', healthy);
  }

  #startWorker(name, coordinator, more) {
    const state = ['--state-dir', join(this.#folder, name)];
    const place = [
      '--coordinator',
      coordinator,
      '--agent-id',
      name,
      '--queue',
      'weather',
      '--slots',
      String(SLOTS),
    ];
    const args = ['agent', 'start', '--kind', 'worker', ...place, ...state, ...more];
    this.workers.set(name, this.#start(name, args, wordsOfWorker));
  }

  #start(name, args, wordsOf) {
    this.logs.set(name, []);
    return this.processes.start(name, [bin, ...args, '--log-format', 'json'], (entry) => {
      this.logs.get(name).push(entry);
      const words = wordsOf(entry, this.tasks);
      if (words !== null) this.story.tell(name, ...words);
      this.#readAgain(entry);
    });
  }

  /** A watch tells of changed states; these entries speak of events that leave a task's state as it was. */
  #readAgain(entry) {
    // Nothing depends on it here: the tasks are watched, and read once more at the end.
    if (isFailure(entry)) this.tasks.refreshAll().catch(() => {});
    if (isLateReport(entry)) this.tasks.refresh(entry.taskId).catch(() => {});
  }

  async #come(who, condition) {
    if (await waitUntil(condition, START_LIMIT_MS, this.signal)) return;
    throw new Error(`${who} did not come up within ${START_LIMIT_MS} ms`);
  }

  /** The coordinator's entry about the failure of an agent; undefined while there is none. */
  failureOf(agentId) {
    return this.logs.get('coordinator').find((entry) => entry.agentId === agentId && isFailure(entry));
  }

  /** Ends what is left as its operator would, the coordinator last; true if all of it drained and ended well. */
  async stop(workerNames) {
    const workers = workerNames.map((name) => this.workers.get(name));
    const codes = await Promise.all(workers.map((worker) => this.processes.stop(worker, STOP_LIMIT_MS)));
    this.client.close();
    codes.push(await this.processes.stop(this.coordinator, STOP_LIMIT_MS));
    return codes.every((code) => code === 0);
  }

  /** Ends what is left at once. */
  async close() {
    this.client?.close();
    this.proxy?.close();
    await this.processes.killAll();
  }
}
