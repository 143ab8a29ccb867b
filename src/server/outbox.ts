import type { ServerDuplexStream } from '@grpc/grpc-js';
import { type ConnectRequest, ConnectResponse } from '../wire/gen/holdfast/v1/agent_service.js';
import { LIMITS } from '../wire/limits.js';

export type AgentCall = ServerDuplexStream<ConnectRequest, ConnectResponse>;

interface Waiting {
  readonly message: ConnectResponse;
  readonly bytes: number;
}

/**
 * What waits to be written to one stream, bounded in messages and bytes: grpc-js takes any number without a word and
 * says only afterwards that it is full. Acknowledgements go before task output's; beyond the bound the agent is too
 * slow, and what waited for it is let go.
 */
export class Outbox {
  readonly #call: AgentCall;
  readonly #overflow: () => void;
  #urgent: Waiting[] = [];
  #bulk: Waiting[] = [];
  #bytes = 0;
  #blocked = false;
  #overflowed = false;

  constructor(call: AgentCall, overflow: () => void) {
    this.#call = call;
    this.#overflow = overflow;
    call.on('drain', () => {
      this.#blocked = false;
      this.#flush();
    });
  }

  push(message: ConnectResponse, kind: 'urgent' | 'bulk'): void {
    if (this.#overflowed) return;
    if (!this.#blocked) {
      this.#blocked = !this.#call.write(message);
      return;
    }
    const bytes = ConnectResponse.encode(message).finish().length;
    (kind === 'urgent' ? this.#urgent : this.#bulk).push({ message, bytes });
    this.#bytes += bytes;
    const count = this.#urgent.length + this.#bulk.length;
    if (count <= LIMITS.outboxMessages && this.#bytes <= LIMITS.outboxBytes) return;
    this.#overflowed = true;
    this.#urgent = [];
    this.#bulk = [];
    this.#overflow();
  }

  #flush(): void {
    while (!this.#blocked) {
      const waiting = this.#urgent.shift() ?? this.#bulk.shift();
      if (waiting === undefined) return;
      this.#bytes -= waiting.bytes;
      this.#blocked = !this.#call.write(waiting.message);
    }
  }
}
