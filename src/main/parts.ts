/**
 * The parts that a process is made of, loaded when it is started and not before: plain client commands start without
 * them.
 */
import type { RunningAgent, WorkerOptions } from '../agent/options.js';
import type { Coordinator, CoordinatorOptions } from '../server/options.js';
import type { Store } from '../store/store.js';

/** Opens the embedded store; the coordinator closes it. */
export async function openStore(file: string): Promise<Store> {
  return (await import('../store/sqlite/open.js')).openSqliteStore({ file });
}

/** Starts a coordinator; it owns the store from here on. */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  return (await import('../server/coordinator.js')).startCoordinator(options);
}

/** Starts a worker agent. */
export async function startWorker(options: WorkerOptions): Promise<RunningAgent> {
  return (await import('../agent/worker.js')).startWorker(options);
}
