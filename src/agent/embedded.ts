import { availableParallelism, homedir, hostname } from 'node:os';
import { resolve } from 'node:path';
import { type Log, SILENT } from '../kit/log.js';
import type { TlsOptions } from '../wire/tls/dial.js';
import { type HandlerChoices, handlerPool } from './handlers/pool-options.js';
import type { AgentEnd, RunningAgent } from './options.js';
import { startWorker } from './start.js';

/** What a worker inside a program is made with. */
export interface EmbeddedWorkerOptions extends HandlerChoices {
  /** HOST:PORT of the coordinator. */
  readonly coordinator: string;
  /** How the coordinator's TLS is spoken, and who this worker is to it. Default: plaintext. */
  readonly tls?: TlsOptions | undefined;
  /**
   * Module whose default export is `defineHandlers({ … })`: a URL, or a path from the working directory. It is loaded by
   * child processes, never by this one. Default: none, so that only commands are run.
   */
  readonly handlers?: string | URL | undefined;
  /** Stable name, one live agent each. Default the host's name. */
  readonly agentId?: string | undefined;
  /** Queues served, at least one. Default `default`. */
  readonly queues?: readonly string[] | undefined;
  /** Runs held at once, 1 to 10,000. Default as many as the machine has processors. */
  readonly slots?: number | undefined;
  /** Labels that tasks may require. Default none. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Journal, lock and working directories; one agent each. Default in the XDG data folder, by the agent's name. */
  readonly stateDirectory?: string | undefined;
  /** Where it says what happens; a pino logger will do. Default nowhere. */
  readonly log?: Log | undefined;
}

/**
 * A worker inside a program. Its handlers and commands run in processes of their own, so nothing that they do holds up
 * this one. It installs no signal handlers: call `stop` when the program is asked to end.
 *
 * ```ts
 * const worker = new Worker({
 *   coordinator: '127.0.0.1:7400',
 *   handlers: new URL('./handlers.js', import.meta.url),
 * });
 * await worker.start();
 * await worker.stop();
 * ```
 */
export class Worker implements AsyncDisposable {
  readonly #options: EmbeddedWorkerOptions;
  #running: Promise<RunningAgent> | null = null;

  /** Nothing is checked or started before `start`. */
  constructor(options: EmbeddedWorkerOptions) {
    this.#options = options;
  }

  /**
   * Takes its state directory over, loads the handlers, and begins to dial; a coordinator that is not there yet is waited
   * for. May be called again after `stop`. Throws when it is running, when a name is none, when the state directory is
   * in use (StateDirectoryError), and when the handlers cannot be loaded (HandlersError).
   */
  async start(): Promise<this> {
    if (this.#running !== null) throw new Error('the worker runs already: stop it first, or make another');
    const running = startWorker(filledIn(this.#options));
    this.#running = running;
    try {
      const agent = await running;
      void agent.ended.then(() => this.#forget(running));
      return this;
    } catch (error) {
      this.#forget(running);
      throw error;
    }
  }

  /**
   * Takes no new work, lets what runs finish, says goodbye, and settles when it has ended. What still runs after
   * `drainTimeoutMs` is stopped; default: it is waited for. With 0 all is stopped now. Does nothing when it does not run.
   */
  async stop({ drainTimeoutMs }: { readonly drainTimeoutMs?: number | undefined } = {}): Promise<void> {
    const agent = await this.#running;
    if (agent === null) return;
    agent.drain(drainTimeoutMs ?? null);
    const end = await agent.ended;
    if (end.kind === 'fault') throw end.error;
  }

  /** Settles when it has ended, by `stop`, by an operator's drain, or by a fault; null when it does not run. */
  get ended(): Promise<AgentEnd> | null {
    return this.#running?.then((agent) => agent.ended) ?? null;
  }

  /** `await using worker = …` stops it at the end of the block, letting what runs finish. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #forget(running: Promise<RunningAgent>): void {
    if (this.#running === running) this.#running = null;
  }
}

function filledIn(options: EmbeddedWorkerOptions): Parameters<typeof startWorker>[0] {
  const { agentId = hostAgentId(), slots = availableParallelism(), handlers, log = SILENT } = options;
  const { coordinator, tls, queues = ['default'], labels = {} } = options;
  const data = resolve(process.env.XDG_DATA_HOME || resolve(homedir(), '.local/share'), 'holdfast');
  const stateDirectory = resolve(options.stateDirectory ?? resolve(data, 'agents', agentId));
  const pool = handlers === undefined ? null : handlerPool(handlers, slots, options);
  return { coordinator, tls, agentId, queues, slots, labels, stateDirectory, log, handlers: pool };
}

/** The host's name in the form of an agent id. */
function hostAgentId(): string {
  const name = hostname()
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 128);
  return name === '' ? 'agent' : name;
}
