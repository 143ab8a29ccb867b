import { CertificateError } from '../wire/tls/certificates.js';
import { checkTls, type TlsOptions } from '../wire/tls/dial.js';
import { Agents, backUpCoordinator, readCoordinator } from './agents.js';
import { Backfills } from './backfills.js';
import { type CallChoices, Channel } from './channel.js';
import { CLIENT_CLOCK, type ClientClock } from './clock.js';
import { Dags } from './dags.js';
import { HoldfastError } from './errors.js';
import { Queues } from './queues.js';
import { Runs } from './runs.js';
import { Assets, Pools, Triggers } from './shared.js';
import { Tasks } from './tasks.js';
import type { BackupMade, CoordinatorInfo } from './types.js';

/** How a client behaves; every choice may be left out. */
export interface ConnectOptions {
  /** Milliseconds that each call may take in all, its attempts and the waits between them included. Default 10,000. */
  readonly timeoutMs?: number | undefined;
  /**
   * How the coordinator's TLS is spoken, and who this client is to it; `{}` trusts the authorities that Node trusts. The
   * files are read when the client is made, and again for each connection. Default: plaintext.
   */
  readonly tls?: TlsOptions | undefined;
  /**
   * Whether a call that is safe to repeat is made again, with back-off and within its deadline, while the coordinator
   * is away or overloaded. Default true: submissions then carry an idempotency key each, drawn when the task has none.
   */
  readonly retry?: boolean | undefined;
  /** Time and chance, for tests. Default: the machine's. */
  readonly clock?: ClientClock | undefined;
}

/** A client of one coordinator. It dials when first used, and again after a loss. */
export interface Client {
  /** HOST:PORT of the coordinator. */
  readonly address: string;
  /** Submits, reads and steers tasks. */
  readonly tasks: Tasks;
  /** Shows and steers agents. */
  readonly agents: Agents;
  /** Shows queues and limits them. */
  readonly queues: Queues;
  /** Shows DAGs, pauses them, and makes runs of them. */
  readonly dags: Dags;
  /** Shows DAG runs, watches and steers them. */
  readonly runs: Runs;
  /** Runs DAGs over ranges of logical dates. */
  readonly backfills: Backfills;
  /** Shows assets, and tells of what happened to them. */
  readonly assets: Assets;
  /** Shows pools and sets their slots. */
  readonly pools: Pools;
  /** Shows what deferred tasks wait for, and lets them go on. */
  readonly triggers: Triggers;
  /** Version and figures of the coordinator. */
  coordinator(choices?: CallChoices): Promise<CoordinatorInfo>;
  /**
   * Copies the coordinator's database to a new file on its machine (an absolute path), for its owner only, while
   * everything goes on. Settles when the copy is on its disk. Default deadline: a day.
   */
  backUp(file: string, choices?: CallChoices): Promise<BackupMade>;
  /** Ends the connection; calls in flight fail with `CANCELLED`. */
  close(): void;
}

/**
 * A client of the coordinator at `address` (HOST:PORT); close it when done. Throws HoldfastError `INVALID_OPTIONS` when files
 * for TLS cannot be used.
 */
export function connect(address: string, options: ConnectOptions = {}): Client {
  const clock = options.clock ?? CLIENT_CLOCK;
  const tls = options.tls ?? null;
  if (tls !== null) refuseUnusable(tls, clock.now());
  const { timeoutMs = 10_000, retry = true } = options;
  const channel = new Channel(address, { timeoutMs, retry, tls, clock });
  const dags = new Dags(channel);
  return {
    address,
    tasks: new Tasks(channel),
    agents: new Agents(channel),
    queues: new Queues(channel),
    dags,
    runs: new Runs(channel, dags),
    backfills: new Backfills(channel),
    assets: new Assets(channel),
    pools: new Pools(channel),
    triggers: new Triggers(channel),
    coordinator: (choices) => readCoordinator(channel, choices),
    backUp: (file, choices) => backUpCoordinator(channel, file, choices),
    close: () => channel.close(),
  };
}

function refuseUnusable(tls: TlsOptions, nowMs: number): void {
  try {
    checkTls(tls, nowMs);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    const { what, because: reason, try: advice } = error;
    throw new HoldfastError({ code: 'INVALID_OPTIONS', what, reason, advice, cause: error });
  }
}
