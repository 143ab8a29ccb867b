// The network between one agent and the coordinator, as a proxy: forwards bytes, holds them back in one direction or both,
// or lets each piece wait for a while. Within a connection order is kept, as TCP keeps it; over connections it is not: what
// an agent said on a stream that it has given up still arrives, after its Hello on the next one.
import { connect, createServer } from 'node:net';
import { monoMs } from './clock.mjs';

/** A direction takes no more than this in advance; then the sender feels it. */
const MOST_WAITING_BYTES = 1024 * 1024;

/** Opens a proxy to `target` (HOST:PORT), listening on `host`. */
export async function openLaggingProxy(target, host, random) {
  const proxy = new LaggingProxy(target, random);
  await proxy.listen(host);
  return proxy;
}

class LaggingProxy {
  port = 0;
  #target;
  #random;
  #pairs = new Set();
  #held = { up: false, down: false };
  #delay = { leastMs: 0, mostMs: 0 };
  #server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (near) => this.#accept(near));

  constructor(target, random) {
    const [host, port] = target.split(':');
    this.#target = { host, port: Number(port), allowHalfOpen: true };
    this.#random = random;
  }

  async listen(host) {
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject).listen(0, host, () => resolve(undefined));
    });
    this.port = /** @type {import('node:net').AddressInfo} */ (this.#server.address()).port;
  }

  /** No byte passes in these directions ('up' is towards the coordinator), of old and new connections alike. */
  hold(...directions) {
    for (const direction of directions) this.#held[direction] = true;
  }

  /** Each piece of either direction waits so long, drawn anew for each. */
  delay(leastMs, mostMs) {
    this.#delay = { leastMs, mostMs };
  }

  /** Bytes pass at once again, those that waited first. */
  heal() {
    this.#held = { up: false, down: false };
    this.#delay = { leastMs: 0, mostMs: 0 };
    for (const pair of this.#pairs) pair.look();
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
    const rules = {
      isHeld: (direction) => this.#held[direction],
      isDelayed: () => this.#delay.mostMs > 0,
      drawn: () => this.#random.between(this.#delay.leastMs, this.#delay.mostMs),
    };
    const pair = new Pair(near, this.#target, rules, () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
  }
}

/** One connection and its continuation, which is dialled when the first byte may pass. */
class Pair {
  #near;
  #far = null;
  #target;
  #up;
  #down;
  #open = 2;
  #closed;

  constructor(near, target, rules, closed) {
    this.#near = near;
    this.#target = target;
    this.#closed = closed;
    this.#up = new Lane(
      'up',
      rules,
      () => this.#dialled(),
      () => this.#over(),
    );
    this.#down = new Lane(
      'down',
      rules,
      () => this.#near,
      () => this.#over(),
    );
    near.setNoDelay(true);
    this.#up.readFrom(near);
  }

  look() {
    this.#up.look();
    this.#down.look();
  }

  destroy() {
    this.#near.destroy();
    this.#far?.destroy();
    this.#up.stop();
    this.#down.stop();
    this.#closed();
  }

  #dialled() {
    if (this.#far === null) {
      this.#far = connect(this.#target);
      this.#far.setNoDelay(true);
      this.#down.readFrom(this.#far);
    }
    return this.#far;
  }

  #over() {
    this.#open -= 1;
    if (this.#open === 0) this.destroy();
  }
}

/** One direction of one connection: what was read and may not be written yet. Ends and breaks wait in line like bytes. */
class Lane {
  #direction;
  #rules;
  #target;
  #over;
  #queue = [];
  #waitingBytes = 0;
  #lastDueAt = 0;
  #source = null;
  #timer = null;
  #isOver = false;

  constructor(direction, rules, target, over) {
    this.#direction = direction;
    this.#rules = rules;
    this.#target = target;
    this.#over = over;
  }

  readFrom(source) {
    this.#source = source;
    source.on('data', (data) => {
      this.#waitingBytes += data.length;
      if (this.#waitingBytes > MOST_WAITING_BYTES) source.pause();
      this.#put({ data });
    });
    source.on('end', () => this.#put({ end: true }));
    source.on('error', () => {});
    // Orderly or not: the other side learns of it when what came before has arrived.
    source.on('close', () => this.#put({ gone: true }));
    source.resume();
  }

  #put(piece) {
    this.#lastDueAt = Math.max(this.#lastDueAt, monoMs() + this.#rules.drawn());
    this.#queue.push({ ...piece, dueAt: this.#lastDueAt });
    this.look();
  }

  /** Writes what may pass now, and comes again for the rest. */
  look() {
    clearTimeout(this.#timer);
    // While it is held nothing passes; the healing looks again. A delay that was ended holds nothing back either.
    if (this.#rules.isHeld(this.#direction)) return;
    const isDelayed = this.#rules.isDelayed();
    while (this.#queue.length > 0 && !this.#isOver) {
      const [{ dueAt }] = this.#queue;
      const waitMs = isDelayed ? dueAt - monoMs() : 0;
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.look(), Math.ceil(waitMs));
        return;
      }
      this.#pass(this.#queue.shift());
    }
  }

  #pass({ data, end, gone }) {
    const target = this.#target();
    if (gone) {
      this.#isOver = true;
      target.destroySoon();
      return this.#over();
    }
    if (end) return target.end();
    target.write(data, () => {
      this.#waitingBytes -= data.length;
      if (this.#source.isPaused() && this.#waitingBytes < MOST_WAITING_BYTES) this.#source.resume();
    });
  }

  stop() {
    clearTimeout(this.#timer);
    this.#isOver = true;
    this.#queue = [];
  }
}
