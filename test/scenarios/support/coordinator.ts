import type { Up } from '../../../src/agent/core/messages.js';
import type { Frame, Note } from '../../../src/core/frames.js';
import type { CallInput, Reply } from '../../../src/core/inputs.js';
import type { Policy } from '../../../src/core/policy.js';
import { Engine } from '../../../src/engine/engine.js';
import type { Timers } from '../../../src/engine/timers.js';
import type { StreamId, TaskId } from '../../../src/kit/ids.js';
import { seededRandom } from '../../../src/kit/random.js';
import type { MonoMs, WallMs } from '../../../src/kit/time.js';
import { dagParts } from '../../../src/main/parts.js';
import { BundleDesk } from '../../../src/server/bundle-desk.js';
import { BundleIntake } from '../../../src/server/bundle-intake.js';
import { MemoryStore } from '../../../src/store/memory/store.js';
import type { EventQueue } from '../../../src/testing/sim/events.js';
import { ackToAgent, beatFromAgent, helloFromAgent } from '../../../src/testing/sim/messages.js';
import type { Connection, End } from '../../../src/testing/sim/network.js';
import type { BundleChunk } from '../../../src/wire/gen/holdfast/v1/agent_service.js';
import { MIDNIGHT } from './time.js';
import type { Words } from './words.js';

/** What travels up besides the words of an agent's session. */
export type Message = Up | { readonly kind: 'chunk'; readonly chunk: BundleChunk };

interface Stream {
  readonly wire: Connection;
  readonly intake: BundleIntake;
}

/** A process of the coordinator: the real engine, core and intake of snapshots, over a store in memory. */
interface Process {
  readonly engine: Engine;
  readonly desk: BundleDesk;
  readonly life: { over: boolean };
  readonly streams: Map<StreamId, Stream>;
}

export class Coordinator {
  store: MemoryStore;
  readonly #events: EventQueue;
  readonly #words: Words;
  readonly #policy: Policy;
  #process: Process | null = null;
  #processes = 0;
  #streams = 0;
  #tasks = 0;

  constructor(events: EventQueue, words: Words, policy: Policy) {
    this.#events = events;
    this.#words = words;
    this.#policy = policy;
    this.store = this.#open(null);
  }

  #open(disk: ReturnType<MemoryStore['snapshot']> | null): MemoryStore {
    return new MemoryStore({ onCommit: (puts) => this.#words.committed(puts) }, disk);
  }

  get busy(): boolean {
    return this.#process?.engine.busy ?? false;
  }

  get engine(): Engine {
    if (this.#process === null) throw new Error('no coordinator runs');
    return this.#process.engine;
  }

  async start(): Promise<void> {
    const life = { over: false };
    const clock = {
      mono: () => (1_000_000 + this.#events.now) as MonoMs,
      wall: () => (MIDNIGHT + this.#events.now) as WallMs,
    };
    const timers = this.#timers(life);
    const { timetable, checkDag } = await dagParts();
    const engine = await Engine.start({
      ...{ store: this.store, policy: this.#policy, clock, timers, timetable },
      coordinatorId: `coordinator-${++this.#processes}`,
      random: seededRandom(1),
      newTaskId: () => this.newTaskId(),
      listener: {
        send: (frames) => {
          if (!life.over) for (const frame of frames) this.#send(frame);
        },
        noted: (notes: readonly Note[]) => {
          if (!life.over) for (const note of notes) this.#words.noted(note);
        },
        changed: () => {},
        runsChanged: () => {},
        removed: () => {},
        notified: () => {},
        broke: (error) => {
          throw error;
        },
      },
    });
    const desk = new BundleDesk({ engine, clock, timers, check: checkDag, checkLarge: null });
    this.#process = { engine, desk, life, streams: new Map() };
  }

  newTaskId(): TaskId {
    return `task-${String(++this.#tasks).padStart(5, '0')}` as TaskId;
  }

  /** kill -9: the connections are reset, and what was committed stays. */
  kill(): void {
    const process = this.#process;
    if (process === null) return;
    process.life.over = true;
    this.#process = null;
    for (const { wire } of process.streams.values()) wire.closeByCoordinator();
    this.store = this.#open(this.store.snapshot());
  }

  #timers(life: Process['life']): Timers {
    const run = (task: () => void) => () => {
      if (!life.over) task();
    };
    return {
      soon: (task) => void this.#events.after(0, run(task)),
      after: (ms, task) => this.#events.after(ms, run(task)),
      every: (ms, task) => {
        let current = this.#events.after(ms, run(fire));
        const again = () => this.#events.after(ms, run(fire));
        function fire(): void {
          current = again();
          task();
        }
        return { cancel: () => current.cancel() };
      },
    };
  }

  /** A call of the API; settles once its effects are durable. */
  async call(make: (callId: number) => CallInput): Promise<Reply> {
    const reply = await this.engine.call(make);
    if ('code' in reply || reply.kind === 'refused' || reply.kind === 'stopped')
      throw new Error(JSON.stringify(reply));
    if (reply.kind === 'overloaded' || reply.kind === 'store_full') throw new Error(reply.kind);
    return reply;
  }

  /** A stream arrives; null when nobody listens. */
  accept(wire: Connection): End | null {
    const process = this.#process;
    if (process === null) return null;
    const { engine, desk, life, streams } = process;
    const streamId = ++this.#streams as StreamId;
    const tell = (told: object) => wire.sendDown({ kind: 'bundle', told: { kind: 'upload', ...told } });
    streams.set(streamId, { wire, intake: new BundleIntake(streamId, desk, tell) });
    return {
      receive: (message) => {
        const stream = streams.get(streamId);
        if (!life.over && stream !== undefined) this.#receive(engine, streamId, stream, message as Message);
      },
      closed: () => {
        if (!life.over) this.#forget(process, streamId);
      },
    };
  }

  #forget({ engine, desk, streams }: Process, streamId: StreamId): void {
    streams.get(streamId)?.intake.close();
    streams.delete(streamId);
    desk.decided(streamId, null);
    engine.put({ kind: 'stream_closed', streamId });
  }

  #receive(engine: Engine, streamId: StreamId, { intake }: Stream, message: Message): void {
    const at = (1_000_000 + this.#events.now) as MonoMs;
    switch (message.kind) {
      case 'hello': {
        const { bundles, triggerKinds } = message.hello.identity;
        const hello = { ...helloFromAgent(message.hello), bundles, triggerKinds };
        return engine.put({ kind: 'hello', streamId, at, hello });
      }
      case 'heartbeat':
        return engine.put({ kind: 'heartbeat', streamId, at, beat: beatFromAgent(message.beat) });
      case 'goodbye': {
        const { endsSession, reason } = message;
        return engine.put({ kind: 'goodbye', streamId, endsSession, reason });
      }
      case 'chunk':
        return intake.receive(message.chunk);
    }
  }

  #send(frame: Frame): void {
    const process = this.#process;
    const stream = process?.streams.get(frame.streamId);
    if (process === null || stream === undefined) return;
    const { wire } = stream;
    switch (frame.kind) {
      case 'welcome':
        return wire.sendDown({ kind: 'welcome', welcome: frame.welcome });
      case 'ack':
        this.#words.acked(process.engine.state.presenceOfStream(frame.streamId)?.agentId ?? '', frame.ack);
        return wire.sendDown({ kind: 'ack', ack: ackToAgent(frame.ack) });
      case 'bundle_hold': {
        const { bundle, held, hash } = frame.hold;
        return wire.sendDown({ kind: 'bundle', told: { kind: 'hold', bundle, held, hash } });
      }
      case 'bundle_answer':
        return process.desk.decided(frame.streamId, frame.answer);
      case 'refused':
        wire.sendDown({ kind: 'refused', refused: frame.refused });
        break;
      case 'farewell':
        wire.sendDown({ kind: 'farewell' });
        break;
      case 'close':
        break;
    }
    wire.closeByCoordinator();
    this.#forget(process, frame.streamId);
  }
}
