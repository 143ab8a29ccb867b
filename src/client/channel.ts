import {
  type ChannelOptions,
  Client,
  connectivityState,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { ClientClock } from './clock.js';
import { HoldfastError, toHoldfastError } from './errors.js';

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
  /** Ends the call, which then rejects with `CANCELLED`. */
  readonly signal?: AbortSignal | undefined;
  /** Default: that of the connection, 10 s. */
  readonly timeoutMs?: number | undefined;
}

/** A call as the generated stubs define it. */
export type Method<Request, Response> = Pick<
  MethodDefinition<Request, Response>,
  'path' | 'requestSerialize' | 'responseDeserialize'
>;

/** One connection, and how calls are made on it. */
export class Channel {
  readonly address: string;
  readonly clock: ClientClock;
  readonly #client: Client;
  readonly #timeoutMs: number;

  constructor(address: string, timeoutMs: number, clock: ClientClock) {
    this.address = address;
    this.clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#client = new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS);
  }

  /** Makes one call with a deadline. */
  unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    choices: CallChoices = {},
  ): Promise<Response> {
    const timeoutMs = choices.timeoutMs ?? this.#timeoutMs;
    return new Promise((resolve, reject) => {
      if (choices.signal?.aborted) return reject(cancelled());
      const abort = () => call.cancel();
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        { deadline: this.clock.now() + timeoutMs },
        (error, response) => {
          choices.signal?.removeEventListener('abort', abort);
          if (error === null && response !== undefined) resolve(response);
          else if (choices.signal?.aborted || error === null) reject(cancelled());
          else reject(this.#explain(error, timeoutMs));
        },
      );
      choices.signal?.addEventListener('abort', abort);
    });
  }

  /** Reads a server stream to its end; leaving the loop early cancels the call. */
  async *read<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Response, void, undefined> {
    if (signal?.aborted) throw cancelled();
    const call = this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new Metadata(),
      {},
    );
    const abort = () => call.cancel();
    signal?.addEventListener('abort', abort);
    // The status of a call that was left early arrives when nobody listens any more.
    call.on('error', () => {});
    try {
      for await (const response of call) yield response as Response;
    } catch (error) {
      if (signal?.aborted) throw cancelled();
      throw isServiceError(error) ? this.#explain(error, undefined) : error;
    } finally {
      signal?.removeEventListener('abort', abort);
      call.cancel();
    }
    // A cancelled call may end its iteration without an error.
    if (signal?.aborted) throw cancelled();
  }

  #explain(error: ServiceError, timeoutMs: number | undefined): HoldfastError {
    const connected = this.#client.getChannel().getConnectivityState(false) === connectivityState.READY;
    return toHoldfastError(error, { address: this.address, connected, timeoutMs });
  }

  close(): void {
    this.#client.close();
  }
}

const cancelled = (): HoldfastError =>
  new HoldfastError({
    code: 'CANCELLED',
    grpcStatus: status.CANCELLED,
    what: 'the call was cancelled by its caller',
  });

// Errors of the gRPC library are told by their fields: they may come from another realm than this module.
function isServiceError(error: unknown): error is ServiceError {
  return typeof error === 'object' && error !== null && 'code' in error && 'details' in error;
}
