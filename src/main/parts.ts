/**
 * The parts that a process is made of, loaded when it is started and not before: plain client commands start without
 * them.
 */
import type { DagProcessorOptions } from '../agent/dag-processor.js';
import type { handlerPool as poolOf } from '../agent/handlers/pool-options.js';
import type { RunningAgent, TriggererOptions, WorkerOptions } from '../agent/options.js';
import type { Log } from '../kit/log.js';
import type { Coordinator, CoordinatorOptions, Outlet } from '../server/options.js';
import type { Store } from '../store/store.js';
import type { WebhookOptions } from '../webhooks/endpoint.js';

/** Opens the embedded store; the coordinator closes it. */
export async function openStore(file: string): Promise<Store> {
  return (await import('../store/sqlite/open.js')).openSqliteStore({ file });
}

/** Opens a schema of a PostgreSQL database; the coordinator closes it. */
export async function openPostgres(url: string, schema: string): Promise<Store> {
  const { REAL_CLOCK: clock } = await import('../engine/clock.js');
  const { REAL_TIMERS: timers } = await import('../engine/timers.js');
  const { processIdentity } = await import('./process-identity.js');
  const { openPostgresStore } = await import('../store/postgres/open.js');
  const outside = {
    mono: () => clock.mono(),
    after: (ms: number, task: () => void) => timers.after(ms, task),
  };
  return openPostgresStore({ url, schema, identity: processIdentity(), outside });
}

/** Starts a coordinator; it owns the store from here on. */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  return (await import('../server/coordinator.js')).startCoordinator(options);
}

/** What a coordinator needs for DAGs: their instants, and the rules that DAG files are checked by. */
export async function dagParts(): Promise<
  Required<Pick<CoordinatorOptions, 'timetable' | 'checkDag' | 'checkLargeDag'>>
> {
  const { verdictOn: checkDag } = await import('../dag/check/verdict.js');
  const { CheckerApart } = await import('../dag/apart/checker.js');
  const { openTimetable } = await import('../dag/timetable.js');
  return { timetable: openTimetable(), checkDag, checkLargeDag: new CheckerApart() };
}

/** What a worker needs for its handlers. */
export async function handlerPool(
  ...chosen: Parameters<typeof poolOf>
): Promise<NonNullable<WorkerOptions['handlers']>> {
  return (await import('../agent/handlers/pool-options.js')).handlerPool(...chosen);
}

/** Starts a worker agent. */
export async function startWorker(options: WorkerOptions): Promise<RunningAgent> {
  return (await import('../agent/worker.js')).startWorker(options);
}

/** Starts a triggerer agent; `module` is a path from the working directory, or a URL. */
export async function startTriggerer(options: TriggererOptions): Promise<RunningAgent> {
  const { moduleUrl } = await import('../agent/handlers/pool-options.js');
  const { startTriggerer: start } = await import('../agent/triggerer.js');
  return start({ ...options, module: options.module === null ? null : moduleUrl(options.module) });
}

/** Starts a DAG processor for the DAG files in a folder; what cannot be read is told in its log, and tried again. */
export async function startDagProcessor(
  options: Omit<DagProcessorOptions, 'watch'>,
  folder: string,
  timeoutMs: number,
): Promise<RunningAgent> {
  const { watchBundle } = await import('../dag/bundle/watch.js');
  const { startDagProcessor: start } = await import('../agent/dag-processor.js');
  const onFailure = ({ message }: Error) =>
    options.log.error(
      { event: 'bundle_unreadable', bundle: options.bundle, folder },
      `the bundle cannot be read: ${message}; what is in force stays`,
    );
  return start({ ...options, watch: (told) => watchBundle(folder, told, { onFailure, timeoutMs }) });
}

/** What delivers notifications to these endpoints; null when there are none. */
export function outletOf(
  webhooks: readonly WebhookOptions[],
  store: Store,
  log: Log,
): NonNullable<CoordinatorOptions['outlet']> | null {
  if (webhooks.length === 0) return null;
  return async (serviceNow): Promise<Outlet> => {
    const { REAL_CLOCK: clock, REAL_RANDOM: random } = await import('../engine/clock.js');
    const { REAL_TIMERS: timers } = await import('../engine/timers.js');
    const { startWebhooks } = await import('../webhooks/start.js');
    return startWebhooks(webhooks, { store, clock, timers, random, log, serviceNow });
  };
}
