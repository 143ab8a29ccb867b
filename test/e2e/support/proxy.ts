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

  static async start(target: string): Promise<PausingProxy> {
    const [host = '', port = ''] = target.split(':');
    const server = createServer();
    const proxy = new PausingProxy(server);
    server.on('connection', (near) => proxy.#join(near, connect(Number(port), host)));
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
        this.pause();
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
    this.#limit = this.#passed + bytes;
    return new Promise((resolve) => {
      this.#reached = resolve;
    });
  }

  resume(): void {
    this.#paused = false;
    for (const socket of this.#sockets) socket.resume();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
