import { DEFAULT_POLICY } from '../core/policy.js';
import { SECOND } from '../kit/time.js';
import {
  address,
  boolean,
  choice,
  duration,
  integer,
  labels,
  name,
  names,
  type Parsed,
  text,
  urls,
  type WebhookEntry,
  webhooks,
} from './kinds.js';
import { type Setting, setting } from './setting.js';
import { STORE_SETTINGS } from './store-settings.js';
import { CLIENT_TLS_SETTINGS, SERVER_TLS_SETTINGS } from './tls-settings.js';

const MIB = 1024 * 1024;

const fromSeconds = (given: string): Parsed<number> => {
  const seconds = Number(given);
  return given.trim() !== '' && seconds > 0 && Number.isFinite(seconds)
    ? { value: Math.round(seconds * SECOND) }
    : { because: 'it must be a number of seconds above 0, as Airflow writes it' };
};

/** Every setting by its key, which is also its path in the configuration file. */
export const SETTINGS = {
  coordinator: setting({
    flag: 'coordinator',
    kind: address,
    fallback: '127.0.0.1:7400',
    doc: 'address of the coordinator',
  }),
  ...CLIENT_TLS_SETTINGS,
  output: setting<'table' | 'json' | 'jsonl' | 'yaml' | 'name'>({
    flag: 'output',
    short: 'o',
    kind: choice('table', 'json', 'jsonl', 'yaml', 'name'),
    fallback: 'table',
    doc: 'form of what is printed',
  }),
  timeout: setting<number>({
    flag: 'timeout',
    kind: duration,
    fallback: null,
    doc: 'longest wait: of one call (10s unless given), or of all waiting (no limit unless given)',
  }),
  'log.level': setting({
    flag: 'log-level',
    kind: choice('debug', 'info', 'warn', 'error', 'silent'),
    fallback: 'info',
    doc: 'least important log lines to write',
  }),
  'log.format': setting<'auto' | 'json' | 'pretty'>({
    flag: 'log-format',
    kind: choice('auto', 'json', 'pretty'),
    fallback: 'auto',
    doc: 'form of log lines; auto is pretty on a terminal, json elsewhere',
  }),
  'server.host': setting({
    flag: 'host',
    kind: text('HOST'),
    fallback: '127.0.0.1',
    doc: 'address to listen on',
  }),
  'server.port': setting({
    flag: 'port',
    kind: integer('PORT', 0, 65_535),
    fallback: 7400,
    doc: 'port to listen on; 0 lets the system choose',
  }),
  'server.allowPlaintext': setting({
    flag: 'allow-plaintext',
    kind: boolean,
    fallback: false,
    doc: 'listen beyond this machine without TLS: anybody who reaches the port may run commands',
  }),
  ...SERVER_TLS_SETTINGS,
  'server.dbFile': setting<string>({
    flag: 'db-file',
    kind: text('PATH'),
    fallback: null,
    doc: 'database file; task output is kept beside it in PATH.logs',
    otherwise: 'in the XDG data folder',
  }),
  ...STORE_SETTINGS,
  'server.addressFile': setting<string>({
    flag: 'address-file',
    kind: text('FILE'),
    fallback: null,
    doc: 'file to write the addresses to, as JSON, once calls are accepted',
  }),
  'server.heartbeatInterval': setting({
    flag: 'heartbeat-interval',
    kind: duration,
    fallback: DEFAULT_POLICY.heartbeatIntervalMs,
    doc: 'pace of heartbeats; an agent is failed after three of them without one, 100ms to 5m',
  }),
  'server.queuedTimeout': setting({
    flag: 'queued-timeout',
    kind: duration,
    fallback: DEFAULT_POLICY.queuedTimeoutMs,
    doc: 'a task that was queued for longer fails',
    foreign: [{ variable: 'AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT', parse: fromSeconds }],
  }),
  'server.queuedTimeoutWaitsForAgent': setting({
    flag: 'queued-timeout-waits-for-agent',
    kind: boolean,
    fallback: DEFAULT_POLICY.queuedTimeoutWaitsForAgent,
    doc: 'the queued timeout stands still while no live agent serves the queue and labels',
  }),
  'server.prefetch': setting({
    flag: 'prefetch',
    kind: integer('N', 0, 16),
    fallback: DEFAULT_POLICY.prefetch,
    doc: 'tasks offered to an agent beyond its free slots when no other agent has a free one; as many as it has just ended at once, if more; 0: never any',
  }),
  'server.priorityAgeing': setting({
    flag: 'priority-ageing',
    kind: duration,
    fallback: DEFAULT_POLICY.priorityAgeingMs,
    doc: 'waiting that makes up for one step of priority, 1s to 24h; 0s: strict priorities, low ones may starve',
  }),
  'server.stormBrake': setting({
    flag: 'storm-brake',
    kind: boolean,
    fallback: DEFAULT_POLICY.stormBrake,
    doc: 'hold reassignment for one lease when most workers fail at once',
  }),
  'server.poisonLimit': setting({
    flag: 'poison-limit',
    kind: integer('N', 1, 1_000),
    fallback: DEFAULT_POLICY.poisonLimit,
    doc: 'the lost try, seen running, that fails its task as poison',
  }),
  'server.recoveryPerSecond': setting({
    flag: 'recovery-per-second',
    kind: integer('N', 1, 100_000),
    fallback: DEFAULT_POLICY.recoveryPerSecond,
    doc: 'how fast agents may come back after a restart of the coordinator',
  }),
  'server.killGrace': setting({
    flag: 'kill-grace',
    kind: duration,
    fallback: DEFAULT_POLICY.task.killGraceMs,
    doc: 'time between SIGTERM and SIGKILL for tasks that do not say',
  }),
  'server.holdTimeout': setting({
    flag: 'hold-timeout',
    kind: duration,
    fallback: DEFAULT_POLICY.task.holdTimeoutMs,
    doc: 'partition policy hold gives up waiting after this, for tasks that do not say',
  }),
  'server.retentionAge': setting({
    flag: 'retention-age',
    kind: duration,
    fallback: DEFAULT_POLICY.retention.ageMs,
    doc: 'finished tasks are removed after this, with their tries, history and idempotency keys',
  }),
  'server.retentionCount': setting({
    flag: 'retention-count',
    kind: integer('N', 0, 1_000_000_000),
    fallback: DEFAULT_POLICY.retention.count,
    doc: 'finished tasks kept at most; those that ended first are removed',
  }),
  'server.agentRetentionAge': setting({
    flag: 'agent-retention-age',
    kind: duration,
    fallback: DEFAULT_POLICY.retention.agentAgeMs,
    doc: 'an agent that has been away so long is forgotten, unless it is cordoned or a lost try waits for it',
  }),
  'server.logLimitPerTry': setting({
    flag: 'log-limit-per-try',
    kind: integer('MIB', 1, 1_048_576),
    fallback: DEFAULT_POLICY.logs.perTryBytes / MIB,
    doc: 'task output kept of one try, in MiB: its beginning and its newest; of one task eight times that',
  }),
  'server.logLimitTotal': setting({
    flag: 'log-limit-total',
    kind: integer('MIB', 16, 1_073_741_824),
    fallback: DEFAULT_POLICY.logs.totalBytes / MIB,
    doc: 'task output kept in all, in MiB; that of the tasks that ended first is removed, 16 times that of a try at least',
  }),
  'server.logRetentionAge': setting({
    flag: 'log-retention-age',
    kind: duration,
    fallback: DEFAULT_POLICY.logs.ageMs,
    doc: 'output of finished tasks is removed after this; with its task it goes in any case',
  }),
  'server.webhookUrl': setting<readonly string[]>({
    flag: 'webhook-url',
    kind: urls,
    fallback: [],
    doc: 'endpoint to tell of failed tasks and agents; several with several flags; needs --webhook-secret-file',
  }),
  'server.webhookSecretFile': setting<string>({
    flag: 'webhook-secret-file',
    kind: text('FILE'),
    fallback: null,
    doc: 'file with the secret (whsec_…) that signs what --webhook-url is sent',
    otherwise: 'none',
  }),
  'server.webhooks': setting<readonly WebhookEntry[]>({
    flag: 'webhooks',
    kind: webhooks,
    fallback: [],
    doc: 'endpoints with secrets and events of their own; best written in the configuration file',
  }),
  'agent.kind': setting<'worker' | 'triggerer' | 'dag-processor'>({
    flag: 'kind',
    kind: choice('worker', 'triggerer', 'dag-processor'),
    fallback: 'worker',
    doc: 'what the agent does',
  }),
  'agent.id': setting<string>({
    flag: 'agent-id',
    kind: name('ID'),
    fallback: null,
    doc: 'stable name of the agent, one live agent each',
    otherwise: 'the name of the host',
  }),
  'agent.queues': setting<readonly string[]>({
    flag: 'queue',
    kind: names('QUEUE'),
    fallback: ['default'],
    doc: 'queue to serve; several with several flags, or with commas',
  }),
  'agent.slots': setting<number>({
    flag: 'slots',
    kind: integer('N', 1, 10_000),
    fallback: null,
    doc: 'tasks to run at once',
    otherwise: 'as many as the machine has processors; of a triggerer, 10000 triggers',
  }),
  'agent.labels': setting<Readonly<Record<string, string>>>({
    flag: 'label',
    kind: labels,
    fallback: {},
    doc: 'label that tasks may require; several with several flags, or with commas',
  }),
  'agent.stateDir': setting<string>({
    flag: 'state-dir',
    kind: text('DIR'),
    fallback: null,
    doc: 'directory of journal, lock and working directories',
    otherwise: 'in the XDG data folder',
  }),
  'agent.handlers': setting<string>({
    flag: 'handlers',
    kind: text('FILE'),
    fallback: null,
    doc: 'module with the handlers of the worker, called in child processes',
    otherwise: 'commands only',
  }),
  'agent.isolation': setting({
    flag: 'isolation',
    kind: choice('process', 'none'),
    fallback: 'process',
    doc: 'none calls handlers in the process of the agent, for debugging: only where NODE_ENV is development',
  }),
  'agent.handlerMemory': setting({
    flag: 'handler-memory',
    kind: integer('MIB', 64, 1_048_576),
    fallback: 512,
    doc: 'memory of one process for handlers, in MiB; beyond it the process is killed and its try fails',
  }),
  'agent.handlerRuns': setting({
    flag: 'handler-runs',
    kind: integer('N', 1, 1_000_000_000),
    fallback: 10_000,
    doc: 'runs after which a process for handlers is replaced',
  }),
  'agent.handlersWarm': setting<number>({
    flag: 'handlers-warm',
    kind: integer('N', 0, 10_000),
    fallback: null,
    doc: 'processes for handlers kept ready although nothing runs',
    otherwise: 'one a slot, at most 8',
  }),
  'agent.handlersMost': setting<number>({
    flag: 'handlers-most',
    kind: integer('N', 1, 10_000),
    fallback: null,
    doc: 'processes for handlers at most; runs beyond wait for one',
    otherwise: 'one a slot',
  }),
  'agent.bundle': setting<string>({
    flag: 'bundle',
    kind: text('DIR'),
    fallback: null,
    doc: 'folder of DAG files that a DAG processor reads, its subfolders included',
    otherwise: 'none',
  }),
  'agent.bundleName': setting({
    flag: 'bundle-name',
    kind: name('NAME'),
    fallback: 'main',
    doc: 'name of the bundle; of the DAG processors with one name one counts, the others stand by',
  }),
  'agent.parseTimeout': setting({
    flag: 'parse-timeout',
    kind: duration,
    fallback: 30 * SECOND,
    doc: 'longest time for one DAG file; beyond it its process is killed, and it is an import error',
  }),
  'agent.triggers': setting<string>({
    flag: 'triggers',
    kind: text('FILE'),
    fallback: null,
    doc: 'module with triggers of your own for a triggerer, run in a thread of their own',
    otherwise: 'the built-in ones only',
  }),
  'agent.drainTimeout': setting<number>({
    flag: 'drain-timeout',
    kind: duration,
    fallback: null,
    doc: 'on SIGTERM, stop what still runs after this',
    otherwise: 'let it finish',
  }),
  'dev.dags': setting<string>({
    flag: 'dags',
    kind: text('DIR'),
    fallback: null,
    doc: 'folder of DAG files that the DAG processor of dev reads',
    otherwise: './dags when there is one',
  }),
} as const;

export type SettingKey = keyof typeof SETTINGS;
/** The type of a setting's value. */
export type ValueOf<K extends SettingKey> = (typeof SETTINGS)[K] extends Setting<infer T> ? T : never;

/** What agents and clients have in common. */
const CLIENT_TLS_KEYS = Object.keys(CLIENT_TLS_SETTINGS) as (keyof typeof CLIENT_TLS_SETTINGS)[];
const LOG_KEYS: readonly SettingKey[] = ['log.level', 'log.format'];
/** Settings of `server start`. */
export const SERVER_KEYS: readonly SettingKey[] = [
  ...(Object.keys(SETTINGS) as SettingKey[]).filter((key) => key.startsWith('server.')),
  ...LOG_KEYS,
];
/** Settings of `agent start`. */
export const AGENT_KEYS: readonly SettingKey[] = [
  'coordinator',
  ...CLIENT_TLS_KEYS,
  ...(Object.keys(SETTINGS) as SettingKey[]).filter((key) => key.startsWith('agent.')),
  ...LOG_KEYS,
];
/** Settings of `dev`. */
export const DEV_KEYS: readonly SettingKey[] = [
  // In plaintext and for this machine: a trial begins without certificates.
  ...SERVER_KEYS.filter((key) => !(key in SERVER_TLS_SETTINGS)),
  'agent.queues',
  'agent.slots',
  'agent.handlers',
  'agent.triggers',
  'agent.isolation',
  'agent.drainTimeout',
  'dev.dags',
];
