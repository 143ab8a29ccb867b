import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import type {
  Acknowledgement,
  ConnectRequest,
  ConnectResponse,
  Heartbeat,
  HeartbeatAck,
  Hello,
  HelloRefusal,
  InventoryChunk,
  Limits,
  Permit,
  Report,
  StartRequest,
  Welcome,
} from '../../wire/gen/holdfast/v1/agent_service.js';
import { durationOf } from '../../wire/time.js';
import { Deviation } from './case.js';
import { monoMs } from './clock.js';
import { Mirror } from './mirror.js';
import type { Watched } from './watch.js';
import { reportIn } from './words.js';

/** A call of the agent; bytes that are no message we know can be sent as well. */
export type Call = ServerDuplexStream<ConnectRequest, ConnectResponse | Uint8Array>;
type Message = NonNullable<ConnectRequest['message']>;

/** What a Welcome says unless a case says otherwise. */
export const LIMITS: Limits = {
  maxMessageBytes: 1024 * 1024,
  maxResultBytes: 256 * 1024,
  maxLogChunkBytes: 64 * 1024,
  logWindowBytes: 1024 * 1024,
  maxInventoryEntries: 100_000,
};

/** One message of the agent, and when it came (monotonic, ms). */
export interface Said {
  readonly at: number;
  readonly message: Message;
}

/** What a stream needs of its stage. */
export interface StreamHost {
  readonly watched: Watched;
  /** How long something that must come is waited for, in milliseconds. */
  readonly patienceMs: number;
  readonly terms: Terms;
  /** Throws when the agent has ended although nobody asked it to. */
  mustLive(): void;
}

/** The clocks of a session, in milliseconds. */
export interface Terms {
  /** H. */
  readonly heartbeatMs: number;
  /** L. */
  readonly leaseMs: number;
  /** La. */
  readonly gateMs: number;
}

export interface Wait {
  /** Index of the first message that counts; all of the stream unless given. */
  readonly from?: number;
  /** Milliseconds; the stage's patience unless given. */
  readonly within?: number;
}

/** One stream of the agent, and the coordinator's end of it, which says what a case tells it to say. */
export class Stream {
  /** Everything the agent has said on it, in order. */
  readonly said: Said[] = [];
  readonly mirror = new Mirror();
  /**
   * prompt: every heartbeat is acknowledged at once. withheld: none is; whatever else is said names the last one that
   * was acknowledged before.
   */
  acks: 'prompt' | 'withheld' = 'prompt';
  /** Whether task output is acknowledged as it comes. */
  logs: 'prompt' | 'withheld' = 'prompt';
  /** How the stream has ended, seen from here; null while it is open. */
  end: { readonly at: number; readonly how: string } | null = null;
  /** The Hello with all its chunks, once it is complete. */
  hello: Hello | null = null;
  epoch = 0n;
  /** Highest heartbeat that the agent has sent, and the highest that it was told has arrived. */
  seq = 0n;
  acknowledged = 0n;
  /** When the agent was last told anything (monotonic, ms). */
  toldAt = 0;
  #number = 1n;
  #inParts = false;
  readonly #call: Call;
  readonly #host: StreamHost;

  constructor(call: Call, host: StreamHost) {
    this.#call = call;
    this.#host = host;
    call.on('data', ({ message }: ConnectRequest) => {
      if (message === undefined) return;
      this.said.push({ at: monoMs(), message });
      this.#hear(message);
      this.#host.watched.changed();
    });
    call.on('end', () => this.#ended('ended by the agent'));
    for (const event of ['cancelled', 'close', 'error'])
      call.on(event, () => this.#ended('broken off by the agent'));
  }

  #ended(how: string): void {
    if (this.end !== null) return;
    this.end = { at: monoMs(), how };
    this.#call.end();
    this.#host.watched.changed();
  }

  #hear(message: Message): void {
    switch (message.$case) {
      case 'hello':
        this.seq = 1n;
        if (message.value.moreChunks) return;
        return this.#greeted(message.value);
      case 'inventoryChunk':
        return this.#chunk(message.value);
      case 'heartbeat':
        this.seq = message.value.seq;
        this.mirror.heartbeat(message.value);
        // The last part acknowledges it: nothing may come between the parts of a message.
        if (this.acks === 'prompt' && !this.#inParts) this.push({});
        return;
      case 'logChunk': {
        const { token, offset, data } = message.value;
        const nextOffset = offset + BigInt(data.length);
        const value = { token, nextOffset, closed: false, resend: false };
        if (this.logs === 'prompt') this.send({ message: { $case: 'logAck', value } });
        return;
      }
      case 'goodbye':
      case 'progress':
      case 'bundleChunk':
        return;
    }
  }

  #chunk(chunk: InventoryChunk): void {
    if (this.hello !== null) return this.mirror.chunk(chunk);
    if (!chunk.last) return;
    const parts = this.said.flatMap(({ message }) => {
      if (message.$case === 'hello')
        return [{ entries: message.value.inventory, reports: message.value.reports }];
      return message.$case === 'inventoryChunk' ? [message.value] : [];
    });
    const first = this.said.find(({ message }) => message.$case === 'hello')?.message.value as Hello;
    const inventory = parts.flatMap(({ entries }) => entries);
    this.#greeted({
      ...first,
      inventory,
      reports: parts.flatMap(({ reports }) => reports),
      moreChunks: false,
    });
  }

  #greeted(hello: Hello): void {
    this.hello = hello;
    this.mirror.hello(hello);
  }

  // — what the coordinator says —

  send(response: ConnectResponse): void {
    this.mirror.told(response);
    this.sendRaw(response);
  }

  /** A message of a later version, say: bytes that nobody here has a name for. */
  sendRaw(message: ConnectResponse | Uint8Array): void {
    this.toldAt = monoMs();
    if (this.end === null) this.#call.write(message);
  }

  welcome(epoch: bigint, change: Partial<Welcome> = {}): void {
    const { heartbeatMs, leaseMs, gateMs } = this.#host.terms;
    this.epoch = epoch;
    this.acknowledged = 1n;
    const value: Welcome = {
      epoch,
      heartbeatInterval: durationOf(heartbeatMs),
      lease: durationOf(leaseMs),
      gate: durationOf(gateMs),
      limits: LIMITS,
      verdicts: [],
      acknowledgements: [],
      coordinatorId: 'conformance',
      software: 'holdfast-conformance',
      protocolVersion: 1,
      capabilities: [],
      directive: { cordoned: false, draining: false, drainTimeout: undefined },
      ...change,
    };
    this.mirror.ruled(value.verdicts);
    this.send({ message: { $case: 'welcome', value } });
  }

  /** An acknowledgement with these parts, in a message of its own unless `number` says which; the number that it bears. */
  push(parts: Partial<HeartbeatAck>): bigint {
    if (this.acks === 'prompt') this.acknowledged = this.seq;
    const number = parts.number ?? this.nextNumber();
    const value = { ...EMPTY_ACK, ...parts, number, received: this.acknowledged };
    this.#inParts = value.more;
    this.send({ message: { $case: 'ack', value } });
    return value.number;
  }

  /** Draws the number of a message that is written by hand. */
  nextNumber(): bigint {
    return ++this.#number;
  }

  offer(...taskIds: string[]): void {
    this.push({ offers: taskIds.map((taskId) => ({ taskId, queue: this.queue })) });
  }

  permit(...permits: Permit[]): void {
    this.push({ permits });
  }

  /** Acknowledges reports as recorded. */
  record(...tokens: bigint[]): void {
    this.push({ acknowledgements: tokens.map((token) => ({ token, disposition: 1 })) });
  }

  /** Answers the Hello with a refusal, and ends the call with a status. */
  refuse(
    reason: HelloRefusal,
    code: status,
    delayMs: number,
    acknowledgements: Acknowledgement[] = [],
  ): void {
    const value = { reason, message: 'refused by the script', delay: durationOf(delayMs), acknowledgements };
    this.send({ message: { $case: 'refused', value } });
    this.reset(code);
  }

  reconnect(delayMs: number, addresses: string[] = []): void {
    const value = { reason: 'asked by the script', delay: durationOf(delayMs), addresses };
    this.send({ message: { $case: 'reconnect', value } });
    this.reset(status.OK);
  }

  farewell(): void {
    this.send({ message: { $case: 'farewell', value: {} } });
    this.reset(status.OK);
  }

  /** Ends the call with a status. */
  reset(code: status): void {
    if (this.end !== null) return;
    this.end = { at: monoMs(), how: 'ended by the script' };
    if (code === status.OK) this.#call.end();
    else this.#call.emit('error', { code, details: 'ended by the script' });
  }

  // — what the agent says —

  get queue(): string {
    return this.hello?.queues[0] ?? '';
  }

  /** Where the next message will stand in `said`. */
  here(): number {
    return this.said.length;
  }

  /** The first message in which `look` finds something. Throws Deviation when none comes in time. */
  expect<T>(
    expected: string,
    look: (message: Message, said: Said) => T | undefined,
    wait: Wait = {},
  ): Promise<T> {
    let next = wait.from ?? 0;
    return this.#host.watched.until(expected, wait.within ?? this.#host.patienceMs, () => {
      for (; next < this.said.length; next++) {
        const said = this.said[next] as Said;
        const found = look(said.message, said);
        if (found !== undefined) return found;
      }
      this.#host.mustLive();
      if (this.end !== null) throw new Deviation(`expected ${expected}, but the stream was ${this.end.how}`);
      return undefined;
    });
  }

  /** The first of what `look` finds in what was said already. */
  find<T>(look: (message: Message, said: Said) => T | undefined, from = 0): T | undefined {
    for (const said of this.said.slice(from)) {
      const found = look(said.message, said);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The next heartbeat, or the first from `wait.from` on, that `wanted` accepts. */
  heartbeat(wait: Wait & { readonly wanted?: (beat: Heartbeat) => boolean } = {}): Promise<Heartbeat> {
    const { wanted = () => true } = wait;
    const look = (message: Message) =>
      message.$case === 'heartbeat' && wanted(message.value) ? message.value : undefined;
    return this.expect('a heartbeat', look, { from: this.here(), ...wait });
  }

  /** A heartbeat that has applied what was told last. */
  applied(number = this.#number): Promise<Heartbeat> {
    const look = (message: Message) =>
      message.$case === 'heartbeat' && message.value.applied >= number ? message.value : undefined;
    return this.expect(`a heartbeat that has applied message ${number}`, look);
  }

  asked(taskId: string, wait: Wait = {}): Promise<StartRequest> {
    return this.expect(`a start request for ${taskId}`, (message) => requestIn(message, taskId), wait);
  }

  /** A report of this token, in the Hello, its chunks, or a heartbeat. */
  report(token: bigint, wait: Wait = {}): Promise<Report> {
    return this.expect(`a report of token ${token}`, (message) => reportIn(message, token), wait);
  }

  /** How often a token was reported. */
  reports(token: bigint, from = 0): number {
    return this.said.slice(from).filter(({ message }) => reportIn(message, token) !== undefined).length;
  }

  goodbye(wait: Wait = {}): Promise<{ endsSession: boolean; reason: string }> {
    return this.expect(
      'a Goodbye',
      (message) => (message.$case === 'goodbye' ? message.value : undefined),
      wait,
    );
  }

  /** The agent gives the stream up. Throws Deviation when it does not in time. */
  givenUp(within = this.#host.patienceMs): Promise<{ readonly at: number }> {
    return this.#host.watched.until('the end of the stream by the agent', within, () => {
      this.#host.mustLive();
      return this.end ?? undefined;
    });
  }
}

function requestIn(message: Message, taskId: string): StartRequest | undefined {
  if (message.$case !== 'heartbeat') return undefined;
  return message.value.startRequests.find((request) => request.taskId === taskId);
}

export const EMPTY_ACK: Omit<HeartbeatAck, 'number' | 'received'> = {
  stops: [],
  cancellations: [],
  acknowledgements: [],
  permits: [],
  refusals: [],
  voidTokens: [],
  offers: [],
  withdrawals: [],
  directive: undefined,
  sendFullInventory: false,
  triggerStarts: [],
  triggerStops: [],
  triggerAcks: [],
  more: false,
};
