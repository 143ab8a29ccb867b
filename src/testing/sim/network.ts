import type { Random } from '../../kit/random.js';
import type { EventQueue } from './events.js';

/** What one agent's network does to its packets. */
export interface Weather {
  /** Packets from agent to coordinator, and back, do not arrive. */
  cutUp: boolean;
  cutDown: boolean;
  /** One-way delay, in milliseconds: at least `delay`, up to `jitter` more. */
  delay: number;
  jitter: number;
}

export function fairWeather(): Weather {
  return { cutUp: false, cutDown: false, delay: 2, jitter: 5 };
}

/** One end of a connection. */
export interface End {
  receive(message: unknown): void;
  /** The other side is gone, as far as this side can know. */
  closed(): void;
}

interface Packet {
  readonly message: unknown;
  readonly close: boolean;
}

/**
 * A TCP connection with a stream on it: in order, delayed, held back while cut (and delivered after, if both ends still
 * hold it), closed by either end. An end that is not told of the close keeps a half-open connection.
 */
export class Connection {
  readonly #events: EventQueue;
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #up = new Pipe();
  readonly #down = new Pipe();

  constructor(events: EventQueue, random: Random, weather: Weather) {
    this.#events = events;
    this.#random = random;
    this.#weather = weather;
  }

  attach(agent: End, coordinator: End): void {
    this.#up.end = coordinator;
    this.#down.end = agent;
  }

  sendUp(message: unknown): void {
    this.#send(this.#up, { message, close: false });
  }

  sendDown(message: unknown): void {
    this.#send(this.#down, { message, close: false });
  }

  /** The agent has turned to another stream; what is on its way on this one still arrives. */
  leaveByAgent(): void {
    this.#send(this.#up, { message: null, close: true });
  }

  /** The agent's end is closed; the coordinator hears of it when a packet gets through. */
  closeByAgent(): void {
    this.#down.end = null;
    this.#send(this.#up, { message: null, close: true });
  }

  closeByCoordinator(): void {
    this.#up.end = null;
    this.#send(this.#down, { message: null, close: true });
  }

  /** The agent's machine is gone without a packet. */
  vanishAgent(): void {
    this.#down.end = null;
  }

  get isHeldBack(): boolean {
    return this.#up.held.length > 0;
  }

  /** The weather has changed: what was held back goes on. */
  weatherChanged(): void {
    if (!this.#weather.cutUp) this.#release(this.#up);
    if (!this.#weather.cutDown) this.#release(this.#down);
  }

  #send(pipe: Pipe, packet: Packet): void {
    const cut = pipe === this.#up ? this.#weather.cutUp : this.#weather.cutDown;
    if (cut || pipe.held.length > 0) pipe.held.push(packet);
    else this.#deliver(pipe, packet);
  }

  #deliver(pipe: Pipe, packet: Packet): void {
    const delay = this.#weather.delay + this.#random() * this.#weather.jitter;
    pipe.last = Math.max(pipe.last, this.#events.now + delay);
    this.#events.at(pipe.last, () => {
      const { end } = pipe;
      if (end === null) return;
      if (packet.close) {
        pipe.end = null;
        end.closed();
      } else end.receive(packet.message);
    });
  }

  #release(pipe: Pipe): void {
    for (const packet of pipe.held.splice(0)) this.#deliver(pipe, packet);
  }
}

class Pipe {
  end: End | null = null;
  last = 0;
  held: Packet[] = [];
}
