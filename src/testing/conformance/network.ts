import { createServer, type Server, Socket } from 'node:net';
import { after } from './clock.js';

/** Which way bytes go: `up` from the agent, `down` to it. */
export type Way = 'up' | 'down';

interface Line {
  readonly agent: Socket;
  readonly coordinator: Socket;
  readonly held: { readonly way: Way; readonly bytes: Buffer }[];
  readonly holds: Set<Way>;
}

/** The network between the agent and the scripted coordinator: every connection passes through it. */
export class Network {
  /** HOST:PORT that the agent dials. */
  address = '';
  /** How many connections the agent has opened. */
  dials = 0;
  readonly #server: Server;
  readonly #lines = new Set<Line>();
  readonly #port: number;
  #refusing = false;

  private constructor(port: number) {
    this.#port = port;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** In front of the port at which the coordinator listens. */
  static open(port: number): Promise<Network> {
    const network = new Network(port);
    return new Promise((resolve, reject) => {
      network.#server.once('error', reject);
      network.#server.listen(0, '127.0.0.1', () => {
        const bound = network.#server.address();
        if (bound === null || typeof bound === 'string') return reject(new Error('no port was bound'));
        network.address = `127.0.0.1:${bound.port}`;
        resolve(network);
      });
    });
  }

  #accept(agent: Socket): void {
    this.dials++;
    agent.on('error', () => {});
    if (this.#refusing) return void agent.destroy();
    const coordinator = new Socket();
    coordinator.connect(this.#port, '127.0.0.1');
    const line: Line = { agent, coordinator, held: [], holds: new Set() };
    this.#lines.add(line);
    agent.on('data', (bytes: Buffer) => pass(line, 'up', bytes));
    coordinator.on('data', (bytes: Buffer) => pass(line, 'down', bytes));
    coordinator.on('error', () => {});
    for (const socket of [agent, coordinator]) {
      socket.setNoDelay(true);
      socket.on('close', () => this.#closed(line));
    }
  }

  /** While a way is held nothing passes, and that includes the news that one end is gone. */
  #closed(line: Line): void {
    if (line.holds.size > 0) return;
    this.#lines.delete(line);
    line.agent.destroy();
    line.coordinator.destroy();
  }

  /**
   * Ends every connection, without a word of HTTP/2 before; new ones are accepted. A TCP reset would be no harder, and a
   * socket that Node cannot reset any more keeps the whole process from ending.
   */
  cut(): void {
    for (const { agent, coordinator } of this.#lines) {
      agent.destroy();
      coordinator.destroy();
    }
    this.#lines.clear();
  }

  /** Ends every connection, and every new one at once, until `heal`. */
  refuse(): void {
    this.#refusing = true;
    this.cut();
  }

  /** Nothing passes on the connections that are open now, and nobody is told; new ones work. */
  hold(...ways: readonly Way[]): void {
    for (const line of this.#lines) for (const way of ways) line.holds.add(way);
  }

  /** Connections are accepted, and what was held arrives late. */
  heal(): void {
    this.#refusing = false;
    for (const line of this.#lines) {
      line.holds.clear();
      for (const { way, bytes } of line.held.splice(0)) pass(line, way, bytes);
      if (line.agent.destroyed || line.coordinator.destroyed) after(0, () => this.#closed(line));
    }
  }

  close(): Promise<void> {
    this.refuse();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

function pass(line: Line, way: Way, bytes: Buffer): void {
  if (line.holds.has(way)) return void line.held.push({ way, bytes });
  const to = way === 'up' ? line.coordinator : line.agent;
  if (to.writable) to.write(bytes);
}
