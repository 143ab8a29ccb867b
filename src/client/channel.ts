import {
  type ChannelOptions,
  Client,
  connectivityState,
  Metadata,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { type Backoff, fullJitter } from '../kit/backoff.js';
import { dialling, type TlsOptions } from '../wire/tls/dial.js';
import type { ClientClock } from './clock.js';
import { cancelled, type HoldfastError, isUnavailable, lateAnswer, toHoldfastError } from './errors.js';

/** Every choice has its reason in the gRPC library's defaults: see each line. */
const CHANNEL_OPTIONS: ChannelOptions = {
  // Calls are retried by us, where it is known to be safe.
  'grpc.enable_retries': 0,
  // Two clients of one process share no connection, so that closing one closes it.
  'grpc.use_local_subchannel_pool': 1,
  // A proxy of the environment would see task commands in the clear.
  'grpc.enable_http_proxy': 0,
  // Without keepalive a client never notices a network that swallows everything.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 250,
  'grpc.max_reconnect_backoff_ms': 10_000,
  // A page of tasks with results may be larger than what an agent may send.
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
};

/** How one call is made. */
export interface CallChoices {
  /** Ends the call, which then rejects with `CANCELLED`. Default: nothing does. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which it rejects with `DEADLINE_EXCEEDED`. Default: that of the connection, 10 s. */
  readonly timeoutMs?: number | undefined;
}

/** A call as the generated stubs define it. */
export type Method<Request, Response> = Pick<
  MethodDefinition<Request, Response>,
  'path' | 'requestSerialize' | 'responseDeserialize'
>;

/** How calls of one connection are made. */
export interface ChannelChoices {
  readonly timeoutMs: number;
  readonly retry: boolean;
  /** Null: plaintext. */
  readonly tls: TlsOptions | null;
  readonly clock: ClientClock;
}

/** Between two attempts of one call. */
const RETRY_BACKOFF: Backoff = { initialMs: 100, maxMs: 2_000 };

/** One connection, and how calls are made on it. */
export class Channel {
  readonly address: string;
  readonly clock: ClientClock;
  /** Whether calls that are safe to repeat are repeated while the coordinator is away. */
  readonly retries: boolean;
  readonly #client: Client;
  readonly #secured: boolean;
  readonly #timeoutMs: number;

  constructor(address: string, choices: ChannelChoices) {
    this.address = address;
    this.clock = choices.clock;
    this.retries = choices.retry;
    this.#timeoutMs = choices.timeoutMs;
    this.#secured = choices.tls !== null;
    const { credentials, options } = dialling(address, choices.tls, { wallMs: choices.clock.now });
    this.#client = new Client(address, credentials, { ...CHANNEL_OPTIONS, ...options });
  }

  /** Makes a call that does no more the second time than the first: again while the coordinator is away. */
  async repeatable<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    choices: CallChoices = {},
  ): Promise<Response> {
    const timeoutMs = choices.timeoutMs ?? this.#timeoutMs;
    const deadline = this.clock.now() + timeoutMs;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#attempt(method, request, choices.signal, timeoutMs, deadline);
      } catch (error) {
        if (!this.retries || !isUnavailable(error)) throw error;
        const wait = fullJitter(RETRY_BACKOFF, attempt, this.clock.random);
        // The last word of the coordinator says more than that the time is over.
        if (this.clock.now() + wait >= deadline) throw error;
        await this.clock.wait(wait, choices.signal);
      }
    }
  }

  /** Makes a call once. */
  once<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    choices: CallChoices = {},
  ): Promise<Response> {
    const timeoutMs = choices.timeoutMs ?? this.#timeoutMs;
    return this.#attempt(method, request, choices.signal, timeoutMs, this.clock.now() + timeoutMs);
  }

  #attempt<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    signal: AbortSignal | undefined,
    timeoutMs: number,
    deadline: number,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled());
      const abort = () => call.cancel();
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        { deadline },
        (error, response) => {
          signal?.removeEventListener('abort', abort);
          if (error === null && response !== undefined) resolve(response);
          else if (signal?.aborted || error === null) reject(cancelled());
          else reject(this.#explain(error, timeoutMs));
        },
      );
      signal?.addEventListener('abort', abort);
    });
  }

  /** Reads a server stream to its end; leaving the loop early cancels the call. `deadline` is an instant of the clock. */
  async *read<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    limits: StreamLimits,
  ): AsyncGenerator<Response, void, undefined> {
    const { signal, timeoutMs, deadline } = limits;
    if (signal?.aborted) throw cancelled();
    const call = this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new Metadata(),
      deadline === undefined ? {} : { deadline },
    );
    const abort = () => call.cancel();
    signal?.addEventListener('abort', abort);
    // The status of a call that was left early arrives when nobody listens any more.
    call.on('error', () => {});
    try {
      for await (const response of call) yield response as Response;
    } catch (error) {
      if (signal?.aborted) throw cancelled();
      throw isServiceError(error) ? this.#explain(error, timeoutMs) : error;
    } finally {
      signal?.removeEventListener('abort', abort);
      call.cancel();
    }
    // A cancelled call may end its iteration without an error.
    if (signal?.aborted) throw cancelled();
  }

  /** The limits of a stream that starts now, and of the streams that go on in its place. */
  limits(choices: CallChoices): StreamLimits {
    const { signal, timeoutMs } = choices;
    return {
      signal,
      timeoutMs,
      deadline: timeoutMs === undefined ? undefined : this.clock.now() + timeoutMs,
    };
  }

  /** The error of a stream whose time is over. */
  late(limits: StreamLimits): HoldfastError {
    return lateAnswer({ address: this.address, timeoutMs: limits.timeoutMs });
  }

  #explain(error: ServiceError, timeoutMs: number | undefined): HoldfastError {
    const connected = this.#client.getChannel().getConnectivityState(false) === connectivityState.READY;
    return toHoldfastError(error, { address: this.address, connected, secured: this.#secured, timeoutMs });
  }

  close(): void {
    this.#client.close();
  }
}

/** What ends a stream from this side. */
export interface StreamLimits {
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  /** The instant of the clock that `timeoutMs` leads to. */
  readonly deadline: number | undefined;
}

// Errors of the gRPC library are told by their fields: they may come from another realm than this module.
function isServiceError(error: unknown): error is ServiceError {
  return typeof error === 'object' && error !== null && 'code' in error && 'details' in error;
}
