import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP proxy that can stop passing anything on, as a network that swallows packets does: no end, no reset. */
export class PausingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #paused = false;
  #passed = 0;
  #limit = Number.POSITIVE_INFINITY;
  #reached: () => void = () => {};

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `target` is HOST:PORT, or the path of a Unix socket. */
  static async start(target: string): Promise<PausingProxy> {
    const [host = '', port = ''] = target.split(':');
    const reach = () => (target.startsWith('/') ? connect(target) : connect(Number(port), host));
    const server = createServer();
    const proxy = new PausingProxy(server);
    server.on('connection', (near) => proxy.#join(near, reach()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get address(): string {
    const address = this.#server.address();
    return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  }

  #join(near: Socket, far: Socket): void {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (data) => {
        to.write(data);
        this.#passed += data.length;
        if (this.#passed < this.#limit) return;
        this.#limit = Number.POSITIVE_INFINITY;
        this.#reached();
      });
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      if (this.#paused) from.pause();
    }
  }

  /** From now on nothing passes, in either direction; what is sent waits. */
  pause(): void {
    this.#paused = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Pauses once so many bytes have passed, both directions together; resolves then. */
  pauseAfter(bytes: number): Promise<void> {
    return this.#after(bytes, () => this.pause());
  }

  /** Ends every connection once so many bytes have passed, both directions together; resolves then. */
  cutAfter(bytes: number): Promise<void> {
    return this.#after(bytes, () => this.cut());
  }

  /** Ends every connection; new ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #after(bytes: number, act: () => void): Promise<void> {
    this.#limit = this.#passed + bytes;
    return new Promise((resolve) => {
      this.#reached = () => {
        act();
        resolve();
      };
    });
  }

  resume(): void {
    this.#paused = false;
    for (const socket of this.#sockets) socket.resume();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}
