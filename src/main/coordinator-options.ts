import { HoldfastError } from '../client/index.js';
import { isLoopback } from '../config/policy.js';
import { checkPolicy, DEFAULT_POLICY, type Policy } from '../core/policy.js';
import type { Log } from '../kit/log.js';
import type { ServerTlsFiles } from '../server/tls.js';
import { eventsOf, type WebhookOptions, webhookFaults } from '../webhooks/endpoint.js';
import { CertificateError, readAuthorities, readKeyPair } from '../wire/tls/certificates.js';

/** The files of a coordinator that speaks TLS, all PEM, read again while it runs. */
export interface CoordinatorTls {
  /** Its certificate, with the intermediate ones behind it. */
  readonly certFile: string;
  /** The private key of `certFile`, without a passphrase. */
  readonly keyFile: string;
  /** Authorities; callers need a certificate that one of them has signed. Default: callers are not asked who they are. */
  readonly clientCaFile?: string | undefined;
}

/** What a coordinator inside a program is made of. Only `dbFile` is needed; all are checked at start, with their relations. */
export interface CoordinatorOptions {
  /**
   * Path of the database, made when it is missing, readable by its owner only. One coordinator has it at a time;
   * task output is kept beside it.
   */
  readonly dbFile: string;
  /**
   * A postgres:// URL: everything but task output is kept in that database then, and `dbFile` says only beside which path task
   * output lies. Default: the file.
   */
  readonly store?: string | undefined;
  /** The schema in the database of `store`, made when it is missing. Default `holdfast`. */
  readonly storeSchema?: string | undefined;
  /** Address to listen on. Default 127.0.0.1; another machine's reach needs `allowPlaintext`. */
  readonly host?: string | undefined;
  /** Port to listen on; 0 lets the system choose. Default 7400. */
  readonly port?: number | undefined;
  /** Listen beyond this machine without TLS: whoever reaches the port may run commands on every agent. Default false. */
  readonly allowPlaintext?: boolean | undefined;
  /** Speak TLS 1.3 alone, with these files; see docs/how-to/tls.md. Default plaintext. */
  readonly tls?: CoordinatorTls | undefined;
  /** Listen beyond this machine although `tls` has no `clientCaFile`: anybody may run commands. Default false. */
  readonly allowAnonymous?: boolean | undefined;
  /** Directory of task output. Default: `dbFile` with `.logs` behind it. */
  readonly logDirectory?: string | undefined;
  /** Where log lines go: a pino logger, or anything with its four methods. Default: nowhere. */
  readonly log?: Log | undefined;
  /**
   * Pace of heartbeats (H), in milliseconds; 100 to 300,000, default 5,000. An agent is failed after three intervals
   * without one: shorter notices losses earlier, and forgives less.
   */
  readonly heartbeatIntervalMs?: number | undefined;
  /** A task queued for longer, in milliseconds, fails with `queued_timeout`, unless it says otherwise. Default 600,000. */
  readonly queuedTimeoutMs?: number | undefined;
  /** The queued timeout stands still while no live agent serves the task's queue and labels. Default false. */
  readonly queuedTimeoutWaitsForAgent?: boolean | undefined;
  /**
   * Tasks offered to an agent beyond its free slots when no other agent has a free one; 0 to 16, default 1. As many as it has
   * just ended at once, if those are more; with 0 never any.
   */
  readonly prefetch?: number | undefined;
  /** Waiting that makes up for one step of priority, 1 s to 24 h; 0 keeps priorities strict. Default 1 min. */
  readonly priorityAgeingMs?: number | undefined;
  /** Hold reassignment back for one lease when most workers fail at once (P8). Default true. */
  readonly stormBrake?: boolean | undefined;
  /** The lost try, seen running, that fails its task as poison (P14); 1 to 1,000, default 3. */
  readonly poisonLimit?: number | undefined;
  /** How many agents a second may come back after a start (P7); 1 to 100,000, default 100. */
  readonly recoveryPerSecond?: number | undefined;
  /** Milliseconds between SIGTERM and SIGKILL for tasks that do not say. Default 10,000. */
  readonly killGraceMs?: number | undefined;
  /** Milliseconds after which policy `hold` gives up waiting, for tasks that do not say. Default 86,400,000 (a day). */
  readonly holdTimeoutMs?: number | undefined;
  /**
   * Finished tasks are removed after so many milliseconds, with their tries, history and idempotency keys; a minute to
   * ten years, default 604,800,000 (a week).
   */
  readonly retentionAgeMs?: number | undefined;
  /** Finished tasks kept at most; those that ended first are removed. 0 to 1,000,000,000, default 1,000,000. */
  readonly retentionCount?: number | undefined;
  /**
   * An agent that has been away for so many milliseconds is forgotten, unless it is cordoned or a lost try waits for it; a
   * minute to ten years, default 604,800,000 (a week).
   */
  readonly agentRetentionAgeMs?: number | undefined;
  /** Task output kept of one try, in bytes: its beginning and its newest; 1 MiB to 1 TiB, default 64 MiB. */
  readonly logLimitPerTryBytes?: number | undefined;
  /**
   * Task output kept in all, in bytes; that of the tasks that ended first is removed. 16 times that of a try at least,
   * 1 PiB at most, default 16 GiB.
   */
  readonly logLimitTotalBytes?: number | undefined;
  /** Output of finished tasks is removed after so many milliseconds; a minute to ten years, default 604,800,000 (a week). */
  readonly logRetentionAgeMs?: number | undefined;
  /** Where to tell of failed tasks and agents; at most 16, see docs/how-to/webhooks.md. Default nowhere. */
  readonly webhooks?: readonly WebhookOptions[] | undefined;
}

/** Options with every default filled in, found to fit together. */
export interface CheckedOptions {
  readonly dbFile: string;
  /** Null for the file. */
  readonly store: string | null;
  readonly storeSchema: string;
  readonly host: string;
  readonly port: number;
  readonly logDirectory: string | null;
  readonly log: Log | null;
  readonly policy: Policy;
  readonly tls: ServerTlsFiles | null;
  readonly webhooks: readonly WebhookOptions[];
}

type Kind = 'string' | 'number' | 'boolean' | 'object';

/** What may be given: programs in plain JavaScript misspell names, and a misspelt option would be ignored in silence. */
const KINDS: Readonly<Record<keyof CoordinatorOptions, Kind | 'log' | 'list'>> = {
  dbFile: 'string',
  store: 'string',
  storeSchema: 'string',
  host: 'string',
  port: 'number',
  allowPlaintext: 'boolean',
  tls: 'object',
  allowAnonymous: 'boolean',
  logDirectory: 'string',
  log: 'log',
  heartbeatIntervalMs: 'number',
  queuedTimeoutMs: 'number',
  queuedTimeoutWaitsForAgent: 'boolean',
  prefetch: 'number',
  priorityAgeingMs: 'number',
  stormBrake: 'boolean',
  poisonLimit: 'number',
  recoveryPerSecond: 'number',
  killGraceMs: 'number',
  holdTimeoutMs: 'number',
  retentionAgeMs: 'number',
  retentionCount: 'number',
  agentRetentionAgeMs: 'number',
  logLimitPerTryBytes: 'number',
  logLimitTotalBytes: 'number',
  logRetentionAgeMs: 'number',
  webhooks: 'list',
};

/** Options with their defaults. Throws HoldfastError `INVALID_OPTIONS` with every fault found. */
export function checkOptions(options: CoordinatorOptions): CheckedOptions {
  const host = options.host ?? '127.0.0.1';
  const port = options.port ?? 7400;
  const webhooks = Array.isArray(options.webhooks) ? options.webhooks : [];
  const policy = policyOf(options);
  const faults = typeFaults(options);
  if (!options.dbFile) faults.push('dbFile is missing, because a coordinator keeps everything in it');
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    faults.push(`port is ${port}, because it must be a whole number from 0 to 65535`);
  }
  const tls = tlsOf(options.tls, faults);
  if (!isLoopback(host) && options.allowPlaintext !== true) {
    if (options.tls === undefined) {
      faults.push(
        `host is ${host}, because the coordinator speaks without TLS: set tls, or allowPlaintext if the network is yours alone`,
      );
    } else if (options.tls.clientCaFile === undefined && options.allowAnonymous !== true) {
      faults.push(
        `host is ${host}, because callers are not asked who they are: set tls.clientCaFile, or allowAnonymous if the network is yours alone`,
      );
    }
  }
  faults.push(...checkPolicy(policy).map((fault) => inOptions(fault)));
  faults.push(...webhookFaults(webhooks, (url) => mayReach(url, options.allowPlaintext === true)));
  if (faults.length > 0) {
    throw new HoldfastError({
      code: 'INVALID_OPTIONS',
      what: 'the coordinator cannot be started with these options',
      reason: faults.join('; '),
      advice: 'correct them; docs/reference/api.md has every option with its default and unit',
    });
  }
  const { dbFile, logDirectory, log } = options;
  const notify = eventsOf(webhooks);
  const place = { dbFile, store: options.store ?? null, storeSchema: options.storeSchema ?? 'holdfast' };
  const checked = {
    ...place,
    host,
    port,
    logDirectory: logDirectory ?? null,
    log: log ?? null,
    tls,
    webhooks,
  };
  return { ...checked, policy: { ...policy, notify } };
}

/** The files, found to be usable now; what is wrong with them is one more fault. */
function tlsOf(tls: CoordinatorTls | undefined, faults: string[]): ServerTlsFiles | null {
  if (typeof tls !== 'object' || tls === null) return null;
  const { certFile, keyFile, clientCaFile = null } = tls;
  try {
    readKeyPair(certFile, keyFile, Date.now());
    if (clientCaFile !== null) readAuthorities(clientCaFile, Date.now());
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    faults.push(`tls cannot be used, because ${error.message}`);
  }
  return { certFile, keyFile, clientCaFile };
}

/** A signature protects what is sent from being changed, not from being read. */
export const mayReach = (url: URL, allowPlaintext: boolean): boolean =>
  url.protocol === 'https:' || allowPlaintext || isLoopback(url.hostname);

/** The policy's faults begin with a path in the policy. */
const inOptions = (fault: string): string =>
  fault
    .replace(/^task\./, '')
    .replace(/^retention\.agentAgeMs/, 'agentRetentionAgeMs')
    .replace(/^retention\.(.)/, (_all, first: string) => `retention${first.toUpperCase()}`)
    .replaceAll(
      /\blogs\.(perTryBytes|totalBytes|ageMs)/g,
      (_all, name: keyof typeof LOG_OPTIONS) => LOG_OPTIONS[name],
    );

const LOG_OPTIONS = {
  perTryBytes: 'logLimitPerTryBytes',
  totalBytes: 'logLimitTotalBytes',
  ageMs: 'logRetentionAgeMs',
};

function typeFaults(options: CoordinatorOptions): string[] {
  const faults: string[] = [];
  for (const [name, value] of Object.entries(options)) {
    const kind = Object.hasOwn(KINDS, name) ? KINDS[name as keyof CoordinatorOptions] : undefined;
    if (kind === undefined) faults.push(`${name} is no option, because none has this name`);
    else if (value === undefined) continue;
    else if (!fits(kind, value)) {
      faults.push(`${name} cannot be ${typeof value}, because it must be ${KIND_WORDS[kind]}`);
    }
  }
  return faults;
}

const KIND_WORDS = {
  string: 'string',
  number: 'number',
  boolean: 'boolean',
  object: 'an object',
  log: 'a logger',
  list: 'a list',
};

function fits(kind: Kind | 'log' | 'list', value: unknown): boolean {
  if (kind === 'list') return Array.isArray(value);
  return kind === 'log' ? isLog(value) : typeof value === kind;
}

const isLog = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (['debug', 'info', 'warn', 'error'] as const).every(
    (name) => typeof (value as Record<string, unknown>)[name] === 'function',
  );

function policyOf(options: CoordinatorOptions): Policy {
  const or = DEFAULT_POLICY;
  return {
    ...or,
    heartbeatIntervalMs: options.heartbeatIntervalMs ?? or.heartbeatIntervalMs,
    queuedTimeoutMs: options.queuedTimeoutMs ?? or.queuedTimeoutMs,
    queuedTimeoutWaitsForAgent: options.queuedTimeoutWaitsForAgent ?? or.queuedTimeoutWaitsForAgent,
    prefetch: options.prefetch ?? or.prefetch,
    priorityAgeingMs: options.priorityAgeingMs ?? or.priorityAgeingMs,
    stormBrake: options.stormBrake ?? or.stormBrake,
    poisonLimit: options.poisonLimit ?? or.poisonLimit,
    recoveryPerSecond: options.recoveryPerSecond ?? or.recoveryPerSecond,
    retention: {
      ageMs: options.retentionAgeMs ?? or.retention.ageMs,
      count: options.retentionCount ?? or.retention.count,
      agentAgeMs: options.agentRetentionAgeMs ?? or.retention.agentAgeMs,
    },
    logs: {
      perTryBytes: options.logLimitPerTryBytes ?? or.logs.perTryBytes,
      totalBytes: options.logLimitTotalBytes ?? or.logs.totalBytes,
      ageMs: options.logRetentionAgeMs ?? or.logs.ageMs,
    },
    task: {
      ...or.task,
      killGraceMs: options.killGraceMs ?? or.task.killGraceMs,
      holdTimeoutMs: options.holdTimeoutMs ?? or.task.holdTimeoutMs,
    },
  };
}
