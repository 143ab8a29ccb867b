import { checkPolicy, DEFAULT_POLICY, type Policy } from '../core/policy.js';
import { ConfigError, type Problem } from './problem.js';
import type { Config, Origin } from './resolve.js';
import type { SettingKey } from './settings.js';

const MIB = 1024 * 1024;

/** Which setting decides which part of the policy. */
const POLICY_KEYS: Readonly<Record<string, SettingKey>> = {
  heartbeatIntervalMs: 'server.heartbeatInterval',
  queuedTimeoutMs: 'server.queuedTimeout',
  prefetch: 'server.prefetch',
  priorityAgeingMs: 'server.priorityAgeing',
  poisonLimit: 'server.poisonLimit',
  recoveryPerSecond: 'server.recoveryPerSecond',
  'retention.ageMs': 'server.retentionAge',
  'retention.count': 'server.retentionCount',
  'retention.agentAgeMs': 'server.agentRetentionAge',
  'logs.perTryBytes': 'server.logLimitPerTry',
  'logs.totalBytes': 'server.logLimitTotal',
  'logs.ageMs': 'server.logRetentionAge',
  'task.killGraceMs': 'server.killGrace',
  'task.holdTimeoutMs': 'server.holdTimeout',
};

/** The coordinator's policy. Throws ConfigError when settings contradict each other. */
export function policyOf(config: Config): Policy {
  const policy: Policy = {
    ...DEFAULT_POLICY,
    heartbeatIntervalMs: config.get('server.heartbeatInterval'),
    queuedTimeoutMs: config.get('server.queuedTimeout'),
    queuedTimeoutWaitsForAgent: config.get('server.queuedTimeoutWaitsForAgent'),
    prefetch: config.get('server.prefetch'),
    priorityAgeingMs: config.get('server.priorityAgeing'),
    stormBrake: config.get('server.stormBrake'),
    poisonLimit: config.get('server.poisonLimit'),
    recoveryPerSecond: config.get('server.recoveryPerSecond'),
    retention: {
      ageMs: config.get('server.retentionAge'),
      count: config.get('server.retentionCount'),
      agentAgeMs: config.get('server.agentRetentionAge'),
    },
    logs: {
      perTryBytes: config.get('server.logLimitPerTry') * MIB,
      totalBytes: config.get('server.logLimitTotal') * MIB,
      ageMs: config.get('server.logRetentionAge'),
    },
    task: {
      ...DEFAULT_POLICY.task,
      killGraceMs: config.get('server.killGrace'),
      holdTimeoutMs: config.get('server.holdTimeout'),
    },
  };
  const problems = checkPolicy(policy).map((fault) => toProblem(fault, config));
  if (problems.length > 0) throw new ConfigError(problems);
  return policy;
}

function toProblem(fault: string, config: Config): Problem {
  const [what = fault, because = ''] = fault.split(', because ');
  const key = POLICY_KEYS[what.split(' ')[0] ?? ''];
  if (key === undefined) return { what, because, try: 'change the settings that it names' };
  return {
    what: what.replace(/^\S+/, key),
    because,
    try: `change ${describeOrigin(config.origin(key), key)}`,
  };
}

const describeOrigin = (origin: Origin, key: SettingKey): string =>
  origin.kind === 'default' ? `${key}, which has its default` : `${key}, which comes from ${origin.name}`;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/;

/** Whether nobody but this machine can reach what listens on `host`. */
export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

/** Refuses to listen beyond this machine by accident. Throws ConfigError. */
export function checkListening(config: Config, speaksTls: boolean): void {
  const host = config.get('server.host');
  if (isLoopback(host) || config.get('server.allowPlaintext')) return;
  if (speaksTls) return checkCallers(config, host);
  throw new ConfigError([
    {
      what: `the coordinator does not listen on ${host}`,
      because: 'it speaks without TLS, and whoever reaches the port may run commands on every agent',
      try: 'give it a certificate (--tls-cert, --tls-key, --tls-client-ca), listen on 127.0.0.1, or say --allow-plaintext if the network is yours alone',
    },
  ]);
}

/** TLS alone keeps others from reading along; it keeps nobody out. */
function checkCallers(config: Config, host: string): void {
  if (config.find('server.tlsClientCa') !== null || config.get('server.allowAnonymous')) return;
  throw new ConfigError([
    {
      what: `the coordinator does not listen on ${host}`,
      because: 'it asks nobody who they are, and whoever reaches the port may run commands on every agent',
      try: 'name the authorities of your agents and operators with --tls-client-ca, or say --allow-anonymous if the network is yours alone',
    },
  ]);
}
