import { type StatusObject, status } from '@grpc/grpc-js';
import type { Frame } from '../core/frames.js';
import type { Heartbeat as Beat } from '../core/inputs.js';
import type { Clock } from '../engine/clock.js';
import type { Engine } from '../engine/engine.js';
import type { Timers } from '../engine/timers.js';
import type { AgentId, StreamId } from '../kit/ids.js';
import type { Log } from '../kit/log.js';
import type {
  ConnectRequest,
  Heartbeat,
  Hello,
  InventoryChunk,
  InventoryEntry,
  LogChunk,
  Report,
} from '../wire/gen/holdfast/v1/agent_service.js';
import { LIMITS } from '../wire/limits.js';
import { CLOSE_STATUS, HELLO_STATUS, type StreamEnd } from '../wire/status.js';
import { refuseHello } from './access.js';
import type { BundleDesk } from './bundle-desk.js';
import { BundleIntake, type UploadState } from './bundle-intake.js';
import type { Caller } from './callers.js';
import { Malformed } from './fields.js';
import type { TaskLogs } from './logs.js';
import { type AgentCall, Outbox } from './outbox.js';
import type { ProgressBoard } from './progress.js';
import {
  ackOf,
  bundleAckOf,
  bundleHoldOf,
  type Coordinates,
  FAREWELL,
  logAckOf,
  reconnectOf,
  refusalOf,
  refusedOf,
  type Specs,
  welcomeOf,
} from './translate-down.js';
import { heartbeatOf, helloOf } from './translate-up.js';

/** How long an agent waits whose certificate has expired: its next one may be there already. */
const EXPIRED_DELAY_MS = 500;
/** How long one waits that is not who it says. */
const DENIED_DELAY_MS = 30_000;

/** What a stream needs of its coordinator. */
export interface StreamHost {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logs: TaskLogs;
  readonly progress: ProgressBoard;
  readonly bundles: BundleDesk;
  readonly log: Log;
  readonly coordinates: Coordinates;
  readonly maxSlots: number;
  /** The stream is over, whatever the reason. */
  gone(streamId: StreamId): void;
}

/** A message that is put together from chunks. */
interface Assembly {
  readonly of:
    | { readonly kind: 'hello'; readonly hello: Hello }
    | { readonly kind: 'beat'; readonly beat: Heartbeat };
  readonly entries: InventoryEntry[];
  readonly reports: Report[];
}

/**
 * One stream's life: Hello (with its chunks) → Welcome or refusal → heartbeats and logs → the end, which comes in many
 * forms and is taken once, from `close`. It decides nothing: it checks, translates, and hands on.
 */
export class AgentStream {
  readonly #streamId: StreamId;
  readonly #call: AgentCall;
  readonly #caller: Caller;
  readonly #host: StreamHost;
  readonly #outbox: Outbox;
  readonly #helloTimer: { cancel(): void };
  readonly #bundles: BundleIntake;
  #state: 'hello' | 'greeting' | 'open' | 'ended' = 'hello';
  #assembly: Assembly | null = null;
  #agentId: AgentId | '' = '';
  /** Highest heartbeat seq handed to the engine, and the highest acknowledged: their distance bounds the inbox. */
  #handed = 1;
  #acknowledged = 1;

  constructor(streamId: StreamId, call: AgentCall, caller: Caller, host: StreamHost) {
    this.#streamId = streamId;
    this.#caller = caller;
    this.#call = call;
    this.#host = host;
    this.#outbox = new Outbox(call, () => this.#finish('slow'));
    this.#bundles = new BundleIntake(streamId, host.bundles, (upload) => this.#tellUpload(upload));
    this.#helloTimer = host.timers.after(LIMITS.helloMs, () => this.#finish('no_hello'));
    call.on('data', (request: ConnectRequest) => this.#guard(() => this.#receive(request)));
    // Half-close, cancel and a dead socket look alike; none of them is a goodbye.
    call.on('end', () => this.#call.end());
    call.on('error', () => this.#teardown());
    call.on('cancelled', () => this.#teardown());
    call.on('close', () => this.#teardown());
  }

  /** Sends what the engine let out for this stream. */
  send(frame: Frame, specs: Specs): void {
    if (this.#state === 'ended') return;
    switch (frame.kind) {
      case 'welcome':
        this.#state = 'open';
        this.#helloTimer.cancel();
        this.#outbox.push(welcomeOf(frame.welcome, this.#host.coordinates), 'urgent');
        return;
      case 'ack':
        this.#acknowledged = Math.max(this.#acknowledged, frame.ack.received);
        this.#readOn();
        // failpoint: FP2 before
        // failpoint: FP6 before
        for (const message of ackOf(frame.ack, specs)) this.#outbox.push(message, 'urgent');
        // failpoint: FP2 after
        // failpoint: FP6 after
        return;
      case 'refused':
        this.#outbox.push(refusedOf(frame), 'urgent');
        this.#endWith({ code: HELLO_STATUS[frame.refused.reason], details: frame.refused.message });
        return;
      case 'farewell':
        this.#outbox.push(FAREWELL, 'urgent');
        this.#call.end();
        return;
      case 'bundle_answer':
        return this.#host.bundles.decided(frame.streamId, frame.answer);
      case 'bundle_hold':
        this.#outbox.push(bundleHoldOf(frame.hold), 'urgent');
        return;
      case 'close':
        this.#finish(frame.reason);
        return;
    }
  }

  /** The coordinator stops: the agent keeps its session and dials again. */
  reconnect(reason: string, delayMs: number): void {
    if (this.#state === 'ended') return;
    this.#outbox.push(reconnectOf(reason, delayMs), 'urgent');
    this.#call.end();
  }

  #receive({ message }: ConnectRequest): void {
    if (this.#state === 'ended') return;
    // Unknown arms decode to nothing: a newer agent may say more than we understand.
    if (message === undefined) return void this.#host.engine.counters.unknownArms++;
    switch (message.$case) {
      case 'hello':
        if (this.#state !== 'hello' || this.#assembly !== null)
          throw new Malformed('a second Hello on one stream');
        return this.#assemble(
          {
            of: { kind: 'hello', hello: message.value },
            entries: [...message.value.inventory],
            reports: [...message.value.reports],
          },
          message.value.moreChunks,
        );
      case 'inventoryChunk':
        return this.#chunk(message.value);
      case 'heartbeat':
        this.#mustBeOpen('Heartbeat');
        return this.#beat(message.value);
      case 'logChunk':
        this.#mustBeOpen('LogChunk');
        return this.#logChunk(message.value);
      case 'progress':
        this.#mustBeOpen('Progress');
        if (this.#agentId !== '') this.#host.progress.note(this.#agentId, message.value);
        return;
      case 'bundleChunk':
        this.#mustBeOpen('BundleChunk');
        return this.#bundles.receive(message.value);
      case 'goodbye': {
        this.#mustBeOpen('Goodbye');
        const { endsSession, reason } = message.value;
        const text = reason.slice(0, LIMITS.nameLength);
        return this.#host.engine.put({
          kind: 'goodbye',
          streamId: this.#streamId,
          endsSession,
          reason: text,
        });
      }
    }
  }

  #mustBeOpen(what: string): void {
    if (this.#state !== 'open') throw new Malformed(`a ${what} before the Welcome`);
    if (this.#assembly !== null) throw new Malformed(`a ${what} between the chunks of an inventory`);
  }

  #beat(beat: Heartbeat): void {
    if (beat.seq !== BigInt(this.#handed + 1)) {
      throw new Malformed(`heartbeat seq ${beat.seq} follows ${this.#handed}: count by one`);
    }
    const full = beat.fullInventory;
    if (full === undefined) return this.#hand(heartbeatOf(beat, null));
    if (full.entries.length > this.#host.coordinates.maxInventory) return this.#finish('inventory_too_large');
    this.#assemble({ of: { kind: 'beat', beat }, entries: [...full.entries], reports: [] }, full.moreChunks);
  }

  #hand(beat: Beat): void {
    const { engine, clock } = this.#host;
    this.#handed = beat.seq;
    if (this.#isOver()) return this.reconnect('the certificate of this stream has expired', EXPIRED_DELAY_MS);
    engine.counters.heartbeats++;
    engine.counters.reports += beat.reports.length;
    if (this.#handed - this.#acknowledged >= LIMITS.heartbeatWindow) this.#call.pause();
    engine.put({ kind: 'heartbeat', streamId: this.#streamId, at: clock.mono(), beat });
  }

  #chunk(chunk: InventoryChunk): void {
    const assembly = this.#assembly;
    if (assembly === null) throw new Malformed('an InventoryChunk that nothing announced');
    assembly.entries.push(...chunk.entries);
    if (assembly.of.kind === 'beat' && chunk.reports.length > 0) {
      throw new Malformed('reports in the chunks of a full inventory: they belong into the heartbeat');
    }
    assembly.reports.push(...chunk.reports);
    const { maxInventory } = this.#host.coordinates;
    const bytes = assembly.reports.reduce(
      (sum, { result, message }) => sum + result.length + message.length,
      0,
    );
    const isLarge = assembly.entries.length > maxInventory || assembly.reports.length > maxInventory;
    // An agent with more reports than that sends the rest in heartbeats; what it sends here is held in memory.
    if (isLarge || bytes > 2 * LIMITS.helloReportBytes) return this.#finish('inventory_too_large');
    this.#assemble(assembly, !chunk.last);
  }

  #assemble(assembly: Assembly, more: boolean): void {
    this.#assembly = more ? assembly : null;
    if (more) return;
    const { engine, clock, coordinates, maxSlots } = this.#host;
    const { entries, reports } = assembly;
    if (assembly.of.kind === 'hello') {
      const at = clock.mono();
      const hello = helloOf(assembly.of.hello, entries, reports, maxSlots, coordinates.maxInventory);
      const foreign = refuseHello(this.#caller, hello);
      if (foreign !== null) return this.#turnAway(foreign);
      this.#state = 'greeting';
      this.#agentId = hello.agentId;
      return engine.put({ kind: 'hello', streamId: this.#streamId, at, hello });
    }
    this.#hand(heartbeatOf(assembly.of.beat, entries));
  }

  /** Somebody else's name: nothing is known of this Hello but that it was refused. */
  #turnAway(why: string): void {
    this.#host.log.warn(
      { event: 'hello_refused', why },
      'a Hello under a name that is not its own was refused',
    );
    this.#outbox.push(refusalOf('denied', why, DENIED_DELAY_MS), 'urgent');
    this.#endWith({ code: HELLO_STATUS.denied, details: why });
  }

  /** Whether the certificate has expired meanwhile: the agent is asked to come again, with a newer one. */
  #isOver(): boolean {
    const caller = this.#caller;
    return 'notAfterMs' in caller && caller.notAfterMs <= (this.#host.clock.wall() as number);
  }

  /** Reads on once the engine has caught up: an agent that floods waits for itself. */
  #readOn(): void {
    if (this.#call.isPaused() && this.#handed - this.#acknowledged < LIMITS.heartbeatWindow)
      this.#call.resume();
  }

  /** What has become of a snapshot never goes after a hold that was decided later. */
  #tellUpload(upload: UploadState): void {
    if (this.#state === 'open')
      this.#outbox.push(bundleAckOf(upload), upload.state === 'receiving' ? 'bulk' : 'urgent');
  }

  #logChunk(chunk: LogChunk): void {
    if (this.#agentId === '') return;
    void this.#host.logs.append(this.#agentId, chunk).then(({ nextOffset, closed, resend }) => {
      if (this.#state !== 'open') return;
      this.#outbox.push(logAckOf(chunk.token, nextOffset, closed, resend), 'bulk');
    });
  }

  /** A handler that throws must not end the process: what is malformed ends its own stream. */
  #guard(receive: () => void): void {
    try {
      receive();
    } catch (error) {
      if (!(error instanceof Malformed)) {
        this.#host.log.error({ error: String(error), agentId: this.#agentId }, 'a stream failed');
        return this.#endWith({ code: status.INTERNAL, details: 'internal error' });
      }
      this.#host.log.warn(
        { agentId: this.#agentId, why: error.message },
        'a malformed message ended its stream',
      );
      const reason = error.unsupported ? 'unsupported' : 'invalid';
      if (this.#state === 'hello') this.#outbox.push(refusalOf(reason, error.message, 30_000), 'urgent');
      this.#endWith({ code: HELLO_STATUS[reason], details: error.message });
    }
  }

  #finish(reason: StreamEnd): void {
    this.#endWith(CLOSE_STATUS[reason]);
  }

  #endWith({ code, details }: Pick<StatusObject, 'code' | 'details'>): void {
    if (this.#state === 'ended') return;
    this.#call.emit('error', { code, details });
    this.#teardown();
  }

  #teardown(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#helloTimer.cancel();
    this.#bundles.close();
    this.#host.engine.put({ kind: 'stream_closed', streamId: this.#streamId });
    this.#host.gone(this.#streamId);
  }
}
