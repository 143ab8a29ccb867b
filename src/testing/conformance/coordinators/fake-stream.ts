import { Client, type ClientDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import {
  AgentServiceService,
  type ConnectRequest,
  type ConnectResponse,
} from '../../../wire/gen/holdfast/v1/agent_service.js';
import type { Dialling } from '../../../wire/tls/dial.js';
import { Deviation } from '../case.js';
import { monoMs } from '../clock.js';
import type { Watched } from '../watch.js';

type Down = NonNullable<ConnectResponse['message']>;
type Arm = Down['$case'];
type Value<A extends Arm> = Extract<Down, { $case: A }>['value'];

/** How a call has ended, by its status. */
export interface StreamEnd {
  readonly at: number;
  readonly code: status;
  readonly details: string;
}

/** Where a stream goes, and who waits for what it brings. */
export interface StreamHost {
  readonly address: string;
  readonly dialling: Dialling;
  readonly watched: Watched;
  readonly patienceMs: number;
}

/** One stream of an agent that says exactly what a case wants, messages or bare bytes. */
export class FakeStream {
  /** Everything that the coordinator has said on it, in order. */
  readonly heard: { readonly at: number; readonly message: Down }[] = [];
  /** Null while it is open. */
  end: StreamEnd | null = null;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<ConnectRequest | Uint8Array, ConnectResponse>;
  readonly #watched: Watched;
  readonly #patienceMs: number;

  constructor({ address, dialling, watched, patienceMs }: StreamHost, hear: (message: Down) => void) {
    this.#watched = watched;
    this.#patienceMs = patienceMs;
    this.#client = new Client(address, dialling.credentials, {
      ...{ 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 0, 'grpc.enable_http_proxy': 0 },
      ...dialling.options,
    });
    const { path, requestSerialize, responseDeserialize } = AgentServiceService.connect;
    const serialize = (message: ConnectRequest | Uint8Array): Buffer =>
      message instanceof Uint8Array ? Buffer.from(message) : requestSerialize(message);
    this.#call = this.#client.makeBidiStreamRequest(path, serialize, responseDeserialize);
    this.#call.on('data', ({ message }: ConnectResponse) => {
      if (message === undefined) return;
      this.heard.push({ at: monoMs(), message });
      hear(message);
      watched.changed();
    });
    this.#call.on('error', (error: ServiceError) => this.#ended(error));
    this.#call.on('status', (ended: Pick<StreamEnd, 'code' | 'details'>) => this.#ended(ended));
  }

  #ended({ code, details }: Pick<StreamEnd, 'code' | 'details'>): void {
    this.end ??= { at: monoMs(), code, details };
    this.#watched.changed();
  }

  say(message: NonNullable<ConnectRequest['message']>): void {
    this.sayRaw({ message });
  }

  /** A message of a later version, say: bytes that nobody here has a name for. */
  sayRaw(message: ConnectRequest | Uint8Array): void {
    if (this.end === null) this.#call.write(message);
  }

  /** Says no more, and goes on listening. */
  halfClose(): void {
    this.#call.end();
  }

  /** Breaks the stream off. */
  close(): void {
    this.#call.cancel();
    this.#client.close();
  }

  /** Where the next message will stand in `heard`. */
  here(): number {
    return this.heard.length;
  }

  /** The first message of an arm that fits. Throws Deviation when none comes in time, or the stream ends before. */
  expect<A extends Arm, T>(
    expected: string,
    arm: A,
    look: (value: Value<A>) => T | undefined,
    { from = 0, within = this.#patienceMs }: { from?: number; within?: number } = {},
  ): Promise<T> {
    let next = from;
    return this.#watched.until(expected, within, () => {
      for (; next < this.heard.length; next++) {
        const message = this.heard[next]?.message;
        const found = message?.$case === arm ? look(message.value as Value<A>) : undefined;
        if (found !== undefined) return found;
      }
      if (this.end !== null)
        throw new Deviation(`expected ${expected}, but the stream ended: ${wordsOf(this.end)}`);
      return undefined;
    });
  }

  /** What of an arm was heard from here on. */
  all<A extends Arm>(arm: A, from = 0): Value<A>[] {
    return this.heard
      .slice(from)
      .flatMap(({ message }) => (message.$case === arm ? [message.value as Value<A>] : []));
  }

  /** The end of the call. Throws Deviation when it does not come in time. */
  ended(within = this.#patienceMs): Promise<StreamEnd> {
    return this.#watched.until(
      'the end of the stream by the coordinator',
      within,
      () => this.end ?? undefined,
    );
  }
}

export const wordsOf = ({ code, details }: StreamEnd): string => `${status[code]} ${details}`;
