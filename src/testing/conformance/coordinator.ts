import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { AgentServiceService, type ConnectResponse } from '../../wire/gen/holdfast/v1/agent_service.js';
import { LIMITS } from '../../wire/limits.js';
import { type Call, Stream, type StreamHost } from './stream.js';

const { connect } = AgentServiceService;

/** The public service, except that bytes can be sent as they are. */
const SERVICE: ServiceDefinition = {
  connect: {
    ...connect,
    responseSerialize: (message: ConnectResponse | Uint8Array) =>
      message instanceof Uint8Array ? Buffer.from(message) : connect.responseSerialize(message),
  },
};

/** A coordinator that decides nothing: every stream that an agent opens waits for the script. */
export class ScriptedCoordinator {
  /** All streams that agents have opened, in order. */
  readonly streams: Stream[] = [];
  port = 0;
  #taken = 0;
  readonly #server = new Server({
    'grpc.max_receive_message_length': LIMITS.messageBytes,
    'grpc.max_concurrent_streams': 100,
  });

  constructor(host: StreamHost) {
    this.#server.addService(SERVICE, {
      connect: (call: Call) => {
        this.streams.push(new Stream(call, host));
        host.watched.changed();
      },
    });
  }

  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
        if (error !== null) return reject(error);
        this.port = port;
        resolve();
      });
    });
  }

  /** The oldest stream that nobody has taken yet, is open, and has said its whole Hello. */
  take(): Stream | undefined {
    while (this.streams[this.#taken]?.end) this.#taken++;
    const stream = this.streams[this.#taken];
    if (stream === undefined || stream.hello === null) return undefined;
    this.#taken++;
    return stream;
  }

  close(): void {
    this.#server.forceShutdown();
  }
}
