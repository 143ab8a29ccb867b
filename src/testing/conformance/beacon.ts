import { createServer, type Server } from 'node:http';
import type { Hello, TriggerEvent, TriggerStart } from '../../wire/gen/holdfast/v1/agent_service.js';
import { check } from './case.js';
import type { Stage } from './stage.js';
import type { Stream } from './stream.js';

/** How often a trigger of the kit asks, in milliseconds. */
const POLL_MS = 50;

/**
 * What the triggers of the kit wait for: an HTTP server that they ask again and again, so that every sign of their life
 * is seen from outside. It answers 404 until it is lit, then 200 with a JSON body.
 */
export class Beacon {
  readonly #server: Server;
  readonly #stage: Stage;
  readonly #asks = new Map<string, number>();
  readonly #lit = new Map<string, string>();
  #port = 0;

  private constructor(stage: Stage) {
    this.#stage = stage;
    this.#server = createServer((request, response) => {
      const name = (request.url ?? '').slice(1);
      this.#asks.set(name, this.asks(name) + 1);
      stage.watched.changed();
      const body = this.#lit.get(name);
      response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(body ?? '{}');
    });
  }

  /** Plays with a beacon of its own, and takes it down whatever comes of it. */
  static async with(stage: Stage, play: (beacon: Beacon) => Promise<string>): Promise<string> {
    const beacon = new Beacon(stage);
    await new Promise<void>((resolve) => beacon.#server.listen(0, '127.0.0.1', resolve));
    const bound = beacon.#server.address();
    beacon.#port = typeof bound === 'object' && bound !== null ? bound.port : 0;
    try {
      return await play(beacon);
    } finally {
      beacon.#server.closeAllConnections();
      beacon.#server.close();
    }
  }

  /** From now on a trigger that asks for `name` has what it waits for. */
  light(name: string, value: unknown = 'lit'): void {
    this.#lit.set(name, JSON.stringify({ value }));
  }

  asks(name: string): number {
    return this.#asks.get(name) ?? 0;
  }

  /** Waits until it is asked for, `times` times from now. */
  async asked(name: string, times = 2): Promise<void> {
    const before = this.asks(name);
    const expected = `trigger ${name} to ask for what it waits for`;
    await this.#stage.watched.until(expected, this.#stage.patienceMs, () => {
      this.#stage.mustLive();
      return this.asks(name) >= before + times ? true : undefined;
    });
  }

  /** Throws Deviation unless nobody asks for `name` over so many heartbeat intervals, in which `pass` lets time go by. */
  async silent(name: string, because: string, pass: () => Promise<void>): Promise<void> {
    const before = this.asks(name);
    await pass();
    const since = this.asks(name) - before;
    check(since === 0, `trigger ${name} asked ${since} times more although ${because}`);
  }

  /** The start of a trigger that asks for `name`. */
  start(stream: Stream, name: string, change: Partial<TriggerStart> = {}): TriggerStart {
    const input = { url: `http://127.0.0.1:${this.#port}/${name}`, poll_interval: `${POLL_MS}ms` };
    return {
      triggerId: name,
      token: this.#stage.nextToken(),
      epoch: stream.epoch,
      kind: kindFor(stream.hello),
      input: Buffer.from(JSON.stringify({ ...input, condition: { path: 'value' } })),
      taskId: `task-of-${name}`,
      waited: undefined,
      ...change,
    };
  }

  /** Tells the agent to run a trigger that asks for `name`, and waits until it does. */
  async run(stream: Stream, name: string): Promise<TriggerStart> {
    const start = this.start(stream, name);
    stream.push({ triggerStarts: [start] });
    await this.asked(name);
    return start;
  }
}

/** `conformance` where the triggerer has a kind of that name, else `http`: both are given url, poll_interval, condition. */
function kindFor(hello: Hello | null): string {
  const kinds = hello?.triggerKinds ?? [];
  const kind = ['conformance', 'http'].find((name) => kinds.includes(name));
  check(kind !== undefined, `trigger_kinds are ${JSON.stringify(kinds)}: neither conformance nor http`);
  return kind;
}

/** The events of this trigger in a message of the agent. */
function eventsIn(message: Stream['said'][number]['message'], triggerId: string): TriggerEvent[] {
  if (message.$case !== 'heartbeat') return [];
  return message.value.triggerEvents.filter((event) => event.triggerId === triggerId);
}

/** Waits for an event of a trigger. */
export const eventOf = (stream: Stream, triggerId: string, from = 0): Promise<TriggerEvent> =>
  stream.expect(`an event of trigger ${triggerId}`, (message) => eventsIn(message, triggerId)[0], { from });

/** All events of a trigger that were said on a stream, repetitions too. */
export const eventsOf = (stream: Stream, triggerId: string, from = 0): TriggerEvent[] =>
  stream.said.slice(from).flatMap(({ message }) => eventsIn(message, triggerId));

/** Says that an event is durable. */
export function takeEvent(stream: Stream, { triggerId, eventId }: TriggerEvent, taken = true): void {
  stream.push({ triggerAcks: [{ triggerId, eventId, taken }] });
}
