// A real coordinator and the agents of other languages around it, in a folder of their own, ended by their own handles.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from '../../dist/client/index.js';
import { openProxy } from '../demo/proxy.mjs';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const BIN = join(ROOT, 'dist/main/bin.js');
export const PYTHON = join(ROOT, 'examples/python-worker');
export const GO = join(ROOT, 'examples/go-worker');

/** H of the coordinator: short, so that losses take seconds; long enough for a machine with other things to do. */
export const HEARTBEAT_MS = 700;

const PATIENCE_MS = 30_000;

/** Nothing came of it in time, or it was otherwise than promised. */
class Broken extends Error {
  name = 'Broken';
}

/** @param {unknown} truth @param {string} what */
export function must(truth, what) {
  if (!truth) throw new Broken(what);
}

/** Looks again and again until `look` gives something. */
export async function until(what, look, withinMs = PATIENCE_MS) {
  const end = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (performance.now() > end) throw new Broken(`within ${withinMs / 1000} s there was no ${what}`);
    await sleep(50);
  }
}

/** An authority as docs/how-to/tls.md makes one, and certificates for the coordinator and whoever else has a name. */
function makeCertificates(folder, names) {
  const page = readFileSync(join(ROOT, 'docs/how-to/tls.md'), 'utf8');
  const [, script = ''] = /```sh\n(openssl req.*?)```/s.exec(page) ?? [];
  const upToNames = script.slice(0, script.indexOf('issue site-a-1'));
  const issued = names.map(([name, path]) => `issue ${name} URI:spiffe://example.org/${path}`);
  const { status, stderr } = spawnSync('sh', ['-euc', [upToNames, ...issued].join('\n')], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  });
  must(status === 0, `no certificates could be made: ${stderr}`);
}

/** Whether a process is there and no mere entry that waits to be reaped. */
export function isAlive(pid) {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

export class World {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-polyglot-'));
  client = null;
  proxy = null;
  port = 0;
  heartbeatMs = HEARTBEAT_MS;
  secured = false;
  #children = new Set();
  #server = null;
  #agents = 0;

  /**
   * `heartbeatMs` is the coordinator's H; a lease is three of them. With `certificates`, each a name and its path in a
   * SPIFFE id, the coordinator asks every caller for one; the first of them is an operator's.
   */
  static async open({ heartbeatMs = HEARTBEAT_MS, certificates = [] } = {}) {
    const world = new World();
    world.heartbeatMs = heartbeatMs;
    world.secured = certificates.length > 0;
    if (world.secured) makeCertificates(world.folder, certificates);
    world.port = await freePort();
    await world.startServer();
    world.proxy = await openProxy(world.address);
    world.client = connect(world.address, world.secured ? { tls: world.tls(certificates[0][0]) } : {});
    return world;
  }

  get address() {
    return `127.0.0.1:${this.port}`;
  }

  async startServer() {
    const file = join(this.folder, 'address.json');
    rmSync(file, { force: true });
    const at = (name) => join(this.folder, name);
    const db = at('holdfast.db');
    const pace = ['--heartbeat-interval', `${this.heartbeatMs}ms`, '--storm-brake', 'false'];
    const args = [
      'server',
      'start',
      '--port',
      `${this.port}`,
      '--db-file',
      db,
      '--address-file',
      file,
      ...pace,
      ...(this.secured ? ['--tls-cert', at('coordinator.pem'), '--tls-key', at('coordinator.key')] : []),
      ...(this.secured ? ['--tls-client-ca', at('ca.pem')] : []),
    ];
    this.#server = this.run('coordinator', process.execPath, [BIN, ...args]);
    await until('address of the coordinator', () => readOrNull(file));
  }

  /** The files of a name. */
  tls(name) {
    const at = (file) => join(this.folder, file);
    return { caFile: at('ca.pem'), certFile: at(`${name}.pem`), keyFile: at(`${name}.key`) };
  }

  /** The same as options of a command. */
  tlsOptions(name) {
    const { caFile, certFile, keyFile } = this.tls(name);
    return ['--tls-ca', caFile, '--tls-client-cert', certFile, '--tls-client-key', keyFile];
  }

  killServer() {
    return this.#server.kill();
  }

  /** Starts a program; its last lines are kept for a failure. */
  run(name, command, args, env = {}) {
    const child = spawn(command, args, {
      cwd: this.folder,
      env: { ...withoutSettings(this.folder), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const started = new Started(name, child);
    this.#children.add(started);
    return started;
  }

  /** A name for the next agent, and the queue that only it serves. */
  nextAgent(language) {
    const id = `${language}-${++this.#agents}`;
    const state = join(this.folder, id);
    mkdirSync(state, { mode: 0o700 });
    return { id, state };
  }

  /** A task of the queue `agent.id`, and its id. */
  async submit(agent, spec) {
    const [task] = await this.client.tasks.submit([{ queue: agent.id, ...spec }]);
    return task.taskId;
  }

  /** The task once it is in one of the states. */
  task(taskId, ...states) {
    return until(`task in state ${states.join(' or ')}`, async () => {
      const task = await this.client.tasks.get(taskId);
      return states.includes(task.state) && task;
    });
  }

  async output(taskId) {
    let text = '';
    for await (const { data } of this.client.tasks.logs(taskId)) text += Buffer.from(data).toString();
    return text;
  }

  agent(id, ...states) {
    return until(`agent ${id} ${states.join(' or ')}`, async () => {
      const agent = (await this.client.agents.list()).find((one) => one.agentId === id);
      return agent !== undefined && states.includes(agent.state) && agent;
    });
  }

  tails() {
    return [...this.#children]
      .map(({ name, tail }) => `last lines of ${name}:\n  ${tail.join('\n  ')}`)
      .join('\n');
  }

  async close() {
    this.client?.close();
    this.proxy?.close();
    await Promise.all([...this.#children].map((started) => started.kill()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** One process that was started here. */
class Started {
  tail = [];
  #child;
  #exit;

  constructor(name, child) {
    this.name = name;
    this.#child = child;
    this.#exit = once(child, 'exit');
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.tail = [...this.tail, ...text.trimEnd().split('\n')].slice(-12);
      });
    }
  }

  get pid() {
    return this.#child.pid;
  }

  signal(name) {
    this.#child.kill(name);
  }

  /** kill -9, of this process alone. */
  async kill() {
    this.#child.kill('SIGKILL');
    await this.#exit;
  }

  /** Its exit code once it has ended by itself. */
  async ended(withinMs = PATIENCE_MS) {
    const timer = new AbortController();
    const late = sleep(withinMs, 'late', { signal: timer.signal }).catch(() => 'late');
    const how = await Promise.race([this.#exit, late]);
    timer.abort();
    must(how !== 'late', `${this.name} did not end within ${withinMs / 1000} s`);
    return how[0] ?? how[1];
  }
}

function readOrNull(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** Settings of the user's own Holdfast must not reach these processes. */
function withoutSettings(folder) {
  const own = Object.entries(process.env).filter(([name]) => !/^(HOLDFAST|AIRFLOW)_/.test(name));
  return { ...Object.fromEntries(own), XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
}

/** A port that nobody has now: the coordinator is started on it more than once. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return at.port;
}
