/*
 * What an agent is made of, gRPC first, loaded when one is started and not before: modules of handlers and of triggers
 * import the SDK for its definitions alone, and each of their processes would pay for all of it.
 */
import type { RunningAgent, TriggererOptions, WorkerOptions } from './options.js';

/** Starts a worker agent: takes its state directory over, starts its runner, dials. Throws when the directory is in use. */
export async function startWorker(options: WorkerOptions): Promise<RunningAgent> {
  return (await import('./worker.js')).startWorker(options);
}

/** Starts a triggerer agent: takes its state directory over, loads its triggers, dials. Throws when either is of no use. */
export async function startTriggerer(options: TriggererOptions): Promise<RunningAgent> {
  return (await import('./triggerer.js')).startTriggerer(options);
}
