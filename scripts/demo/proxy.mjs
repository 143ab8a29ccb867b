// The network between one worker and the coordinator: forwards bytes, and can be cut. A cut closes nothing: both sides
// hear nothing more, as when a cable is pulled, and whatever was on its way arrives after the healing.
import { connect, createServer } from 'node:net';

/** Opens a proxy to `target` (HOST:PORT) on a port that the system chooses. */
export async function openProxy(target) {
  const proxy = new PausingProxy(target);
  await proxy.listen();
  return proxy;
}

class PausingProxy {
  address = '';
  #target;
  #cut = false;
  #pairs = new Set();
  #server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (near) => this.#accept(near));

  constructor(target) {
    const [host, port] = target.split(':');
    this.#target = { host, port: Number(port), allowHalfOpen: true };
  }

  async listen() {
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject).listen(0, '127.0.0.1', () => resolve(undefined));
    });
    const at = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    this.address = `127.0.0.1:${at.port}`;
  }

  /** From now on no byte passes, in either direction, of old and new connections alike. */
  cut() {
    this.#cut = true;
    for (const pair of this.#pairs) pair.pause();
  }

  /** Bytes pass again, those that waited first. */
  heal() {
    this.#cut = false;
    for (const pair of this.#pairs) pair.resume();
  }

  /** Ends the connections that there are, with whatever was on its way; new ones are taken. */
  breakOff() {
    for (const pair of this.#pairs) pair.destroy();
  }

  close() {
    this.#server.close();
    this.breakOff();
  }

  #accept(near) {
    const pair = new Pair(near, this.#target, () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
    // Dialled during a cut: it waits like everything else, the coordinator does not hear of it.
    if (!this.#cut) pair.resume();
  }
}

/** One connection and its continuation to the target. */
class Pair {
  #near;
  #target;
  #far = null;
  #cut = true;
  #broken = false;
  #closed;

  constructor(near, target, closed) {
    this.#near = near;
    this.#target = target;
    this.#closed = closed;
    this.#tend(near);
  }

  pause() {
    this.#cut = true;
    this.#near.pause();
    this.#far?.pause();
  }

  resume() {
    this.#cut = false;
    if (this.#broken) return this.destroy();
    if (this.#far === null) this.#dial();
    this.#near.resume();
    this.#far.resume();
  }

  destroy() {
    this.#near.destroy();
    this.#far?.destroy();
    this.#closed();
  }

  #dial() {
    this.#far = connect(this.#target);
    this.#tend(this.#far);
    this.#forward(this.#near, this.#far);
    this.#forward(this.#far, this.#near);
  }

  #tend(socket) {
    socket.setNoDelay(true);
    socket.on('error', () => this.#break());
    // After an orderly end the other side still has bytes to send on; it closes when they are gone.
    socket.on('close', () => {
      if (this.#near.closed && this.#far?.closed !== false) this.#closed();
    });
  }

  /** During a cut the other side cannot know that this side is gone. */
  #break() {
    this.#broken = true;
    if (!this.#cut) this.destroy();
  }

  /** By hand: a pipe would read on by itself when its target drains, cut or not. */
  #forward(from, to) {
    from.on('data', (data) => {
      if (!to.write(data)) from.pause();
    });
    to.on('drain', () => {
      if (!this.#cut) from.resume();
    });
    from.on('end', () => to.end());
  }
}
