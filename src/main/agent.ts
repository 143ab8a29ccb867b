import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { AgentEnd, RunningAgent, WorkerOptions } from '../agent/options.js';
import { EXIT, Failure } from '../cli/index.js';
import type { Config } from '../config/resolve.js';
import { agentFailure, badConfiguration, readableFolder, stateDirectoryFailure } from './faults.js';
import { openLog, type ProcessLog } from './log.js';
import { handlerPool, startDagProcessor, startTriggerer, startWorker } from './parts.js';
import { dataFolder, makeFolder } from './paths.js';
import { reloadLevel } from './server.js';
import { asFailure } from './settings.js';
import { catchStopSignals, onFault, type StopSignals } from './signals.js';
import { clientTlsOf } from './tls.js';

/** `agent start`: runs until it is drained, stopped or broken; returns the exit code. */
export async function runAgent(config: Config, reload: () => Promise<Config>): Promise<number> {
  const start = starterOf(config);
  const log = await openLog(config, 'holdfast-agent');
  onFault(log, EXIT.internal);
  const signals = catchStopSignals();
  const tls = await asFailure(EXIT.badConfiguration, () => clientTlsOf(config, Date.now()));
  const agentId = agentIdOf(config);
  const stateDirectory = resolve(
    config.find('agent.stateDir') ?? resolve(dataFolder(process.env, homedir()), 'agents', agentId),
  );
  makeStateFolder(stateDirectory);
  const common = { coordinator: config.get('coordinator'), tls, agentId, stateDirectory, log };
  const agent = await start(config, common).catch((error: unknown) => {
    throw error instanceof Failure ? error : agentFailure(error);
  });
  answerSignals(signals, agent, config.find('agent.drainTimeout'), () => reloadLevel(log, reload));
  const end = await agent.ended;
  signals.release();
  if (process.connected) process.disconnect();
  return exitCodeOf(end);
}

type Common = Pick<WorkerOptions, 'coordinator' | 'tls' | 'agentId' | 'stateDirectory'> & {
  readonly log: ProcessLog;
};
type Start = (config: Config, common: Common) => Promise<RunningAgent>;

/** How an agent of the kind is started, once what it cannot do without is there. Throws Failure. */
function starterOf(config: Config): Start {
  const kind = config.get('agent.kind');
  switch (kind) {
    case 'worker':
      if (config.get('agent.queues').length > 0) return startConfiguredWorker;
      throw badConfiguration(
        'the worker has no queue',
        'nothing could ever run on it',
        'name one with --queue',
      );
    case 'dag-processor':
      bundleFolderOf(config);
      return startConfiguredProcessor;
    case 'triggerer':
      return startConfiguredTriggerer;
  }
}

/** Agents of several kinds on one host are several agents: by default their names differ. */
function agentIdOf(config: Config): string {
  const agentId = config.get('agent.id');
  const kind = config.get('agent.kind');
  const isChosen = config.origin('agent.id').kind !== 'default';
  return isChosen || kind === 'worker' ? agentId : `${agentId.slice(0, 110)}-${kind}`;
}

async function startConfiguredWorker(config: Config, common: Common): Promise<RunningAgent> {
  const options = {
    ...common,
    queues: config.get('agent.queues'),
    slots: config.get('agent.slots'),
    labels: config.get('agent.labels'),
    handlers: await poolOf(config),
  };
  const agent = await startWorker(options);
  const { log, agentId, queues, slots, stateDirectory } = options;
  // Of the handlers the module alone: their environment is nobody's business.
  log.info(
    { ...options, log: undefined, handlers: options.handlers?.module },
    `worker ${agentId} serves ${queues.join(', ')} with ${slots} slots; its state is in ${stateDirectory}`,
  );
  return agent;
}

/** Triggers of one triggerer, unless somebody has said otherwise: they wait, so processors do not count. */
const TRIGGERER_SLOTS = 10_000;

async function startConfiguredTriggerer(config: Config, common: Common): Promise<RunningAgent> {
  const isChosen = config.origin('agent.slots').kind !== 'default';
  const slots = isChosen ? config.get('agent.slots') : TRIGGERER_SLOTS;
  const module = config.find('agent.triggers');
  const agent = await startTriggerer({ ...common, slots, module, labels: config.get('agent.labels') });
  const { log, agentId, stateDirectory } = common;
  log.info(
    { ...common, log: undefined, slots, module },
    `triggerer ${agentId} waits for ${slots} triggers at once; its state is in ${stateDirectory}`,
  );
  return agent;
}

async function startConfiguredProcessor(config: Config, common: Common): Promise<RunningAgent> {
  const folder = bundleFolderOf(config);
  const bundle = config.get('agent.bundleName');
  const agent = await startDagProcessor({ ...common, bundle }, folder, config.get('agent.parseTimeout'));
  const { log, agentId, stateDirectory } = common;
  log.info(
    { ...common, log: undefined, bundle, folder },
    `DAG processor ${agentId} reads bundle ${bundle} in ${folder}; its state is in ${stateDirectory}`,
  );
  return agent;
}

/** Where the DAG files are. That it is there is asked once: later it may go and come back, and no DAG goes with it. */
function bundleFolderOf(config: Config): string {
  const given = config.find('agent.bundle');
  if (given === null)
    throw badConfiguration(
      'the DAG processor has no bundle',
      'it would have no DAG files to read',
      'name their folder with --bundle',
    );
  return readableFolder(given, '--bundle');
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
function makeStateFolder(stateDirectory: string): void {
  try {
    makeFolder(stateDirectory);
  } catch (error) {
    throw stateDirectoryFailure(stateDirectory, error);
  }
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
