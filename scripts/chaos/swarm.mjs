// Many bare agents over real gRPC, in a few processes: as many connections, sessions and leases as a large fleet has.
import { fork } from 'node:child_process';
import { once } from 'node:events';

const program = new URL('./swarm-process.mjs', import.meta.url);

export class Swarm {
  /** The newest session that each agent told of, new or kept: { at, epoch }. */
  sessions = new Map();
  /** For each process: the names of its agents. */
  groups;
  #options;
  #children = [];

  /** `options`: address, slots, runMs [least, most]. */
  constructor(options, agents, processes) {
    this.#options = options;
    const names = Array.from({ length: agents }, (_, index) => `bare-${index + 1}`);
    this.groups = Array.from({ length: processes }, (_, index) =>
      names.filter((_name, at) => at % processes === index),
    );
  }

  start() {
    for (const index of this.groups.keys()) this.startGroup(index);
  }

  startGroup(index) {
    const child = fork(program, [JSON.stringify({ ...this.#options, agentIds: this.groups[index] })]);
    child.on('message', (/** @type {any} */ told) => this.sessions.set(told.agentId, told));
    this.#children[index] = child;
  }

  async killGroup(index) {
    const child = this.#children[index];
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** One agent dies as by kill -9, and is started again at once, without its state. */
  replace(agentId) {
    const index = this.groups.findIndex((names) => names.includes(agentId));
    this.#children[index].send(agentId);
  }

  async end() {
    await Promise.all(this.#children.map((_, index) => this.killGroup(index)));
  }
}
