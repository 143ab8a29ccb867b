import { resolve } from 'node:path';
import { HoldfastError } from '../client/index.js';
import { SILENT } from '../kit/log.js';
import type { Coordinator as RunningCoordinator } from '../server/options.js';
import type { Store } from '../store/store.js';
import { type CheckedOptions, type CoordinatorOptions, checkOptions } from './coordinator-options.js';
import { dagParts, outletOf, startCoordinator } from './parts.js';
import { logFolderOf, makeFolder } from './paths.js';
import { listenProblem, type OptionNames, type StartProblem } from './start-problem.js';
import { databaseAt, fileAt } from './store-place.js';

const NAMES: OptionNames = { dbFile: 'dbFile', host: 'host', port: 'port' };

/**
 * A coordinator inside a program. It installs no signal handlers and keeps no state outside itself: several may run
 * in one process, each on a database of its own. Agents reach it over the network as they reach any.
 *
 * ```ts
 * const coordinator = await new Coordinator({ dbFile: './holdfast.db', port: 0 }).start();
 * console.log(coordinator.address);
 * await coordinator.stop();
 * ```
 */
export class Coordinator implements AsyncDisposable {
  readonly #options: CoordinatorOptions;
  #state: 'stopped' | 'starting' | 'running' | 'stopping' = 'stopped';
  #running: RunningCoordinator | null = null;
  #stopped: Promise<void> | null = null;

  /** Nothing is opened, checked or started before `start`. */
  constructor(options: CoordinatorOptions) {
    this.#options = options;
  }

  /** Where it stands. After a fault that it could not go on with it is `stopped` again. */
  get state(): 'stopped' | 'starting' | 'running' | 'stopping' {
    return this.#state;
  }

  /** HOST:PORT on which it accepts calls. Throws HoldfastError `NOT_RUNNING` while it does not. */
  get address(): string {
    return this.#required().address;
  }

  /** A random name of this run, as agents and `client.coordinator()` see it. Throws HoldfastError `NOT_RUNNING`. */
  get coordinatorId(): string {
    return this.#required().coordinatorId;
  }

  /**
   * Settles when the run that is under way ends: with null after `stop`, with the error when the coordinator had to end
   * itself (its database can no longer be written, say). Throws HoldfastError `NOT_RUNNING`.
   */
  get ended(): Promise<Error | null> {
    return this.#required().ended;
  }

  /**
   * Opens the database and accepts calls. May be called again after `stop`: what was accepted is there, and agents come
   * back by themselves. Throws HoldfastError: `INVALID_OPTIONS`, `STORE_LOCKED`, `PORT_IN_USE` and the like; then
   * nothing is left open.
   */
  async start(): Promise<this> {
    if (this.#state !== 'stopped') throw notRunning(`it is ${this.#state}`, 'stop it first, or make another');
    this.#state = 'starting';
    try {
      const options = checkOptions(this.#options);
      const running = await open(options);
      this.#running = running;
      this.#state = 'running';
      const { address, coordinatorId } = running;
      options.log?.info({ address, coordinatorId }, `coordinator accepts calls on ${address}`);
      void running.ended.then((error) => {
        if (error !== null && this.#running === running) this.#forget();
      });
      return this;
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  /**
   * Answers what has arrived, asks agents to come back later, closes the database. Fails no work: what runs goes on,
   * and is reported to the next run. Resolves at once when it does not run.
   */
  async stop(): Promise<void> {
    if (this.#state === 'starting') throw notRunning('it is starting', 'wait for start() first');
    if (this.#running === null) return;
    this.#stopped ??= this.#stop(this.#running);
    await this.#stopped;
  }

  async #stop(running: RunningCoordinator): Promise<void> {
    this.#state = 'stopping';
    try {
      await running.stop();
      this.#options.log?.info({ coordinatorId: running.coordinatorId }, 'coordinator has stopped');
    } finally {
      this.#forget();
    }
  }

  #forget(): void {
    this.#running = null;
    this.#stopped = null;
    this.#state = 'stopped';
  }

  #required(): RunningCoordinator {
    if (this.#running !== null) return this.#running;
    throw notRunning(`it is ${this.#state}`, 'start it first');
  }

  /** The same as `stop`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

async function open(options: CheckedOptions): Promise<RunningCoordinator> {
  const { host, port, policy, tls } = options;
  const dbFile = resolve(options.dbFile);
  const logDirectory = resolve(options.logDirectory ?? logFolderOf(dbFile));
  const place = options.store === null ? fileAt(dbFile) : databaseAt(options.store, options.storeSchema);
  let store: Store | null = null;
  try {
    store = await place.open();
    makeFolder(logDirectory);
  } catch (error) {
    await store?.close().catch(() => {});
    throw toError(place.problem(error, NAMES), error);
  }
  const log = options.log ?? SILENT;
  const outlet = outletOf(options.webhooks, store, log);
  try {
    const dags = await dagParts();
    return await startCoordinator({ host, port, store, policy, tls, logDirectory, log, outlet, ...dags });
  } catch (error) {
    await store.close().catch(() => {});
    throw toError(listenProblem(host, port, error, NAMES), error);
  }
}

const toError = ({ code, what, because, try: advice }: StartProblem, cause: unknown): HoldfastError =>
  new HoldfastError({ code, what, reason: because, advice, cause });

const notRunning = (reason: string, advice: string): HoldfastError =>
  new HoldfastError({ code: 'NOT_RUNNING', what: 'the coordinator cannot do that now', reason, advice });
