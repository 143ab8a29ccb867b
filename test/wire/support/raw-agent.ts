import { randomUUID } from 'node:crypto';
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  type ServiceError,
} from '@grpc/grpc-js';
import { Held, type PhaseName } from './inventory.js';
import { connectMethod, type Message } from './proto.js';

interface Duration {
  readonly seconds: string;
  readonly nanos: number;
}
export interface Acknowledgement {
  readonly token: string;
  readonly disposition: string;
}
export interface Permit {
  readonly nonce: string;
  readonly token: string;
  readonly epoch: string;
  readonly taskId: string;
  readonly tryNumber: number;
  readonly work: { readonly command: { readonly argv: readonly string[] } };
  readonly resumption: { readonly event: Buffer; readonly state: Buffer } | null;
}
export interface TriggerStart {
  readonly triggerId: string;
  readonly token: string;
  readonly epoch: string;
  readonly kind: string;
  readonly input: Buffer;
  readonly taskId: string;
}
export interface Verdict {
  readonly token: string;
  readonly nonce: string;
  readonly kind: string;
  readonly reason: string;
}
/** What the coordinator may say, as proto-loader gives it. */
export interface Down {
  readonly message:
    | 'welcome'
    | 'ack'
    | 'logAck'
    | 'reconnect'
    | 'refused'
    | 'farewell'
    | 'bundleAck'
    | 'bundleHold';
  readonly welcome: {
    readonly epoch: string;
    readonly heartbeatInterval: Duration;
    readonly lease: Duration;
    readonly gate: Duration;
    readonly verdicts: readonly Verdict[];
    readonly acknowledgements: readonly Acknowledgement[];
    readonly protocolVersion: number;
  };
  readonly ack: {
    readonly number: string;
    readonly received: string;
    readonly stops: readonly { readonly token: string; readonly reason: string }[];
    readonly cancellations: readonly { readonly token: string; readonly reason: string }[];
    readonly acknowledgements: readonly Acknowledgement[];
    readonly permits: readonly Permit[];
    readonly refusals: readonly { readonly nonce: string; readonly reason: string }[];
    readonly voidTokens: readonly string[];
    readonly offers: readonly { readonly taskId: string; readonly queue: string }[];
    readonly withdrawals: readonly string[];
    readonly sendFullInventory: boolean;
    readonly triggerStarts: readonly TriggerStart[];
    readonly triggerStops: readonly string[];
    readonly triggerAcks: readonly {
      readonly triggerId: string;
      readonly eventId: string;
      readonly taken: boolean;
    }[];
  };
  readonly logAck: { readonly token: string; readonly nextOffset: string; readonly closed: boolean };
  readonly reconnect: { readonly reason: string };
  readonly refused: {
    readonly reason: string;
    readonly message: string;
    readonly delay: Duration;
    readonly acknowledgements: readonly Acknowledgement[];
  };
  readonly farewell: object;
  readonly bundleAck: {
    readonly bundle: string;
    readonly sequence: string;
    readonly nextOffset: string;
    readonly state: string;
    readonly message: string;
  };
  readonly bundleHold: { readonly bundle: string; readonly held: boolean; readonly lastSha256: Buffer };
}
type Arm = Down['message'];
type Ack = Down['ack'];

export interface Ended {
  readonly code: number;
  readonly details: string;
}

export interface AgentChoice {
  /** Default: plaintext. */
  readonly security?: ChannelCredentials;
  readonly agentId?: string;
  readonly instanceId?: string;
  readonly queue?: string;
  readonly slots?: number;
}

const LIMIT_MS = 20_000;
export const millis = ({ seconds, nanos }: Duration): number => Number(seconds) * 1_000 + nanos / 1_000_000;

/** One stream of an agent that says exactly what a test wants: right or wrong, messages or bare bytes. */
export class RawStream {
  readonly ended: Promise<Ended>;
  over: Ended | null = null;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<object | Buffer, Down>;
  #waiting: Down[] = [];
  #look: () => void = () => {};

  constructor(address: string, security = credentials.createInsecure()) {
    this.#client = new Client(address, security, {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
    });
    const { path, requestSerialize, responseDeserialize } = connectMethod;
    this.#call = this.#client.makeBidiStreamRequest(
      path,
      (value: object | Buffer) => (Buffer.isBuffer(value) ? value : requestSerialize(value)),
      (bytes: Buffer) => responseDeserialize(bytes) as Down,
    );
    let settle: (ended: Ended) => void = () => {};
    this.ended = new Promise((resolve) => {
      settle = resolve;
    });
    this.#call.on('error', (error: ServiceError) => this.#finish(error, settle));
    this.#call.on('status', (status: Ended) => this.#finish(status, settle));
    this.#call.on('data', (down: Down) => {
      this.#waiting.push(down);
      this.#look();
    });
  }

  #finish({ code, details }: Ended, settle: (ended: Ended) => void): void {
    this.over ??= { code, details };
    settle(this.over);
    this.#look();
  }

  /** Takes nothing more from the connection, until `readOn`. Only after the first message: before it, the library does. */
  stopReading(): void {
    this.#call.pause();
  }

  readOn(): void {
    this.#call.resume();
  }

  say(message: Message | Buffer): void {
    this.#call.write(message);
  }

  /** Says no more, and goes on listening. */
  halfClose(): void {
    this.#call.end();
  }

  /** The next message of an arm that fits; the others stay. */
  async next<A extends Arm>(arm: A, fits: (value: Down[A]) => boolean = () => true): Promise<Down[A]> {
    const limit = Date.now() + LIMIT_MS;
    for (;;) {
      const at = this.#waiting.findIndex((down) => down.message === arm && fits(down[arm]));
      if (at >= 0) return (this.#waiting.splice(at, 1)[0] as Down)[arm];
      if (this.over !== null) throw new Error(`${arm} never came: ${JSON.stringify(this.over)}`);
      if (Date.now() > limit)
        throw new Error(`no ${arm} in ${LIMIT_MS} ms: ${JSON.stringify(this.#waiting)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LIMIT_MS);
        this.#look = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** What has come and was not asked for yet. */
  get unread(): readonly Down[] {
    return this.#waiting;
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }
}

/** An agent in the hands of a test: it keeps its inventory by the proto's rules, and does nothing by itself. */
export class RawAgent {
  readonly agentId: string;
  readonly instanceId: string;
  readonly queue: string;
  readonly slots: number;
  readonly held = new Held();
  readonly offers = new Set<string>();
  stream: RawStream;
  streamNo = 0;
  seq = 1;
  applied = 1;
  readonly #address: string;
  readonly #security: ChannelCredentials | undefined;
  #nonce = 0;

  constructor(address: string, choice: AgentChoice = {}) {
    const { agentId = 'raw', instanceId = randomUUID(), queue = 'default', slots = 4 } = choice;
    this.agentId = agentId;
    this.instanceId = instanceId;
    this.queue = queue;
    this.slots = slots;
    this.#address = address;
    this.#security = choice.security;
    this.stream = new RawStream(address, choice.security);
  }

  /** A new stream in place of the old one, which is closed unless it is kept. */
  redial(keep = false): RawStream {
    if (!keep) this.stream.close();
    this.stream = new RawStream(this.#address, this.#security);
    return this.stream;
  }

  helloMessage(change: Message = {}): Message {
    this.streamNo++;
    this.seq = 1;
    this.applied = 1;
    return {
      agentId: this.agentId,
      instanceId: this.instanceId,
      streamNo: this.streamNo,
      kind: 'AGENT_KIND_WORKER',
      queues: [this.queue],
      slots: this.slots,
      software: 'raw/1',
      protocolVersion: 1,
      inventory: this.held.entries,
      ...change,
    };
  }

  hello(change: Message = {}): void {
    this.stream.say({ hello: this.helloMessage(change) });
  }

  /** Says Hello and takes the Welcome in. */
  async greet(change: Message = {}): Promise<Down['welcome']> {
    this.hello(change);
    const welcome = await this.stream.next('welcome');
    for (const { kind, token, nonce } of welcome.verdicts) {
      if (kind === 'VERDICT_KIND_RECORDED') this.held.dropToken(token);
      if (kind === 'VERDICT_KIND_NEVER_START') this.held.dropNonce(nonce);
    }
    return welcome;
  }

  /** Sends a heartbeat that is right unless `change` says otherwise; gives its acknowledgement. */
  async beat(change: Message = {}): Promise<Ack> {
    const seq = this.say(change);
    return this.heard((ack) => Number(ack.received) >= seq);
  }

  say(change: Message = {}): number {
    this.seq++;
    this.stream.say({
      heartbeat: {
        seq: this.seq,
        applied: this.applied,
        inventoryCount: this.held.count,
        inventoryHash: this.held.hash,
        freeSlots: this.slots - this.held.count,
        ...change,
      },
    });
    return this.seq;
  }

  /** The next acknowledgement that fits; it and all before it are applied. */
  async heard(fits: (ack: Ack) => boolean): Promise<Ack> {
    for (;;) {
      const ack = await this.stream.next('ack');
      this.#apply(ack);
      if (fits(ack)) return ack;
    }
  }

  #apply(ack: Ack): void {
    for (const { taskId } of ack.offers) this.offers.add(taskId);
    this.applied = Number(ack.number);
    for (const { token } of ack.acknowledgements) this.held.dropToken(token);
    for (const { nonce, token, taskId } of ack.permits) this.held.permit(nonce, token, taskId);
    for (const { nonce } of ack.refusals) this.held.dropNonce(nonce);
  }

  /** Waits until these tasks have been offered. */
  async offered(...taskIds: string[]): Promise<void> {
    const all = (): boolean => taskIds.every((taskId) => this.offers.has(taskId));
    if (!all()) await this.heard(all);
  }

  /** Asks to start a task; gives the acknowledgement that answers. */
  async ask(taskId: string, nonce = String(++this.#nonce)): Promise<Ack> {
    this.held.ask(nonce, taskId);
    this.say({ startRequests: [{ nonce, taskId }] });
    return this.heard(
      (ack) => ack.permits.some((p) => p.nonce === nonce) || ack.refusals.some((r) => r.nonce === nonce),
    );
  }

  /** Waits for the offer of a task and gets its permit. */
  async start(taskId: string): Promise<Permit> {
    await this.offered(taskId);
    const [permit] = (await this.ask(taskId)).permits;
    if (permit === undefined) throw new Error(`no permit for ${taskId}`);
    return permit;
  }

  /** Reports the end of a run; gives the disposition. */
  async report(token: string, change: Message = {}, phase?: PhaseName): Promise<string> {
    const report: Message = { token, kind: 'REPORT_KIND_SUCCESS', ...change };
    this.held.put(
      token,
      phase ?? 'INVENTORY_PHASE_FINISHED',
      typeof report.taskId === 'string' ? report.taskId : '',
    );
    this.say({ reports: [report] });
    const ack = await this.heard((a) => a.acknowledgements.some((one) => one.token === token));
    return ack.acknowledgements.find((one) => one.token === token)?.disposition ?? '';
  }

  /** From the offer to the acknowledged report. */
  async complete(taskId: string, change: Message = {}): Promise<void> {
    const { token } = await this.start(taskId);
    const disposition = await this.report(token, { taskId, ...change });
    if (disposition !== 'REPORT_DISPOSITION_RECORDED') throw new Error(`the report is ${disposition}`);
  }

  close(): void {
    this.stream.close();
  }
}
