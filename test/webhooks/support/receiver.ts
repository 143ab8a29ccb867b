import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from '../../wire/support/wait.js';

/** One message as it came. */
export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A real HTTP server that keeps what it is sent; how it answers is up to the test. */
export class Receiver {
  /** Everything that came, also what was refused. */
  readonly received: Received[] = [];
  /** What was answered with 2xx. */
  readonly accepted: Received[] = [];
  /** The status to answer with; `hang` never answers, `die` ends the connection. */
  answer: (message: Received, count: number) => number | 'hang' | 'die' = () => 204;
  location = '';
  /** Sent as `Retry-After` with what is not accepted. */
  retryAfter = '';
  port = 0;
  #server: Server | null = null;

  async start(): Promise<this> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => this.#take(request.headers, Buffer.concat(chunks).toString(), response));
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hook`;
  }

  #take(headers: IncomingHttpHeaders, body: string, response: ServerResponse): void {
    const { type, data } = JSON.parse(body) as Pick<Received, 'type' | 'data'>;
    const message = { headers, body, id: String(headers['webhook-id']), type, data };
    this.received.push(message);
    const answer = this.answer(message, this.received.length);
    if (answer === 'hang') return;
    if (answer === 'die') return void response.destroy();
    if (answer >= 200 && answer < 300) this.accepted.push(message);
    response.writeHead(answer, {
      ...(this.location === '' ? {} : { location: this.location }),
      ...(this.retryAfter === '' || answer < 300 ? {} : { 'retry-after': this.retryAfter }),
    });
    response.end('thank you');
  }

  /** Waits until so many different messages were accepted. */
  async has(count: number): Promise<void> {
    const different = () => new Set(this.accepted.map(({ id }) => id)).size;
    await eventually(`${count} messages accepted, there are ${different()}`, () => different() >= count);
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
