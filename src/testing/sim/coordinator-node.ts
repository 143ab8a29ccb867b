import type { UploadChunk } from '../../agent/core/bundle-upload.js';
import type { Up } from '../../agent/core/messages.js';
import type { Frame, Note } from '../../core/frames.js';
import type { CallInput, Reply } from '../../core/inputs.js';
import type { Policy } from '../../core/policy.js';
import { RESTORED } from '../../core/recovery.js';
import { Engine, type EngineListener, type Unanswered } from '../../engine/engine.js';
import type { Timers } from '../../engine/timers.js';
import type { StreamId, TaskId } from '../../kit/ids.js';
import type { Random } from '../../kit/random.js';
import type { Snapshot } from '../../store/memory/snapshot.js';
import type { MemoryStore } from '../../store/memory/store.js';
import { StoreError } from '../../store/store.js';
import type { Auditor } from './auditor.js';
import { Intake } from './dags/intake.js';
import { SIM_TIMETABLE } from './dags/timetable.js';
import type { CommitStep, Disk } from './disk.js';
import { type Host, Process } from './host.js';
import { ackToAgent, beatFromAgent, helloFromAgent } from './messages.js';
import type { Connection, End } from './network.js';

/** What an agent says on its stream. */
type Message = Up | { readonly kind: 'bundle_chunk'; readonly chunk: UploadChunk };

/** What a coordinator needs of the world. */
export interface CoordinatorWorld {
  readonly random: Random;
  readonly auditor: Auditor;
  readonly policy: Policy;
  readonly disk: Disk;
  newTaskId(): TaskId;
}

/** The coordinator: its machine, its process with the real engine and core, its disk. */
export class CoordinatorNode {
  readonly host: Host;
  readonly #world: CoordinatorWorld;
  #store: MemoryStore;
  #process: Process | null = null;
  #engine: Engine | null = null;
  #intake: Intake | null = null;
  #starting = 0;
  #generation = 0;
  #nextStream = 0;
  readonly #streams = new Map<StreamId, Connection>();

  constructor(host: Host, world: CoordinatorWorld) {
    this.host = host;
    this.#world = world;
    this.#store = this.#open(null);
  }

  /** Whether a batch is under way that time need not pass for. */
  get busy(): boolean {
    return (this.#engine?.busy ?? false) && !this.#world.disk.waited;
  }

  /** Whether any promise of its process may be on its way: it starts, or a batch is under way, waiting or not. */
  get awaits(): boolean {
    return this.#starting > 0 || (this.#engine?.busy ?? false);
  }

  get up(): boolean {
    return this.#engine !== null;
  }

  get engine(): Engine | null {
    return this.#engine;
  }

  async start(): Promise<void> {
    if (this.#process !== null) return;
    const process = new Process(this.host);
    const startedAt = this.host.mono();
    this.#process = process;
    const generation = ++this.#generation;
    const { policy, random } = this.#world;
    const clock = { mono: () => this.host.mono(), wall: () => this.host.wall() };
    const coordinatorId = `coordinator-${generation}`;
    const listener = this.#listener(process);
    const options = {
      store: this.#store,
      policy,
      coordinatorId,
      clock,
      timers: timersOf(process),
      random,
      newTaskId: () => this.#world.newTaskId(),
      timetable: SIM_TIMETABLE,
      listener,
      tally: this.#world.auditor.coverage.tally,
    };
    this.#starting++;
    const engine = await Engine.start(options);
    this.#starting--;
    if (this.#process !== process) return;
    this.#engine = engine;
    this.#intake = new Intake(engine, options.timers);
    this.#world.auditor.coordinatorStarted(engine, this.host, startedAt);
  }

  /** kill -9: the sockets are reset; what was committed stays. */
  kill(): void {
    if (this.#process === null) return;
    this.#process.kill();
    this.#process = null;
    this.#engine = null;
    this.#intake = null;
    for (const wire of this.#streams.values()) wire.closeByCoordinator();
    this.#streams.clear();
    this.#store = this.#open(this.#store.snapshot());
    this.#world.auditor.coordinatorDied();
  }

  /** What a copy of the disk would hold. */
  copy(): Snapshot {
    return this.#store.snapshot();
  }

  /** kill -9, and the disk is what it was at the copy. A restore says so in it; a disk that lied does not. */
  rollBack(copy: Snapshot, isRestore: boolean): void {
    this.kill();
    const counters = isRestore ? { ...copy.counters, recovery: RESTORED } : copy.counters;
    this.#store = this.#open({ ...copy, counters });
  }

  /**
   * A commit waits for its disk; so does the whole process, where the disk is called from the loop. What a dead process
   * had begun waits for ever, also when its successor runs.
   */
  #open(from: Snapshot | null): MemoryStore {
    const { disk } = this.#world;
    const pace = (step: CommitStep): Promise<void> =>
      new Promise((resolve) => {
        const process = this.#process;
        if (process !== null && this.#store === store) disk.wait(step, process, resolve);
      });
    const store = disk.open(from, pace);
    return store;
  }

  pause(): void {
    this.#process?.pause();
  }

  resume(): void {
    this.#process?.resume();
  }

  /** Another stream arrives; null when nobody listens. */
  accept(wire: Connection): End | null {
    const process = this.#process;
    const engine = this.#engine;
    if (process === null || engine === null) return null;
    const streamId = ++this.#nextStream as StreamId;
    this.#streams.set(streamId, wire);
    const receive = (message: unknown) =>
      process.run(() => {
        if (this.#streams.has(streamId)) this.#receive(engine, streamId, wire, message as Message);
      });
    const closed = () =>
      process.run(() => {
        this.#streams.delete(streamId);
        this.#intake?.closed(streamId);
        engine.put({ kind: 'stream_closed', streamId });
      });
    return { receive, closed };
  }

  /** Calls the public API; settles when the process is gone, too. */
  call(make: (callId: number) => CallInput): Promise<Reply | Unanswered> {
    const engine = this.#engine;
    const process = this.#process;
    if (engine === null || process === null) return Promise.resolve({ kind: 'stopped' });
    return new Promise((resolve) =>
      process.run(() => {
        void engine.call(make).then((reply) => {
          this.#world.auditor.coverage.replied(reply);
          resolve(reply);
        });
      }),
    );
  }

  #receive(engine: Engine, streamId: StreamId, wire: Connection, message: Message): void {
    const at = this.host.mono();
    switch (message.kind) {
      case 'hello':
        return engine.put({ kind: 'hello', streamId, at, hello: helloFromAgent(message.hello) });
      case 'heartbeat':
        this.#world.auditor.heard(streamId, at);
        return engine.put({ kind: 'heartbeat', streamId, at, beat: beatFromAgent(message.beat) });
      case 'bundle_chunk':
        return this.#intake?.receive(streamId, wire, message.chunk);
      case 'goodbye':
        return engine.put({
          kind: 'goodbye',
          streamId,
          endsSession: message.endsSession,
          reason: message.reason,
        });
    }
  }

  #listener(process: Process): EngineListener {
    return {
      send: (frames) => {
        if (process.alive) for (const frame of frames) this.#send(frame);
      },
      changed: () => {},
      runsChanged: () => {},
      removed: () => {},
      notified: () => {},
      noted: (notes: readonly Note[]) => {
        if (process.alive) for (const note of notes) this.#world.auditor.coordinatorNoted(note);
      },
      broke: (error) => {
        if (process.alive) this.#broke(error);
      },
    };
  }

  /** A store that cannot be used ends the process, as it should; anything else is a bug. */
  #broke(error: Error): void {
    // One coordinator has the store to itself: a row that is newer than what was decided on is its own doing.
    const isDue = error instanceof StoreError && error.fault !== 'conflict';
    if (isDue) this.#world.auditor.count('coordinator.store_error');
    else this.#world.auditor.broke('the coordinator', error);
    this.kill();
  }

  #send(frame: Frame): void {
    this.#world.auditor.coverage.sent(frame);
    const wire = this.#streams.get(frame.streamId);
    if (wire === undefined) return;
    switch (frame.kind) {
      case 'welcome':
        this.#world.auditor.welcomed(frame.streamId, frame.welcome);
        return wire.sendDown({ kind: 'welcome', welcome: frame.welcome });
      case 'ack':
        this.#world.auditor.acked(frame.streamId, frame.ack);
        return wire.sendDown({ kind: 'ack', ack: ackToAgent(frame.ack) });
      case 'refused':
        wire.sendDown({ kind: 'refused', refused: frame.refused });
        return this.#close(frame.streamId, wire);
      case 'farewell':
        wire.sendDown({ kind: 'farewell' });
        return this.#close(frame.streamId, wire);
      case 'close':
        return this.#close(frame.streamId, wire);
      case 'bundle_answer':
        return this.#intake?.decided(frame);
      case 'bundle_hold':
        return wire.sendDown({ kind: 'bundle', told: { ...frame.hold, kind: 'hold' } });
    }
  }

  #close(streamId: StreamId, wire: Connection): void {
    this.#streams.delete(streamId);
    wire.closeByCoordinator();
    this.#intake?.closed(streamId);
    this.#engine?.put({ kind: 'stream_closed', streamId });
  }
}

function timersOf(process: Process): Timers {
  const { events } = process.host;
  return {
    soon: (task) => void events.after(0, () => process.run(task)),
    after: (ms, task) => process.timer(ms, task),
    every: (ms, task) => {
      let current = process.timer(ms, function fire() {
        current = process.timer(ms, fire);
        task();
      });
      return { cancel: () => current.cancel() };
    },
  };
}
