import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { commandWords, EXIT } from '../cli/index.js';
import type { Config } from '../config/resolve.js';
import { openLog, type ProcessLog } from './log.js';
import { devStateFolderOf } from './paths.js';
import { endedByFault, openServer, type Server } from './server.js';
import { catchStopSignals, onFault } from './signals.js';

const AGENT_ID = 'dev-worker';

/**
 * `dev`: a coordinator, and a worker as a child process, so that no command of a task can hold up the leases. Ends
 * with a signal; the worker is drained first.
 */
export async function runDev(config: Config): Promise<number> {
  const log = openLog(config, 'holdfast-dev');
  onFault(log, EXIT.unexpected);
  const signals = catchStopSignals();
  const server = await openServer(config, log);
  const worker = startWorkerProcess(config, server);
  process.stdout.write(banner(server, config));
  const { coordinator } = server;
  let stopping = false;
  const stopCoordinator = (): void => {
    coordinator.stop().catch((error: unknown) => log.error({ error: String(error) }, 'stopping went wrong'));
  };
  const exited = whenExited(worker, log, () => stopping, anotherWorker(config, server));
  signals.answerWith({
    first: () => {
      stopping = true;
      log.info({}, 'stopping: what runs may finish; once more to stop it now');
      worker.kill('SIGTERM');
      void exited.then(stopCoordinator);
    },
    // The worker has had its first signal: this one makes it stop what runs.
    second: () => worker.kill('SIGTERM'),
    reload: () => process.kill(process.pid, 'SIGTERM'),
  });
  const error = await coordinator.ended;
  stopping = true;
  // Without a coordinator there is nobody to drain for: the end of the channel makes the worker stop at once.
  if (error !== null && worker.connected) worker.disconnect();
  await exited;
  signals.release();
  server.close();
  if (error !== null) throw endedByFault(server.dbFile, error);
  return EXIT.ok;
}

/**
 * The worker is in a process group of its own: Ctrl-C reaches this process only, which then ends things in order. The
 * channel between the two ends with this process whatever happens to it, and the worker ends with the channel.
 */
function startWorkerProcess(config: Config, server: Server): ChildProcess {
  const drainMs = config.get('agent.drainTimeout');
  const handlers = config.find('agent.handlers');
  const args = [
    fileURLToPath(new URL('./bin.js', import.meta.url)),
    ...['agent', 'start', '--kind', 'worker', '--coordinator', server.coordinator.address],
    ...['--agent-id', AGENT_ID, '--slots', String(config.get('agent.slots'))],
    ...config.get('agent.queues').flatMap((queue) => ['--queue', queue]),
    ...['--state-dir', devStateFolderOf(server.dbFile, AGENT_ID), '--drain-timeout', `${drainMs}ms`],
    ...(handlers === null ? [] : ['--handlers', handlers]),
    ...['--isolation', config.get('agent.isolation')],
    ...(config.file === null ? [] : ['--config', config.file]),
    ...['--log-level', config.get('log.level'), '--log-format', config.get('log.format')],
  ];
  return spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], detached: true });
}

/** Resolves once the worker is gone; a worker that ends by itself is told, and the coordinator goes on without it. */
function whenExited(
  worker: ChildProcess,
  log: ProcessLog,
  expected: () => boolean,
  another: string,
): Promise<void> {
  return new Promise((resolve) => {
    const gone = (level: 'warn' | 'error', what: string): void => {
      if (!expected()) log[level]({ agentId: AGENT_ID }, `the worker ${what}; start another: ${another}`);
      resolve();
    };
    // It ends with 0 when it was drained: somebody wanted that.
    worker.on('exit', (code, signal) => {
      if (code === EXIT.ok) gone('warn', 'was drained and has ended');
      else gone('error', `has ended (${signal ?? code})`);
    });
    worker.on('error', () => gone('error', 'could not be started'));
  });
}

/** The command that starts another worker in the place of ours; what was drained comes back cordoned. */
function anotherWorker(config: Config, server: Server): string {
  const { address } = server.coordinator;
  const handlers = config.find('agent.handlers');
  const args = [
    ...['--coordinator', address, '--agent-id', AGENT_ID, '--slots', String(config.get('agent.slots'))],
    ...config.get('agent.queues').flatMap((queue) => ['--queue', queue]),
    ...['--state-dir', devStateFolderOf(server.dbFile, AGENT_ID)],
    ...(handlers === null ? [] : ['--handlers', handlers, '--isolation', config.get('agent.isolation')]),
  ];
  const uncordon = `holdfast agent uncordon ${AGENT_ID} --coordinator ${address}`;
  return `${commandWords(['holdfast', 'agent', 'start', ...args])} (after a drain also: ${uncordon})`;
}

function banner(server: Server, config: Config): string {
  const { address } = server.coordinator;
  const flag = address === '127.0.0.1:7400' ? '' : ` --coordinator ${address}`;
  const queues = config.get('agent.queues');
  const queue = queues.includes('default') ? '' : ` --queue ${queues[0]}`;
  const call = `  holdfast task submit${flag}${queue} --wait --handler NAME --input '{}'   # one of yours`;
  return [
    `coordinator  ${address}`,
    `worker       ${AGENT_ID}, ${config.get('agent.slots')} slots, queues ${queues.join(', ')}`,
    `data         ${server.dbFile}`,
    `task output  ${server.logDirectory}`,
    '',
    'Now, in another terminal:',
    `  holdfast task submit${flag}${queue} --wait -- sh -c 'echo hello from $HOLDFAST_AGENT_ID'`,
    ...(config.find('agent.handlers') === null ? [] : [call]),
    `  holdfast task list${flag}`,
    '',
    'Ctrl-C stops both.',
    '',
  ].join('\n');
}
