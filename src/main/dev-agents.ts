import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandWords, EXIT } from '../cli/index.js';
import type { Config } from '../config/resolve.js';
import { readableFolder } from './faults.js';
import type { ProcessLog } from './log.js';
import { devStateFolderOf, isFolder } from './paths.js';
import type { Server } from './server.js';

/** An agent that `dev` starts beside its coordinator. */
export interface DevAgent {
  readonly agentId: string;
  /** What people call it. */
  readonly what: string;
  /** Its line in the banner: what it is there for. */
  readonly serves: string;
  /** Flags of `agent start` that make it what it is, as somebody would type them to start another in its place. */
  readonly flags: readonly string[];
  /** Flags that only `dev` gives. */
  readonly further: readonly string[];
}

/** Triggers that the triggerer waits for at once. */
const TRIGGERS = 10_000;

/** One agent of each kind that has something to do. */
export function devAgents(config: Config): readonly DevAgent[] {
  const folder = dagFolderOf(config);
  return [workerOf(config), triggererOf(config), ...(folder === null ? [] : [processorOf(folder)])];
}

function workerOf(config: Config): DevAgent {
  const queues = config.get('agent.queues');
  const slots = config.get('agent.slots');
  const handlers = config.find('agent.handlers');
  return {
    ...{ agentId: 'dev-worker', what: 'worker' },
    serves: `${slots} slots, queues ${queues.join(', ')}`,
    flags: ['--slots', String(slots), ...queues.flatMap((queue) => ['--queue', queue])],
    further: [
      ...(handlers === null ? [] : ['--handlers', handlers]),
      ...['--isolation', config.get('agent.isolation')],
    ],
  };
}

function triggererOf(config: Config): DevAgent {
  const module = config.find('agent.triggers');
  return {
    ...{ agentId: 'dev-triggerer', what: 'triggerer', serves: `${TRIGGERS} triggers` },
    // Beside a worker in one configuration, whose slots these are not.
    flags: ['--kind', 'triggerer', '--slots', String(TRIGGERS)],
    further: module === null ? [] : ['--triggers', module],
  };
}

function processorOf(folder: string): DevAgent {
  return {
    ...{ agentId: 'dev-dag-processor', what: 'DAG processor', serves: `DAG files in ${folder}` },
    flags: ['--kind', 'dag-processor', '--bundle', folder],
    further: [],
  };
}

/** The folder that was named, or `dags` where there is one; null for none. Throws Failure. */
function dagFolderOf(config: Config): string | null {
  const given = config.find('dev.dags');
  if (given !== null) return readableFolder(given, '--dags');
  return isFolder('dags') ? resolve('dags') : null;
}

/**
 * The agent is in a process group of its own: Ctrl-C reaches this process only, which then ends things in order. The
 * channel between the two ends with this process whatever happens to it, and the agent ends with the channel.
 */
export function startAgentProcess(agent: DevAgent, config: Config, server: Server): ChildProcess {
  const drainMs = config.get('agent.drainTimeout');
  const args = [
    ...[fileURLToPath(new URL('./bin.js', import.meta.url)), 'agent', 'start'],
    ...['--coordinator', server.coordinator.address, '--agent-id', agent.agentId],
    ...['--state-dir', devStateFolderOf(server.dbFile, agent.agentId), '--drain-timeout', `${drainMs}ms`],
    // Whatever the environment says for others: our coordinator speaks plaintext to this machine.
    ...['--tls', 'false'],
    ...agent.flags,
    ...agent.further,
    ...(config.file === null ? [] : ['--config', config.file]),
    ...['--log-level', config.get('log.level'), '--log-format', config.get('log.format')],
  ];
  return spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], detached: true });
}

/** Resolves once the agent is gone; one that ends by itself is told, and the others go on without it. */
export function whenExited(
  child: ChildProcess,
  { agentId, what }: DevAgent,
  log: ProcessLog,
  expected: () => boolean,
  another: string,
): Promise<void> {
  return new Promise((settle) => {
    const gone = (level: 'warn' | 'error', end: string): void => {
      if (!expected()) log[level]({ agentId }, `the ${what} ${end}; start another: ${another}`);
      settle();
    };
    // It ends with 0 when it was drained: somebody wanted that.
    child.on('exit', (code, signal) => {
      if (code === EXIT.ok) gone('warn', 'was drained and has ended');
      else gone('error', `has ended (${signal ?? code})`);
    });
    child.on('error', () => gone('error', 'could not be started'));
  });
}

/** The command that starts another agent in the place of ours; what was drained comes back cordoned. */
export function anotherAgent({ agentId, flags }: DevAgent, server: Server): string {
  const { address } = server.coordinator;
  const args = [
    ...['--coordinator', address, '--agent-id', agentId, ...flags],
    ...['--state-dir', devStateFolderOf(server.dbFile, agentId)],
  ];
  const uncordon = `holdfast agent uncordon ${agentId} --coordinator ${address}`;
  return `${commandWords(['holdfast', 'agent', 'start', ...args])} (after a drain also: ${uncordon})`;
}
