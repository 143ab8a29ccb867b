import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { AgentEnd, RunningAgent, WorkerOptions } from '../agent/options.js';
import { EXIT, Failure } from '../cli/index.js';
import type { Config } from '../config/resolve.js';
import { agentFailure, stateDirectoryFailure } from './faults.js';
import { keepYoungGenerationSmall } from './garbage.js';
import { openLog } from './log.js';
import { handlerPool, startWorker } from './parts.js';
import { dataFolder, makeFolder } from './paths.js';
import { reloadLevel } from './server.js';
import { catchStopSignals, onFault, type StopSignals } from './signals.js';

/** `agent start`: runs until it is drained, stopped or broken; returns the exit code. */
export async function runAgent(config: Config, reload: () => Promise<Config>): Promise<number> {
  requireWorker(config);
  keepYoungGenerationSmall();
  const log = openLog(config, 'holdfast-agent');
  onFault(log, EXIT.internal);
  const signals = catchStopSignals();
  const agentId = config.get('agent.id');
  const stateDirectory = resolve(
    config.find('agent.stateDir') ?? resolve(dataFolder(process.env, homedir()), 'agents', agentId),
  );
  const options = {
    coordinator: config.get('coordinator'),
    agentId,
    queues: config.get('agent.queues'),
    slots: config.get('agent.slots'),
    labels: config.get('agent.labels'),
    stateDirectory,
    log,
    handlers: await poolOf(config),
  };
  const agent = await startAt(stateDirectory, options);
  // Of the handlers the module alone: their environment is nobody's business.
  log.info(
    { ...options, log: undefined, handlers: options.handlers?.module },
    `worker ${agentId} serves ${options.queues.join(', ')} with ${options.slots} slots; its state is in ${stateDirectory}`,
  );
  answerSignals(signals, agent, config.find('agent.drainTimeout'), () => reloadLevel(log, reload));
  const end = await agent.ended;
  signals.release();
  if (process.connected) process.disconnect();
  return exitCodeOf(end);
}

async function poolOf(config: Config): Promise<WorkerOptions['handlers']> {
  const module = config.find('agent.handlers');
  if (module === null) return null;
  return handlerPool(module, config.get('agent.slots'), {
    isolation: config.get('agent.isolation') === 'none' ? 'none' : 'process',
    memoryMib: config.get('agent.handlerMemory'),
    runsPerChild: config.get('agent.handlerRuns'),
    warm: config.find('agent.handlersWarm') ?? undefined,
    most: config.find('agent.handlersMost') ?? undefined,
  });
}

/** What commands leave in the state directory is nobody else's business; they themselves keep the user's umask. */
async function startAt(stateDirectory: string, options: WorkerOptions): Promise<RunningAgent> {
  try {
    makeFolder(stateDirectory);
  } catch (error) {
    throw stateDirectoryFailure(stateDirectory, error);
  }
  return startWorker(options).catch((error: unknown) => {
    throw agentFailure(error);
  });
}

function answerSignals(
  signals: StopSignals,
  agent: RunningAgent,
  drainTimeoutMs: number | null,
  reload: () => void,
): void {
  signals.answerWith({
    first: () => agent.drain(drainTimeoutMs),
    second: () => agent.stop(),
    reload,
  });
  if (process.send === undefined) return;
  // Started by another program of ours (dev): without it there is nobody to work for, and nobody to stop us.
  process.once('disconnect', () => agent.stop());
  if (!process.connected) agent.stop();
}

function exitCodeOf(end: AgentEnd): number {
  switch (end.kind) {
    case 'drained':
      return EXIT.ok;
    case 'stopped':
      return EXIT.interrupted;
    case 'fault':
      throw agentFailure(end.error);
  }
}

function requireWorker(config: Config): void {
  const kind = config.get('agent.kind');
  if (kind === 'worker') {
    if (config.get('agent.queues').length > 0) return;
    throw new Failure(EXIT.badConfiguration, 'BAD_CONFIGURATION', [
      {
        what: 'the worker has no queue',
        because: 'nothing could ever run on it',
        try: 'name one with --queue',
      },
    ]);
  }
  throw new Failure(EXIT.badConfiguration, 'KIND_NOT_SUPPORTED', [
    {
      what: `an agent of kind ${kind} cannot be started`,
      because: 'it is not in this version',
      try: 'start a worker: --kind worker',
    },
  ]);
}
