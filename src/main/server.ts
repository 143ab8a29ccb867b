import { resolve } from 'node:path';
import { EXIT, Failure } from '../cli/index.js';
import { checkListening, policyOf } from '../config/policy.js';
import type { Config } from '../config/resolve.js';
import type { Coordinator } from '../server/options.js';
import type { ServerTlsFiles } from '../server/tls.js';
import type { Store } from '../store/store.js';
import { eventsOf } from '../webhooks/endpoint.js';
import { removeAddressFile, removeStaleAddressFile, writeAddressFile } from './address-file.js';
import { listenFailure, placeFailure } from './faults.js';
import { openLog, type ProcessLog } from './log.js';
import { dagParts, outletOf, startCoordinator } from './parts.js';
import { logFolderOf, makeFolder } from './paths.js';
import { restoreBackup } from './restore.js';
import { asFailure } from './settings.js';
import { catchStopSignals, onFault } from './signals.js';
import { type StorePlace, storePlaceOf } from './store-place.js';
import { serverTlsOf } from './tls.js';
import { webhooksOf } from './webhooks.js';

/** A coordinator with everything around it. */
export interface Server {
  readonly coordinator: Coordinator;
  readonly place: StorePlace;
  /** Beside it is what agents that `dev` starts keep. */
  readonly dbFile: string;
  readonly logDirectory: string;
  /** Takes back the address file; called once the coordinator has ended. */
  close(): void;
}

/** Opens the store, starts the coordinator, then tells its address. Throws Failure. */
export async function openServer(
  config: Config,
  log: ProcessLog,
  backup: string | null,
  tls: ServerTlsFiles | null,
): Promise<Server> {
  const webhooks = await asFailure(EXIT.usage, () => webhooksOf(config));
  const policy = await asFailure(EXIT.usage, () => policyOf(config));
  await asFailure(EXIT.usage, () => checkListening(config, tls !== null));
  const dbFile = resolve(config.get('server.dbFile'));
  const logDirectory = logFolderOf(dbFile);
  const host = config.get('server.host');
  const port = config.get('server.port');
  const addressFile = config.find('server.addressFile');
  const place = await asFailure(EXIT.usage, () => storePlaceOf(config, dbFile));
  if (backup !== null) {
    if (!place.isFile) throw noRestore(backup, place);
    await restoreBackup(backup, dbFile);
    log.warn({ backup, dbFile }, 'restored: nothing is confirmed until a lease has passed');
  }
  const store = await openStoreAt(place, logDirectory, addressFile);
  let coordinator: Coordinator;
  try {
    const outlet = outletOf(webhooks, store, log);
    const notify = eventsOf(webhooks);
    coordinator = await startCoordinator({
      ...{ host, port, store, logDirectory, log, outlet, tls, ...(await dagParts()) },
      policy: { ...policy, notify },
    });
  } catch (error) {
    await store.close().catch(() => {});
    throw listenFailure(host, port, error);
  }
  const { address: grpc, coordinatorId } = coordinator;
  if (addressFile !== null)
    writeAddressFile(addressFile, { grpc, pid: process.pid, coordinatorId, dbFile: place.shown });
  return {
    coordinator,
    place,
    dbFile,
    logDirectory,
    close: () => {
      if (addressFile !== null) removeAddressFile(addressFile);
    },
  };
}

async function openStoreAt(
  place: StorePlace,
  logDirectory: string,
  addressFile: string | null,
): Promise<Store> {
  let store: Store | null = null;
  try {
    store = await place.open();
    makeFolder(logDirectory);
    if (addressFile !== null) removeStaleAddressFile(addressFile);
    return store;
  } catch (error) {
    await store?.close().catch(() => {});
    throw placeFailure(place, error);
  }
}

const noRestore = (backup: string, { shown }: StorePlace): Failure =>
  new Failure(EXIT.usage, 'RESTORE_REFUSED', [
    {
      what: `${backup} is not restored`,
      because: `the rows are in ${shown}, and no backup of a file can be put there`,
      try: 'restore a dump with pg_restore into a schema that is not there, then start without --restore',
    },
  ]);

/** `server start`: runs until a signal or a fault; returns the exit code. */
export async function runServer(
  config: Config,
  reload: () => Promise<Config>,
  backup: string | null,
): Promise<number> {
  const log = await openLog(config, 'holdfast-server');
  onFault(log, EXIT.unexpected);
  const signals = catchStopSignals();
  const tls = await asFailure(EXIT.usage, () => serverTlsOf(config, Date.now()));
  const server = await openServer(config, log, backup, tls);
  const { coordinator } = server;
  log.info(
    {
      address: coordinator.address,
      coordinatorId: coordinator.coordinatorId,
      ...(server.place.isFile ? { dbFile: server.dbFile } : { store: server.place.shown }),
      logDirectory: server.logDirectory,
      heartbeatIntervalMs: config.get('server.heartbeatInterval'),
      configFile: config.file,
      tls,
    },
    `coordinator accepts calls on ${coordinator.address}; its data is in ${server.place.shown}`,
  );
  signals.answerWith({
    first: (signal) => {
      log.info({ signal }, 'stopping: agents will come back to the next coordinator, their work goes on');
      coordinator
        .stop()
        .catch((error: unknown) => log.error({ error: String(error) }, 'stopping went wrong'));
    },
    second: () => process.exit(EXIT.interrupted),
    reload: () => {
      coordinator.readCertificates();
      reloadLevel(log, reload);
    },
  });
  const error = await coordinator.ended;
  signals.release();
  server.close();
  if (error !== null) throw endedByFault(server.place, error);
  log.info({}, 'coordinator has stopped');
  return EXIT.ok;
}

/** Why a coordinator that was running had to end itself. */
export function endedByFault(place: StorePlace, error: Error): Failure {
  if ('fault' in error) return placeFailure(place, error);
  return new Failure(EXIT.unexpected, 'COORDINATOR_FAILED', [
    {
      what: 'the coordinator had to end itself',
      because: error.message,
      try: 'start it again: nothing acknowledged is lost; please report it with the log lines above',
    },
  ]);
}

/** SIGHUP: what can change while the process runs. */
export function reloadLevel(log: ProcessLog, reload: () => Promise<Config>): void {
  reload().then(
    (config) => {
      log.level = config.get('log.level');
      log.info(
        { level: log.level },
        'configuration read again: the log level may change, and the files of certificates are read; nothing else does',
      );
    },
    (error: unknown) =>
      log.error({ error: String(error) }, 'the configuration cannot be used; all stays as it was'),
  );
}
