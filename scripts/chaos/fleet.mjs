// The coordinator and its agents: real processes of the built program, the signals they get, and what their logs say.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROBE } from '../bench/processes.mjs';
import { monoMs } from './clock.mjs';

const TAIL_LINES = 12;
export const SLOTS = 4;

/** One process after another under one name. */
class Member {
  name;
  child = null;
  /** Log entries with `at`, on the clock of the stubs, and the pid of the process that wrote them. */
  log = [];
  tail = [];
  stopped = false;
  #exit = Promise.resolve([null, null]);
  #unwanted;

  constructor(name, unwanted) {
    this.name = name;
    this.#unwanted = unwanted;
  }

  /** With `asked`, the process has a channel for questions (see bench/probe.mjs). */
  start(command, folder, asked = false) {
    const env = withoutSettings(folder);
    const child = spawn(command[0], command.slice(1), {
      cwd: folder,
      env,
      stdio: /** @type {any} */ (['ignore', 'ignore', 'pipe', ...(asked ? ['ipc'] : [])]),
    });
    this.child = Object.assign(child, { wanted: false });
    const started = this.child;
    this.#exit = once(child, 'exit');
    const told = (how) => started.wanted || this.#unwanted(`${this.name} ended by itself: ${how}`);
    this.#exit.then(([code, signal]) => told(signal ?? `exit code ${code}`), told);
    createInterface({ input: child.stderr }).on('line', (line) => this.#hear(line, child.pid));
  }

  #hear(line, pid) {
    this.tail.push(line);
    if (this.tail.length > TAIL_LINES) this.tail.shift();
    try {
      this.log.push({ ...JSON.parse(line), at: monoMs(), pid });
    } catch {
      // Not a line of the log.
    }
  }

  get pid() {
    return this.child?.pid ?? 0;
  }

  get isAlive() {
    return this.child !== null && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** kill -9; resolves when the process is gone. */
  async kill() {
    if (!this.isAlive) return;
    this.child.wanted = true;
    this.stopped = false;
    this.child.kill('SIGKILL');
    await this.#exit;
  }

  stop() {
    this.stopped = true;
    this.child.kill('SIGSTOP');
  }

  cont() {
    this.stopped = false;
    this.child.kill('SIGCONT');
  }

  /** As an operator ends it; its exit code, or null when it had to be killed. */
  async end(limitMs) {
    this.child.wanted = true;
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), limitMs);
    const [code] = await this.#exit;
    clearTimeout(timer);
    return code;
  }
}

/** Everything that is started here; ended by its own handles only. */
export class Fleet {
  coordinator;
  agents = new Map();
  #world;
  #fresh = 0;

  /**
   * `world`: folder, database, network, program, heartbeatMs (undefined: the default), port, bound (goes before every
   * command), unwanted (told of a process that ended by itself); asked: names of processes that bear a probe.
   */
  constructor(world, agentIds) {
    this.#world = world;
    this.coordinator = new Member('coordinator', world.unwanted);
    for (const agentId of agentIds) {
      const member = Object.assign(new Member(agentId, world.unwanted), { stateDirectory: '' });
      this.agents.set(agentId, member);
    }
  }

  startCoordinator() {
    const { folder, database, network, program, heartbeatMs, port, bound } = this.#world;
    const addressFile = join(folder, 'address.json');
    rmSync(addressFile, { force: true });
    const place = ['--host', network.host, '--allow-plaintext', '--port', String(port)];
    const files = ['--db-file', database, '--address-file', addressFile];
    const interval = heartbeatMs === undefined ? [] : ['--heartbeat-interval', `${heartbeatMs}ms`];
    const more = [...interval, '--log-format', 'json'];
    const command = [
      ...this.#node(this.coordinator),
      program,
      'server',
      'start',
      ...place,
      ...files,
      ...more,
    ];
    this.coordinator.start([...bound, ...command], folder, this.#isAsked(this.coordinator));
  }

  #isAsked({ name }) {
    return this.#world.asked?.includes(name) ?? false;
  }

  #node(member) {
    return [process.execPath, ...(this.#isAsked(member) ? PROBE : [])];
  }

  /** Starts it, and resolves once it takes calls. */
  async raiseCoordinator(limitMs) {
    this.startCoordinator();
    for (const end = monoMs() + limitMs; !this.isUp; await sleep(10))
      if (monoMs() > end) throw new Error(`the coordinator did not come up within ${limitMs} ms`);
  }

  /** Whether the coordinator that was started last takes calls. */
  get isUp() {
    const addressFile = join(this.#world.folder, 'address.json');
    if (!existsSync(addressFile)) return false;
    return JSON.parse(readFileSync(addressFile, 'utf8')).pid === this.coordinator.pid;
  }

  /** With `fresh` the agent has lost its state directory. */
  startAgent(agentId, fresh = false) {
    const { folder, network, program, bound } = this.#world;
    const member = this.agents.get(agentId);
    if (fresh || member.stateDirectory === '') {
      this.#fresh += 1;
      member.stateDirectory = join(folder, `state-${agentId}-${this.#fresh}`);
    }
    const place = ['--coordinator', network.addressFor(agentId), '--agent-id', agentId, '--kind', 'worker'];
    const more = ['--slots', String(SLOTS), '--state-dir', member.stateDirectory, '--log-format', 'json'];
    const command = [...this.#node(member), program, 'agent', 'start', ...place, ...more];
    member.start([...network.prefixOf(agentId), ...bound, ...command], folder, this.#isAsked(member));
  }

  get members() {
    return [this.coordinator, ...this.agents.values()];
  }

  /** Whether an agent has told of a session, new or kept, since then. */
  hasSessionSince(agentId, at) {
    const { log, pid } = this.agents.get(agentId);
    return log.some((entry) => entry.pid === pid && entry.at >= at && entry.event === 'session');
  }

  /** What the coordinator has said about failed agents: who, when, after how long a silence. */
  get failures() {
    return this.coordinator.log
      .filter(({ event }) => event === 'agent_failed')
      .map(({ agentId, at, silentMs, epoch }) => ({ agentId, at, silentMs, epoch: String(epoch) }));
  }

  get grants() {
    return this.coordinator.log
      .filter(({ event }) => event === 'session_granted')
      .map(({ agentId, at, epoch }) => ({ agentId, at, epoch: String(epoch) }));
  }

  async killAll() {
    await Promise.all(this.members.map((member) => member.kill()));
  }

  tails() {
    return this.members.map(({ name, tail }) => [`last lines of ${name}:`, ...tail].join('\n  ')).join('\n');
  }
}

/** Settings of the user's own Holdfast must not reach these processes. */
function withoutSettings(folder) {
  const own = Object.entries(process.env).filter(([name]) => !/^(HOLDFAST|AIRFLOW|GRPC)_/.test(name));
  return { ...Object.fromEntries(own), HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
}
