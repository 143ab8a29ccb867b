import type { DagCall } from '../../../src/core/dag/calls.js';
import type { DagDefinition, Json, TaskDefinition } from '../../../src/core/dag/definition.js';
import { NOTHING_OF_DAGS } from '../../../src/core/dag/inputs.js';
import type { AssetRow, DagRow, RunRow } from '../../../src/core/dag/rows.js';
import { NO_TIMETABLE, type Timetable } from '../../../src/core/dag/timetable.js';
import { Draft } from '../../../src/core/draft.js';
import type { Frame, Note, Permit, TriggerAck, TriggerStart } from '../../../src/core/frames.js';
import type { Deferral, NewTask, Report, TriggerEvent } from '../../../src/core/inputs.js';
import { DEFAULT_POLICY, type Policy } from '../../../src/core/policy.js';
import type { TaskRow } from '../../../src/core/rows.js';
import { Engine } from '../../../src/engine/engine.js';
import { putsOf } from '../../../src/engine/puts.js';
import type { Timers } from '../../../src/engine/timers.js';
import type { AgentId, Epoch, InstanceId, Nonce, StreamId, TaskId, Token } from '../../../src/kit/ids.js';
import { Inventory } from '../../../src/kit/inventory.js';
import { seededRandom } from '../../../src/kit/random.js';
import type { MonoMs, WallMs } from '../../../src/kit/time.js';
import { MemoryStore } from '../../../src/store/memory/store.js';
import type { Store } from '../../../src/store/store.js';

/** 2026-01-01T00:00:00Z. */
export const NEW_YEAR = Date.UTC(2026, 0, 1) as WallMs;

/** A task that says nothing but what a test is about. */
export function task(taskId: string, change: Partial<TaskDefinition> = {}): TaskDefinition {
  return {
    taskId,
    work: { kind: 'handler', name: 'work', input: null },
    needs: [],
    triggerRule: 'all_success',
    when: '',
    shortCircuit: false,
    expand: '',
    wait: null,
    retries: 0,
    retryBackoff: { initialMs: 1_000, maxMs: 1_000 },
    executionTimeoutMs: null,
    queuedTimeoutMs: null,
    killGraceMs: 1_000,
    queue: 'default',
    priority: 0,
    requiredLabels: {},
    pool: 'default_pool',
    poolSlots: 1,
    partitionPolicy: 'reassign',
    holdTimeoutMs: 60_000,
    inlets: [],
    outlets: [],
    ...change,
  };
}

export function dag(
  dagId: string,
  tasks: readonly TaskDefinition[],
  change: Partial<DagDefinition> = {},
): DagDefinition {
  return {
    dagId,
    description: '',
    tags: [],
    schedule: { kind: 'none' },
    startDate: null,
    endDate: null,
    catchup: false,
    maxActiveRuns: 16,
    maxActiveTasks: 16,
    dagrunTimeoutMs: null,
    pausedUponCreation: false,
    params: {},
    tasks,
    ...change,
  };
}

/** Clocks and timers that go on only when they are told to. */
class Clockwork implements Timers {
  now = 1_000;
  #pulse: () => void = () => {};
  #soon: (() => void)[] = [];
  #later: { at: number; task: () => void }[] = [];

  readonly clock = {
    mono: () => this.now as MonoMs,
    wall: () => (NEW_YEAR + this.now) as WallMs,
  };

  soon(task: () => void): void {
    this.#soon.push(task);
  }

  every(_: number, task: () => void) {
    this.#pulse = task;
    return { cancel: () => {} };
  }

  after(ms: number, task: () => void) {
    const timer = { at: this.now + ms, task };
    this.#later.push(timer);
    const cancel = () => {
      this.#later = this.#later.filter((other) => other !== timer);
    };
    return { cancel };
  }

  step(ms: number): void {
    this.now += ms;
    const due = this.#later.filter(({ at }) => at <= this.now);
    this.#later = this.#later.filter(({ at }) => at > this.now);
    for (const { task } of due) task();
    this.#pulse();
  }

  get isIdle(): boolean {
    return this.#soon.length === 0;
  }

  run(): void {
    for (const task of this.#soon.splice(0)) task();
  }
}

/** What a test says of how a run of an instance ends. */
export type End = Partial<Pick<Report, 'kind' | 'reason' | 'message' | 'deferral'>> & {
  readonly result?: Json;
};

/** A deferral, of which a test says what it is about. */
export function deferral(change: Partial<Deferral> = {}): End {
  const of = { kind: 'date_time', input: '{"at":"2026-01-02"}', state: '', timeoutMs: null, ...change };
  return { kind: 'deferred', deferral: of };
}

/** What a store throws whose process is killed right behind a commit: nothing of it is settled or told. */
export const KILLED = new Error('killed');

/** A real engine over a real store, in memory unless told otherwise, with clocks that a test turns and one worker that does what it is told. */
export class DagWorld {
  engine!: Engine;
  readonly store: Store;
  /** Whether the coordinator was killed by what its store has thrown. */
  isDead = false;
  /** All that was sent and noted since the test began. */
  readonly frames: Frame[] = [];
  readonly notes: Note[] = [];
  readonly clockwork = new Clockwork();
  readonly timetable: Timetable;
  readonly policy: Policy;
  #tasks = 0;
  #streams = 0;
  #worker: Worker | null = null;
  #triggerers: ScriptedTriggerer[] = [];

  constructor(
    timetable: Timetable = NO_TIMETABLE,
    policy: Partial<Policy> = {},
    store: Store = new MemoryStore(),
  ) {
    this.store = store;
    this.timetable = timetable;
    this.policy = { ...DEFAULT_POLICY, ...policy };
  }

  get wall(): WallMs {
    return this.clockwork.clock.wall();
  }

  /** Starts the coordinator, with these definitions in force. */
  static async with(
    definitions: readonly DagDefinition[],
    timetable?: Timetable,
    policy?: Partial<Policy>,
    store?: Store,
  ): Promise<DagWorld> {
    const world = new DagWorld(timetable, policy, store);
    await world.start();
    for (const definition of definitions) await world.define(definition);
    await world.restart();
    return world;
  }

  async start(): Promise<void> {
    this.engine = await Engine.start({
      store: this.store,
      policy: this.policy,
      coordinatorId: 'c',
      clock: this.clockwork.clock,
      timers: this.clockwork,
      random: seededRandom(1),
      newTaskId: () => `task-${String(++this.#tasks).padStart(5, '0')}` as TaskId,
      timetable: this.timetable,
      listener: {
        send: (frames) => {
          this.frames.push(...frames);
          this.#worker?.hear(frames);
          for (const triggerer of this.#triggerers) triggerer.hear(frames);
        },
        changed: () => {},
        runsChanged: () => {},
        removed: () => {},
        notified: () => {},
        noted: (notes) => void this.notes.push(...notes),
        broke: (error) => {
          if (error !== KILLED) throw error;
          this.isDead = true;
        },
      },
    });
  }

  /** kill -9 of the coordinator, and a new one on the same store. */
  async restart(): Promise<void> {
    this.isDead = false;
    this.#worker = null;
    this.#triggerers = [];
    await this.start();
    await this.pass(200);
  }

  /** Puts a definition in force as a snapshot would, with its next instant from now on. */
  async define(definition: DagDefinition, change: Partial<DagRow> = {}): Promise<void> {
    const { dagId, schedule, startDate, endDate, catchup, maxActiveRuns, description, tags } = definition;
    const isTimed = schedule.kind === 'cron' || schedule.kind === 'interval';
    const after = (catchup && startDate !== null ? startDate - 1 : this.wall) as WallMs;
    const known = this.engine.state.dags.dags.get(dagId);
    const definitionVersion = (known?.definitionVersion ?? 0) + 1;
    const draft = new Draft(this.engine.state, this.engine.context(), {
      ...{ tasks: new Map(), histories: new Map(), byKey: new Map(), due: [], finished: null },
      dags: NOTHING_OF_DAGS,
    });
    const params = Object.entries(definition.params).map(([name, param]) => [name, param.default]);
    draft.dags.putDag({
      ...{ dagId, version: 0, bundle: 'main', file: `${dagId}.dag.yaml`, definitionVersion },
      ...{ definitionHash: `hash ${definitionVersion}`, schedule, startDate, endDate, catchup },
      ...{ maxActiveRuns, description, tags, taskCount: definition.tasks.length },
      defaultParams: JSON.stringify(Object.fromEntries(params)),
      ...{ active: true, paused: false, importError: null, firstSeenAt: this.wall, changedAt: this.wall },
      nextInstant: isTimed ? this.timetable.next(schedule, after, startDate) : null,
      lastInstant: null,
      pendingAssets: [],
      ...change,
    });
    draft.dags.versions.push({
      ...{ dagId, definitionVersion, hash: `hash ${definitionVersion}`, createdAt: this.wall },
      definition: JSON.stringify(definition),
    });
    await this.store.commit(putsOf(draft));
    draft.dags.settle();
  }

  /** Writes rows beside the coordinator, as a commit does whose process is killed right behind it. */
  async #store(put: (draft: Draft) => void): Promise<void> {
    const draft = new Draft(this.engine.state, this.engine.context(), {
      ...{ tasks: new Map(), histories: new Map(), byKey: new Map(), due: [], finished: null },
      dags: NOTHING_OF_DAGS,
    });
    put(draft);
    await this.store.commit(putsOf(draft));
  }

  async storeDag(row: DagRow): Promise<void> {
    await this.#store((draft) => void draft.dags.dags.set(row.dagId, row));
  }

  async storeAsset(row: AssetRow): Promise<void> {
    await this.#store((draft) => void draft.dags.assets.set(row.asset, row));
  }

  /** The first asset events, up to a number, and then the newest one. */
  async storeEvents(upTo: number, newest: number): Promise<void> {
    const numbers = [...Array.from({ length: upTo }, (_, n) => n + 1), newest];
    const rest = { asset: 'x', at: this.wall, source: null, extra: '' };
    await this.#store((draft) => {
      for (const n of numbers) draft.dags.assetEvents.push({ n, ...rest });
      draft.dags.putAsset({ asset: 'x', version: 0, lastEvent: newest, lastEventAt: this.wall });
    });
  }

  /** Everything that can happen without time passing does. */
  async idle(): Promise<void> {
    for (let quiet = 0; quiet < 100; quiet++) {
      if (!this.clockwork.isIdle) quiet = 0;
      this.clockwork.run();
      this.#worker?.speak();
      for (const triggerer of this.#triggerers) triggerer.speak();
      await Promise.resolve();
    }
  }

  /** Time passes; the worker's heartbeats go on. */
  async pass(ms: number, step = 200): Promise<void> {
    for (let left = ms; left > 0; left -= step) {
      this.clockwork.step(Math.min(step, left));
      this.#worker?.tick();
      for (const triggerer of this.#triggerers) triggerer.tick();
      await this.idle();
    }
  }

  async call(call: DagCall) {
    const reply = this.engine.call((callId) => ({ kind: 'dag', callId, call }));
    await this.idle();
    return reply;
  }

  /** A run by hand. */
  async trigger(dagId: string, params: Readonly<Record<string, Json>> = {}): Promise<RunRow> {
    const reply = await this.call({ action: 'trigger', dagId, runId: '', logicalDate: null, params });
    if (reply.kind !== 'run') throw new Error(JSON.stringify(reply));
    return reply.run;
  }

  async run(run: Pick<RunRow, 'run'>): Promise<RunRow> {
    const [row] = await this.store.readRuns([run.run]);
    if (row === undefined) throw new Error(`no run ${run.run}`);
    return row;
  }

  async runs(dagId: string): Promise<RunRow[]> {
    return (await this.store.listRuns({ dagId }, null, 1_000)).reverse();
  }

  /** Rows of a run's instances, by name, or name[index] for those of a mapped task. */
  async instances(run: Pick<RunRow, 'run'>): Promise<Map<string, TaskRow>> {
    const found = new Map<string, TaskRow>();
    for (const row of await this.store.readInstances(run.run)) found.set(nameOf(row), row);
    return found;
  }

  /** States of a run's instances, as `name: state`, in the order in which they were made. */
  async states(run: Pick<RunRow, 'run'>): Promise<Record<string, string>> {
    const rows = [...(await this.instances(run))].sort(([, a], [, b]) => (a.taskId < b.taskId ? -1 : 1));
    return Object.fromEntries(rows.map(([name, row]) => [name, row.state]));
  }

  /** A worker joins; it starts what it is offered, and ends it when told to. */
  async worker(slots = 100): Promise<void> {
    this.#worker = new Worker(this, slots, ++this.#streams as StreamId);
    this.#worker.connect();
    await this.idle();
  }

  /** A worker that was lost comes back in a new process, with what its journal says of runs that have ended. */
  async returning(
    agentId: AgentId,
    ends: readonly (End & Pick<Report, 'token' | 'taskId'>)[],
  ): Promise<void> {
    this.#worker = new Worker(this, 100, ++this.#streams as StreamId);
    this.#worker.connect(
      agentId,
      ends.map(({ token, taskId, ...end }) => reportOf(token, taskId, end)),
    );
    await this.idle();
  }

  /** A triggerer joins. */
  async triggerer(agentId: string, kinds = ['date_time'], slots = 1_000): Promise<ScriptedTriggerer> {
    const streams = () => ++this.#streams as StreamId;
    const triggerer = new ScriptedTriggerer(this, agentId, kinds, slots, streams);
    this.#triggerers.push(triggerer);
    triggerer.connect();
    await this.idle();
    return triggerer;
  }

  /** A task of no run. */
  async submit(change: Partial<NewTask> = {}): Promise<TaskId> {
    const taskId = `task-${String(++this.#tasks).padStart(5, '0')}` as TaskId;
    const work = { kind: 'handler', name: 'work', input: new Uint8Array(), inputType: '' } as const;
    const reply = this.engine.call((callId) => ({
      kind: 'submit',
      callId,
      tasks: [
        {
          ...{ taskId, queue: 'default', priority: 0, requiredLabels: {}, handler: 'work' },
          ...{ partitionPolicy: 'reassign', retries: 0, retryBackoff: { initialMs: 1_000, maxMs: 1_000 } },
          ...{
            executionTimeoutMs: null,
            queuedTimeoutMs: 600_000,
            killGraceMs: 1_000,
            holdTimeoutMs: 60_000,
          },
          ...{ concurrencyKey: '', concurrencyLimit: 1, startAfter: null, startBefore: null },
          ...{ idempotencyKey: '', contentHash: '' },
          spec: { taskId, work, traceparent: '' },
          ...change,
        },
      ],
    }));
    await this.idle();
    await reply;
    return taskId;
  }

  async task(taskId: TaskId): Promise<TaskRow> {
    const [row] = await this.store.readTasks([taskId]);
    if (row === undefined) throw new Error(`no task ${taskId}`);
    return row;
  }

  async events(taskId: TaskId): Promise<string[]> {
    return (await this.store.readHistory(taskId)).map(({ event }) => event);
  }

  async cancel(taskId: TaskId): Promise<void> {
    const reply = this.engine.call((callId) => ({ kind: 'cancel', callId, taskId, reason: 'test' }));
    await this.idle();
    await reply;
  }

  async steerAgent(kind: 'cordon' | 'uncordon', agentId: string): Promise<void> {
    const reply = this.engine.call((callId) => ({ kind, callId, agentId: agentId as AgentId }));
    await this.idle();
    await reply;
  }

  /** The permits that the worker has been told, newest last. */
  get permits(): readonly Permit[] {
    return this.#worker?.permits ?? [];
  }

  /** The worker's connection is cut and never heard of again. */
  loseWorker(): void {
    this.#worker = null;
  }

  /** The worker ends runs of instances: those named, or all that run. */
  async finish(ends: Readonly<Record<string, End>> | 'all'): Promise<void> {
    const worker = this.#worker;
    if (worker === null) throw new Error('nobody works');
    for (const [token, taskId] of [...worker.running]) {
      const [row] = await this.store.readTasks([taskId]);
      const name = row === undefined ? '' : nameOf(row);
      const end = ends === 'all' ? {} : (ends[name] ?? ends[taskId]);
      if (end !== undefined) worker.finish(token, taskId, end);
    }
    await this.idle();
  }

  /** What the worker runs now. */
  async running(): Promise<string[]> {
    const rows = await this.store.readTasks([...(this.#worker?.running.values() ?? [])]);
    return rows.map(nameOf).sort();
  }

  /** Ends everything that starts until nothing starts any more. */
  async finishAll(ends: Readonly<Record<string, End>> = {}): Promise<void> {
    for (let n = 0; n < 1_000; n++) {
      const names = await this.running();
      if (names.length === 0) return;
      await this.finish(Object.fromEntries(names.map((name) => [name, ends[name] ?? {}])));
    }
    throw new Error('it never ends');
  }
}

function nameOf({ instance, taskId }: TaskRow): string {
  if (instance === null) return taskId;
  return instance.mapIndex < 0 ? instance.task : `${instance.task}[${instance.mapIndex}]`;
}

function reportOf(token: Token, taskId: TaskId, { result, ...end }: End): Report {
  const text = result === undefined ? null : new TextEncoder().encode(JSON.stringify(result));
  const resultType = text === null ? '' : 'application/json';
  return {
    ...{ token, taskId, kind: 'success', exitCode: null, reason: '', message: '', final: false },
    ...{ result: text, resultType },
    ...end,
  };
}

/** An agent that asks for all it is offered. */
class Worker {
  readonly running = new Map<Token, TaskId>();
  readonly permits: Permit[] = [];
  readonly #world: DagWorld;
  readonly #slots: number;
  readonly #streamId: StreamId;
  readonly #inventory = new Inventory();
  #seq = 1;
  #applied = 0;
  #nonce = 0n;
  #offers: TaskId[] = [];
  #reports: Report[] = [];
  #asked = new Map<Nonce, TaskId>();
  #mustSpeak = false;
  #sinceBeat = 0;

  constructor(world: DagWorld, slots: number, streamId: StreamId) {
    this.#world = world;
    this.#slots = slots;
    this.#streamId = streamId;
  }

  connect(agentId = `worker-${this.#streamId}` as AgentId, reports: readonly Report[] = []): void {
    this.#world.engine.put({
      kind: 'hello',
      streamId: this.#streamId,
      at: this.#world.clockwork.clock.mono(),
      hello: {
        agentId,
        instanceId: `instance-of-worker-${this.#streamId}` as InstanceId,
        ...{ streamNo: 1n, kind: 'worker', queues: ['default'], slots: this.#slots, labels: {} },
        ...{ handlers: ['work'], bundles: [], triggerKinds: [], software: '', hostname: '' },
        ...{ highestToken: 0n as Token, highestEpoch: 0n as Epoch, reports },
        inventory: reports.map(({ token, taskId }) => ({ phase: 'finished', token, taskId })),
        process: { bootId: '', lockDevice: 0n, lockInode: 0n, pid: 1 },
        proof: null,
      },
    });
  }

  hear(frames: readonly Frame[]): void {
    for (const frame of frames) {
      if (frame.streamId !== this.#streamId) continue;
      if (frame.kind === 'welcome') this.#applied = 1;
      if (frame.kind !== 'ack') continue;
      const { ack } = frame;
      this.#applied = ack.number;
      for (const { token } of ack.acknowledgements) this.#inventory.dropToken(token);
      this.permits.push(...ack.permits);
      for (const { nonce, token, taskId } of ack.permits) {
        this.#inventory.dropNonce(nonce);
        this.#asked.delete(nonce);
        this.#inventory.put({ phase: 'running', token, taskId });
        this.running.set(token, taskId);
        this.#mustSpeak = true;
      }
      for (const { nonce } of ack.refusals) {
        this.#inventory.dropNonce(nonce);
        this.#asked.delete(nonce);
      }
      this.#offers.push(...ack.offers.map(({ taskId }) => taskId));
      this.#offers = this.#offers.filter((taskId) => !ack.withdrawals.includes(taskId));
    }
  }

  finish(token: Token, taskId: TaskId, end: End): void {
    this.running.delete(token);
    const phase = end.kind === 'never_started' ? 'void' : 'finished';
    this.#inventory.put({ phase, token, taskId });
    this.#reports.push(reportOf(token, taskId, end));
  }

  tick(): void {
    this.#sinceBeat += 200;
    if (this.#sinceBeat >= 2_000) this.#mustSpeak = true;
  }

  speak(): void {
    const free = this.#slots - this.running.size - this.#asked.size;
    const wanted = this.#offers.splice(0, free);
    if (wanted.length === 0 && this.#reports.length === 0 && !this.#mustSpeak) return;
    const startRequests = wanted.map((taskId) => ({ nonce: ++this.#nonce as Nonce, taskId }));
    for (const { nonce, taskId } of startRequests) {
      this.#asked.set(nonce, taskId);
      this.#inventory.put({ phase: 'asked', nonce, taskId });
    }
    this.#mustSpeak = false;
    this.#sinceBeat = 0;
    this.#world.engine.put({
      kind: 'heartbeat',
      streamId: this.#streamId,
      at: this.#world.clockwork.clock.mono(),
      beat: {
        seq: ++this.#seq,
        applied: this.#applied,
        reports: this.#reports.splice(0),
        inventoryChanges: [],
        inventoryCount: this.#inventory.count,
        inventoryHash: this.#inventory.hash,
        startRequests,
        freeSlots: this.#slots - this.running.size - this.#asked.size,
        health: null,
        fullInventory: null,
      },
    });
  }
}

/** A triggerer that does what it is told, and fires its triggers when a test says so. */
export class ScriptedTriggerer {
  readonly agentId: string;
  /** Triggers that it was told to wait for and that were not stopped, in the order of being told. */
  readonly triggers = new Map<string, TriggerStart>();
  readonly acks: TriggerAck[] = [];
  /** Messages that told it of triggers. */
  tellings = 0;
  readonly #world: DagWorld;
  readonly #kinds: readonly string[];
  readonly #slots: number;
  readonly #streams: () => StreamId;
  #streamId = 0 as StreamId;
  #streamNo = 0n;
  #instance = 0;
  #seq = 1;
  #applied = 0;
  #mustSpeak = false;
  #sinceBeat = 0;
  #events: TriggerEvent[] = [];
  #connected = false;

  constructor(
    world: DagWorld,
    agentId: string,
    kinds: readonly string[],
    slots: number,
    streams: () => StreamId,
  ) {
    this.#world = world;
    this.agentId = agentId;
    this.#kinds = kinds;
    this.#slots = slots;
    this.#streams = streams;
  }

  /** Dials, again if it was connected before. */
  connect(): void {
    this.#streamId = this.#streams();
    this.#streamNo++;
    this.#seq = 1;
    this.#applied = 0;
    this.#connected = true;
    this.triggers.clear();
    this.#world.engine.put({
      kind: 'hello',
      streamId: this.#streamId,
      at: this.#world.clockwork.clock.mono(),
      hello: {
        agentId: this.agentId as AgentId,
        instanceId: `instance-${this.#instance}-of-${this.agentId}` as InstanceId,
        ...{ streamNo: this.#streamNo, kind: 'triggerer', queues: [], slots: this.#slots, labels: {} },
        ...{ handlers: [], bundles: [], triggerKinds: this.#kinds, software: '', hostname: '' },
        ...{ highestToken: 0n as Token, highestEpoch: 0n as Epoch, inventory: [], reports: [] },
        process: { bootId: '', lockDevice: 0n, lockInode: 0n, pid: 1 },
        proof: null,
      },
    });
  }

  /** Its cable is cut; it has stopped its triggers at once. */
  cut(): void {
    this.#connected = false;
    this.triggers.clear();
    this.#world.engine.put({ kind: 'stream_closed', streamId: this.#streamId });
  }

  goodbye(): void {
    const [streamId, endsSession, reason] = [this.#streamId, true, 'drained'];
    this.#world.engine.put({ kind: 'goodbye', streamId, endsSession, reason });
    this.#connected = false;
  }

  hear(frames: readonly Frame[]): void {
    for (const frame of frames) {
      if (frame.streamId !== this.#streamId) continue;
      if (frame.kind === 'welcome') this.#applied = 1;
      if (frame.kind === 'ack') this.#hearAck(frame.ack);
    }
  }

  #hearAck({
    number,
    triggerStarts,
    triggerStops,
    triggerAcks,
  }: Extract<Frame, { kind: 'ack' }>['ack']): void {
    this.#applied = number;
    for (const start of triggerStarts) this.triggers.set(start.triggerId, start);
    for (const triggerId of triggerStops) this.triggers.delete(triggerId);
    this.acks.push(...triggerAcks);
    if (triggerStarts.length === 0) return;
    this.tellings++;
    this.#mustSpeak = true;
  }

  /** Says that a trigger has fired, as told by `start`, or by its newest start. */
  async fire(
    triggerId: string,
    payload: Json,
    { token, failure = null }: { readonly token?: Token; readonly failure?: TriggerEvent['failure'] } = {},
  ): Promise<TriggerAck | undefined> {
    const known = token ?? this.triggers.get(triggerId)?.token ?? (1n as Token);
    const eventId = `event-${this.acks.length}`;
    this.#events.push({ triggerId, token: known, eventId, payload: JSON.stringify(payload), failure });
    await this.#world.idle();
    return this.acks.findLast((ack) => ack.eventId === eventId);
  }

  /** The only trigger that it has. */
  get only(): TriggerStart {
    const [start, ...more] = this.triggers.values();
    if (start === undefined || more.length > 0) throw new Error(`it has ${this.triggers.size} triggers`);
    return start;
  }

  tick(): void {
    this.#sinceBeat += 200;
    if (this.#sinceBeat >= 2_000) this.#mustSpeak = true;
  }

  speak(): void {
    if (!this.#connected || (this.#events.length === 0 && !this.#mustSpeak) || this.#applied === 0) return;
    this.#mustSpeak = false;
    this.#sinceBeat = 0;
    this.#world.engine.put({
      kind: 'heartbeat',
      streamId: this.#streamId,
      at: this.#world.clockwork.clock.mono(),
      beat: {
        ...{ seq: ++this.#seq, applied: this.#applied, reports: [], inventoryChanges: [] },
        ...{ inventoryCount: 0, inventoryHash: 0, startRequests: [], freeSlots: 0, health: null },
        fullInventory: null,
        triggerEvents: this.#events.splice(0),
      },
    });
  }
}
