import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { NO_TIMETABLE } from '../core/dag/timetable.js';
import type { Frame, Note } from '../core/frames.js';
import { REAL_CLOCK, REAL_RANDOM } from '../engine/clock.js';
import { Engine, type EngineListener } from '../engine/engine.js';
import { streamIds } from '../engine/stream-ids.js';
import { REAL_TIMERS } from '../engine/timers.js';
import type { StreamId, TaskId, Token } from '../kit/ids.js';
import type { Log } from '../kit/log.js';
import { between, type MonoMs } from '../kit/time.js';
import { VERSION } from '../kit/version.js';
import type { Store } from '../store/store.js';
import { CONNECT } from '../wire/connect.js';
import { DagServiceService } from '../wire/gen/holdfast/v1/dag_service.js';
import { FleetServiceService } from '../wire/gen/holdfast/v1/fleet_service.js';
import { TaskServiceService } from '../wire/gen/holdfast/v1/task_service.js';
import { KEEPALIVE, LIMITS } from '../wire/limits.js';
import { doorkeeper } from './access.js';
import { Backups } from './backup.js';
import { BundleDesk } from './bundle-desk.js';
import { callerOf } from './callers.js';
import { dagService } from './dag-service.js';
import { fleetService } from './fleet-service.js';
import { drawCoordinatorId, taskIds } from './ids.js';
import { LogUpkeep } from './log-upkeep.js';
import { type LogOwner, TaskLogs } from './logs.js';
import { logNotes } from './notes.js';
import type { Coordinator, CoordinatorOptions, Outlet } from './options.js';
import type { AgentCall } from './outbox.js';
import { ProgressBoard } from './progress.js';
import { AgentStream } from './stream.js';
import { taskService } from './task-service.js';
import { ServerTls } from './tls.js';
import type { Specs } from './translate-down.js';
import { segmentTerms } from './try-log.js';
import { RunWatchers, Watchers } from './watchers.js';

/** How long agents wait at least before they dial again after a stop of ours. */
const RECONNECT_DELAY_MS = 500;
/** Between two lines about task output that cannot be written. */
const OUTPUT_COMPLAINT_MS = 10_000;
/** How long a stop waits for streams to end by themselves. */
const STOP_GRACE_MS = 1_000;

/** Starts a coordinator: the engine over the store, and the gRPC server in front of it. Throws when the port is taken. */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const coordinator = new RunningCoordinator(options);
  await coordinator.start();
  return coordinator;
}

class RunningCoordinator implements Coordinator, EngineListener {
  readonly coordinatorId = drawCoordinatorId();
  readonly ended: Promise<Error | null>;
  address = '';
  readonly #options: CoordinatorOptions;
  readonly #log: Log;
  readonly #server: Server;
  readonly #health = new HealthImplementation({ '': 'NOT_SERVING' });
  readonly #streams = new Map<StreamId, AgentStream>();
  readonly #watchers = new Watchers();
  readonly #runWatchers = new RunWatchers();
  readonly #nextStream = streamIds();
  readonly #alarms = new Set<string>();
  #outputFailedAt: MonoMs | null = null;
  #removing: Promise<void> = Promise.resolve();
  #engine: Engine | null = null;
  #logs: TaskLogs | null = null;
  #upkeep: LogUpkeep | null = null;
  #outlet: Outlet | null = null;
  #tls: ServerTls | null = null;
  #stopped: Promise<void> | null = null;
  #end: (error: Error | null) => void = () => {};

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#log = options.log;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#server = new Server({
      ...KEEPALIVE,
      'grpc.max_receive_message_length': LIMITS.messageBytes,
      'grpc.max_concurrent_streams': 100,
      'grpc.enable_channelz': 0,
      interceptors: this.#asks ? [doorkeeper(REAL_CLOCK, this.#log)] : [],
    });
  }

  /** Whether callers have to say who they are. */
  get #asks(): boolean {
    return (this.#options.tls?.clientCaFile ?? null) !== null;
  }

  async start(): Promise<void> {
    const { store, policy, host, port, logDirectory } = this.#options;
    const { coordinatorId } = this;
    const newTaskId = taskIds(() => REAL_CLOCK.wall());
    const engine = await Engine.start({
      store,
      policy,
      coordinatorId,
      clock: REAL_CLOCK,
      timers: REAL_TIMERS,
      random: REAL_RANDOM,
      newTaskId,
      timetable: this.#options.timetable ?? NO_TIMETABLE,
      listener: this,
    });
    this.#engine = engine;
    const directory = logDirectory ?? join(tmpdir(), `holdfast-${coordinatorId}`);
    const complain = (error: unknown) => this.#outputFailed(error);
    const logs = new TaskLogs({
      directory,
      findOwner: (token, taskId) => findOwner(engine, store, token, taskId),
      segments: segmentTerms(policy.logs.perTryBytes),
      complain,
    });
    this.#logs = logs;
    this.#upkeep = new LogUpkeep({
      ...{ logs, store, policy: policy.logs, serviceNow: () => engine.serviceNow, complain },
      after: (ms, task) => REAL_TIMERS.after(ms, task),
    });
    this.#addServices(engine, this.#logs, newTaskId);
    try {
      this.#outlet = (await this.#options.outlet?.(() => engine.serviceNow)) ?? null;
      this.#tls = this.#openTls();
      this.address = await this.#listen(host, port, this.#tls ?? ServerCredentials.createInsecure());
    } catch (error) {
      this.#tls?.close();
      await this.#outlet?.stop();
      await engine.stop();
      throw error;
    }
    this.#upkeep.start();
    this.#health.setStatus('', 'SERVING');
  }

  #addServices(engine: Engine, logs: TaskLogs, newTaskId: () => TaskId): void {
    const { store, policy } = this.#options;
    const { coordinatorId } = this;
    const coordinates = {
      coordinatorId,
      software: `holdfast/${VERSION}`,
      maxInventory: policy.limits.inventory,
    };
    const log = this.#log;
    const progress = new ProgressBoard(engine.state, this.#watchers);
    const gone = (streamId: StreamId) => void this.#streams.delete(streamId);
    const maxSlots = policy.limits.slots;
    const bundles = new BundleDesk({
      ...{ engine, clock: REAL_CLOCK, timers: REAL_TIMERS, check: this.#options.checkDag ?? null },
      checkLarge: this.#options.checkLargeDag ?? null,
    });
    const streamHost = {
      engine,
      bundles,
      clock: REAL_CLOCK,
      timers: REAL_TIMERS,
      logs,
      progress,
      log,
      coordinates,
      maxSlots,
      gone,
    };
    this.#server.addService(
      { connect: CONNECT },
      {
        connect: (call: AgentCall) => {
          const streamId = this.#nextStream();
          const caller = callerOf(call.getAuthContext(), this.#asks);
          this.#streams.set(streamId, new AgentStream(streamId, call, caller, streamHost));
        },
      },
    );
    const after = (ms: number, task: () => void) => REAL_TIMERS.after(ms, task);
    this.#server.addService(
      TaskServiceService,
      taskService({ engine, store, logs, progress, watchers: this.#watchers, log, newTaskId, after }),
    );
    this.#server.addService(
      DagServiceService,
      dagService({
        ...{ engine, store, runWatchers: this.#runWatchers, log },
        rest: () => new Promise((resolve) => REAL_TIMERS.soon(resolve)),
      }),
    );
    const startedAt = REAL_CLOCK.wall();
    const backups = new Backups(store, REAL_CLOCK, log);
    const alarms = () => [
      ...this.#alarms,
      ...(engine.storeFull ? ['store_full'] : []),
      ...(logs.full ? ['output_full'] : []),
      ...(this.#tls?.expired ? ['certificate_expired'] : []),
      ...(this.#outlet?.failing ? ['webhook_failing'] : []),
    ];
    this.#server.addService(
      FleetServiceService,
      fleetService({ engine, backups, log, coordinatorId, version: VERSION, startedAt, alarms }),
    );
    this.#health.addToServer(this.#server);
  }

  #openTls(): ServerTls | null {
    const files = this.#options.tls ?? null;
    if (files === null) return null;
    return ServerTls.open({
      ...{ files, log: this.#log, clock: REAL_CLOCK, timers: REAL_TIMERS },
      authoritiesChanged: () => this.#comeAgain(),
    });
  }

  readCertificates(): void {
    this.#tls?.reload();
  }

  /** Every connection was accepted on the word of authorities that may no longer count: all are made anew. */
  #comeAgain(): void {
    for (const stream of this.#streams.values())
      stream.reconnect('other authorities vouch for agents now', RECONNECT_DELAY_MS);
    this.#server.drain(this.address, STOP_GRACE_MS);
  }

  #listen(host: string, port: number, credentials: ServerCredentials): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(`${host}:${port}`, credentials, (error, bound) => {
        if (error === null) resolve(`${host}:${bound}`);
        else reject(error);
      });
    });
  }

  send(frames: readonly Frame[], specs: Specs): void {
    for (const frame of frames) this.#streams.get(frame.streamId)?.send(frame, specs);
  }

  changed(tasks: Parameters<EngineListener['changed']>[0]): void {
    this.#watchers.changed(tasks);
    this.#runWatchers.instancesChanged(tasks);
  }

  runsChanged(runs: Parameters<EngineListener['runsChanged']>[0]): void {
    this.#runWatchers.runsChanged(runs);
  }

  /** One step after the other: a slow disk piles up no more than names. */
  removed(taskIds: readonly TaskId[]): void {
    this.#removing = this.#removing.then(() => this.#logs?.remove(taskIds));
  }

  noted(notes: readonly Note[]): void {
    logNotes(this.#log, notes);
    if (notes.some((note) => note.kind === 'storm_brake')) this.#alarms.add('storm_brake');
    if (notes.some((note) => note.kind === 'commits_lost')) this.#alarms.add('commits_lost');
  }

  notified(): void {
    this.#outlet?.notified();
  }

  /** A full disk fails every write: it is said once in a while. */
  #outputFailed(error: unknown): void {
    const now = REAL_CLOCK.mono();
    if (this.#outputFailedAt !== null && between(this.#outputFailedAt, now) < OUTPUT_COMPLAINT_MS) return;
    this.#outputFailedAt = now;
    this.#log.error(
      { error: String(error) },
      'task output cannot be written or removed; agents keep what is new and send it again',
    );
  }

  broke(error: Error): void {
    this.#log.error(
      { error: error.message, stack: error.stack },
      'the coordinator stops: nothing more is confirmed',
    );
    this.#tls?.close();
    this.#server.forceShutdown();
    const ends = [this.#outlet, this.#upkeep].map(async (part) => part?.stop());
    const closed = Promise.allSettled([...ends, this.#removing])
      .then(() => this.#logs?.close())
      .catch(() => {})
      .then(() => this.#options.store.close());
    // Whoever starts another on the same database has to find it closed.
    void closed.catch(() => {}).then(() => this.#end(error));
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#health.setStatus('', 'NOT_SERVING');
    this.#tls?.close();
    // What has arrived is decided and answered before the streams end; the sessions live on (P7).
    await this.#engine?.stop();
    for (const stream of this.#streams.values())
      stream.reconnect('the coordinator is stopping', RECONNECT_DELAY_MS);
    await new Promise<void>((resolve) => {
      const timer = REAL_TIMERS.after(STOP_GRACE_MS, () => {
        this.#server.forceShutdown();
        // The library waits for peers to close their side, which one that says nothing never does.
        resolve();
      });
      this.#server.tryShutdown(() => {
        timer.cancel();
        resolve();
      });
    });
    await this.#removing;
    await this.#upkeep?.stop();
    await this.#logs?.close();
    await this.#outlet?.stop();
    await this.#options.store.close();
    this.#end(null);
  }
}

/** Whose output a token is: memory knows the open ones, the history the others. */
async function findOwner(
  engine: Engine,
  store: Store,
  token: Token,
  taskId: TaskId,
): Promise<LogOwner | null> {
  const open = engine.state.open.get(token);
  if (open?.open) return { agentId: open.open.agentId, taskId: open.taskId, tryNumber: open.open.tryNumber };
  const history = await store.readHistory(taskId);
  const permitted = history.find(
    (row) => (row.event === 'permitted' || row.event === 'regained') && row.token === token,
  );
  if (permitted === undefined || permitted.agentId === '') return null;
  return { agentId: permitted.agentId, taskId, tryNumber: permitted.tryNumber };
}
