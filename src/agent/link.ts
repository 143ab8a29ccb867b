import { type ClientDuplexStream, connectivityState, type ServiceError, status } from '@grpc/grpc-js';
import type { Token } from '../kit/ids.js';
import { CONNECT } from '../wire/connect.js';
import {
  AgentServiceClient,
  type ConnectRequest,
  type ConnectResponse,
  type HeartbeatAck,
} from '../wire/gen/holdfast/v1/agent_service.js';
import { KEEPALIVE, LIMITS } from '../wire/limits.js';
import { millisOf } from '../wire/time.js';
import { dialling, type TlsOptions } from '../wire/tls/dial.js';
import { tlsFaultOf } from '../wire/tls/faults.js';
import type { AgentClock, Timer } from './clock.js';
import type { BundleTold } from './core/bundle-upload.js';
import type { AgentEvent } from './core/events.js';
import { ackOf, holdOf, refusedOf, uploadOf, welcomeOf } from './translate.js';

/** What a link tells: the events of the newest stream, and what is said of task output and of bundles. */
export interface LinkListener {
  happened(event: AgentEvent): void;
  logAcknowledged(token: Token, nextOffset: number, closed: boolean, resend: boolean): void;
  bundleTold(told: BundleTold): void;
}

/** A connection that does not come up in this time is given up. */
const CONNECT_LIMIT_MS = 10_000;
/**
 * One that was accepted gets so long for its handshake: where thousands come back at once, giving up after seconds would throw
 * away what the coordinator has computed for each of them, and begin it anew, for ever.
 */
const HANDSHAKE_LIMIT_MS = 30_000;

/**
 * The agent's one stream. Each dial makes a connection of its own, so that a dead one is never used again; every way in
 * which a stream can end is told once, as `stream_lost`.
 */
export class Link {
  readonly #address: string;
  readonly #tls: TlsOptions | null;
  readonly #clock: AgentClock;
  readonly #listener: LinkListener;
  /** Messages of arms that this version does not know: a newer coordinator may say more than we understand. */
  unknownArms = 0;
  #stream: Stream | null = null;
  #timer: Timer | null = null;
  /** Where a coordinator has sent its agents, each to be tried once. */
  #named: readonly string[] = [];

  /** Dials in plaintext when `tls` is null. */
  constructor(address: string, clock: AgentClock, listener: LinkListener, tls: TlsOptions | null = null) {
    this.#address = address;
    this.#tls = tls;
    this.#clock = clock;
    this.#listener = listener;
  }

  dial(streamNo: bigint, afterMs: number): void {
    this.hangUp();
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(afterMs, () => {
      // With none left it is the configured one again: a wrong word from a coordinator must not lose its agents (P9).
      const [address = this.#address, ...rest] = this.#named;
      this.#named = rest;
      this.#stream = new Stream(address, this.#tls, streamNo, this.#clock, this.#listener, {
        unknown: () => this.unknownArms++,
        sentTo: (addresses) => {
          this.#named = addresses;
        },
      });
    });
  }

  send(streamNo: bigint, requests: readonly ConnectRequest[]): void {
    if (this.#stream?.streamNo === streamNo) for (const request of requests) this.#stream.write(request);
  }

  /** On whatever stream is the newest; dropped when there is none. */
  sendNewest(request: ConnectRequest): void {
    this.#stream?.write(request);
  }

  /** Ends the newest stream without waiting for the other side. */
  hangUp(): void {
    this.#timer?.cancel();
    this.#stream?.close();
    this.#stream = null;
  }
}

/** What a stream tells its link alone. */
interface Asides {
  unknown(): void;
  sentTo(addresses: readonly string[]): void;
}

class Stream {
  readonly streamNo: bigint;
  readonly #secured: boolean;
  readonly #client: AgentServiceClient;
  readonly #listener: LinkListener;
  #timer: Timer;
  readonly #asides: Asides;
  #call: ClientDuplexStream<ConnectRequest, ConnectResponse> | null = null;
  #over = false;
  /** Parts of an acknowledgement that is not complete yet. */
  #parts: HeartbeatAck[] = [];

  constructor(
    address: string,
    tls: TlsOptions | null,
    streamNo: bigint,
    clock: AgentClock,
    listener: LinkListener,
    asides: Asides,
  ) {
    this.streamNo = streamNo;
    this.#secured = tls !== null;
    this.#listener = listener;
    this.#asides = asides;
    const late = (): void => this.#lost(`no answer from ${address}`, false);
    const { credentials, options } = dialling(address, tls, {
      wallMs: () => clock.wallMs(),
      accepted: () => {
        if (this.#over || this.#call !== null) return;
        this.#timer.cancel();
        this.#timer = clock.setTimer(HANDSHAKE_LIMIT_MS, late);
      },
    });
    this.#client = new AgentServiceClient(address, credentials, {
      ...KEEPALIVE,
      ...options,
      'grpc.keepalive_permit_without_calls': 1,
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
      'grpc.max_receive_message_length': 2 * LIMITS.messageBytes,
    });
    this.#timer = clock.setTimer(CONNECT_LIMIT_MS, late);
    this.#awaitConnection(address);
  }

  /** grpc-js would try for ever; the first failure is ours to tell, and the next try ours to time (P9). */
  #awaitConnection(address: string): void {
    if (this.#over) return;
    const channel = this.#client.getChannel();
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return this.#open();
    if (state === connectivityState.TRANSIENT_FAILURE) return this.#askWhy(address);
    channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => this.#awaitConnection(address));
  }

  /** Only a call is told what the connection failed of; it fails at once, for there is none. */
  #askWhy(address: string): void {
    const call = this.#client.connect();
    this.#call = call;
    call.on('error', ({ details }: ServiceError) => {
      const fault = tlsFaultOf(details, this.#secured);
      if (fault === null) return this.#lost(`no connection to ${address}`, false);
      const why = `no connection to ${address}: ${fault.because}. Try: ${fault.try}`;
      this.#lost(why, fault.lasting);
    });
  }

  write(request: ConnectRequest): void {
    if (!this.#over) this.#call?.write(request);
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer.cancel();
    this.#call?.cancel();
    this.#client.close();
  }

  #open(): void {
    this.#timer.cancel();
    const { path, requestSerialize, responseDeserialize } = CONNECT;
    const call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    this.#call = call;
    call.on('data', (response: ConnectResponse) => this.#receive(response));
    call.on('error', (error: ServiceError) => {
      const denied = error.code === status.UNAUTHENTICATED || error.code === status.PERMISSION_DENIED;
      this.#lost(`${status[error.code] ?? error.code}: ${error.details}`, denied);
    });
    call.on('end', () => this.#lost('ended by the coordinator', false));
    call.on('close', () => this.#lost('closed', false));
    this.#listener.happened({ kind: 'stream_opened', streamNo: this.streamNo });
  }

  #lost(why: string, denied: boolean): void {
    if (this.#over) return;
    this.close();
    this.#listener.happened({ kind: 'stream_lost', streamNo: this.streamNo, denied, why });
  }

  #receive({ message }: ConnectResponse): void {
    if (this.#over) return;
    if (message === undefined) return this.#asides.unknown();
    const { streamNo } = this;
    switch (message.$case) {
      case 'welcome':
        return this.#listener.happened({ kind: 'welcome', streamNo, welcome: welcomeOf(message.value) });
      case 'ack': {
        this.#parts.push(message.value);
        if (message.value.more) return;
        const ack = ackOf(this.#parts);
        this.#parts = [];
        // failpoint: FP3 before
        // failpoint: FP7 before
        // failpoint: FP12 before
        this.#listener.happened({ kind: 'ack', streamNo, ack });
        // failpoint: FP3 after
        // failpoint: FP7 after
        // failpoint: FP12 after
        return;
      }
      case 'logAck': {
        const { token, nextOffset, closed, resend } = message.value;
        return this.#listener.logAcknowledged(token as Token, Number(nextOffset), closed, resend);
      }
      case 'bundleAck':
        return this.#listener.bundleTold(uploadOf(message.value));
      case 'bundleHold':
        return this.#listener.bundleTold(holdOf(message.value));
      case 'reconnect': {
        const delayMs = millisOf(message.value.delay) ?? 0;
        this.#asides.sentTo(message.value.addresses);
        return this.#listener.happened({ kind: 'reconnect', streamNo, delayMs });
      }
      case 'refused':
        return this.#listener.happened({ kind: 'refused', streamNo, refused: refusedOf(message.value) });
      case 'farewell':
        return this.#listener.happened({ kind: 'farewell', streamNo });
    }
  }
}
