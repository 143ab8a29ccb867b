import type { Clock } from '../engine/clock.js';
import type { Timers } from '../engine/timers.js';
import type { Log } from '../kit/log.js';
import type { Random } from '../kit/random.js';
import { between, SECOND, type ServiceMs } from '../kit/time.js';
import type { DeliveryRow, Store } from '../store/store.js';
import { type Endpoint, endpointOf, type WebhookOptions } from './endpoint.js';
import { ANSWER_MS, type Answer, post } from './post.js';
import { BOUNDS, type Bounds, DeliveryQueue, type Sending } from './queue.js';

/** What deliveries work with. */
export interface WebhookHost {
  readonly store: Store;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** Where the service clock stands: an outage of the coordinator ages nothing. */
  serviceNow(): ServiceMs;
}

/** Deliveries that are under way. */
export interface Webhooks {
  /** New notifications are committed. */
  notified(): void;
  /** Whether an endpoint takes nothing just now. */
  readonly failing: boolean;
  /** Ends what is in flight and writes how far each endpoint is. */
  stop(): Promise<void>;
}

/** Cursors are written this long after the first delivery that they do not show: a crash repeats at most that much. */
const CURSOR_MS = SECOND;
/** What is given up is looked for so often while something waits. */
const LOOK_MS = 30 * SECOND;

interface Line {
  readonly endpoint: Endpoint;
  readonly name: string;
  readonly queue: DeliveryQueue;
  busy: Promise<void> | null;
  again: boolean;
  timer: { cancel(): void } | null;
}

/**
 * Begins where each endpoint was left. An endpoint that is new hears of what happens from now on; what was waiting for
 * one that is gone is forgotten.
 */
export async function startWebhooks(
  webhooks: readonly WebhookOptions[],
  host: WebhookHost,
  bounds: Bounds = BOUNDS,
): Promise<Webhooks> {
  const known = new Map((await host.store.readDeliveries()).map((row) => [row.endpoint, row]));
  const newest = await host.store.newestNotification();
  const lines = webhooks.map((webhook): Line => {
    const endpoint = endpointOf(webhook);
    const fresh: DeliveryRow = { endpoint: endpoint.url, cursor: newest, missed: null };
    const queue = new DeliveryQueue(known.get(endpoint.url) ?? fresh, endpoint.events, bounds);
    return { endpoint, name: new URL(endpoint.url).origin, queue, busy: null, again: false, timer: null };
  });
  const running = new Deliveries(lines, newest, host);
  await running.writeCursors();
  running.notified();
  return running;
}

class Deliveries implements Webhooks {
  readonly #lines: readonly Line[];
  readonly #host: WebhookHost;
  readonly #flights = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  readonly #look: { cancel(): void };
  #newest: number;
  #cursorTimer: { cancel(): void } | null = null;
  #written = '';
  #stopped = false;

  constructor(lines: readonly Line[], newest: number, host: WebhookHost) {
    this.#lines = lines;
    this.#newest = newest;
    this.#host = host;
    this.#look = host.timers.every(LOOK_MS, () => this.notified());
  }

  get failing(): boolean {
    return this.#lines.some(({ queue }) => queue.failures > 0);
  }

  notified(): void {
    for (const line of this.#lines) this.#turn(line);
  }

  /** One turn of a line at a time; what comes up meanwhile is the next one. */
  #turn(line: Line): void {
    if (this.#stopped) return;
    if (line.busy !== null) {
      line.again = true;
      return;
    }
    line.again = false;
    line.busy = this.#work(line)
      .catch((error: unknown) => this.#host.log.error({ endpoint: line.name, error: String(error) }, UNREAD))
      .then(() => {
        line.busy = null;
        if (line.again) this.#turn(line);
      });
  }

  async #work(line: Line): Promise<void> {
    const { queue } = line;
    const { store, clock, log } = this.#host;
    this.#newest = await store.newestNotification();
    let missed = 0;
    // Page by page: what is beyond the bound passes through and is counted, so that memory stays bounded as well.
    while (queue.room > 0 && queue.scanned < this.#newest) {
      const rows = await store.readNotifications(queue.scanned, queue.room);
      if (rows.length === 0) break;
      queue.take(rows);
      missed += queue.giveUp(this.#newest, this.#host.serviceNow());
    }
    missed += queue.giveUp(this.#newest, this.#host.serviceNow());
    if (missed > 0) log.error({ endpoint: line.name, missed }, 'notifications were given up');
    if (this.#stopped) return;
    for (const sending of queue.next(clock.mono())) this.#send(line, sending);
    this.#wakeAt(line);
    this.#noteCursors();
  }

  #send(line: Line, sending: Sending): void {
    const { clock, timers, random, log } = this.#host;
    const limit = new AbortController();
    const timer = timers.after(ANSWER_MS, () => limit.abort());
    const signal = AbortSignal.any([limit.signal, this.#abort.signal]);
    const flight = post(line.endpoint, sending, Math.floor(clock.wall() / SECOND), signal).then((answer) => {
      timer.cancel();
      this.#flights.delete(flight);
      // Our own end says nothing about the endpoint: it is sent again by the next run.
      if (this.#stopped) return;
      const before = line.queue.failures;
      line.queue.answered(sending, answer, clock.mono(), random);
      say(log, line, sending, answer, before);
      this.#turn(line);
    });
    this.#flights.add(flight);
  }

  #wakeAt(line: Line): void {
    line.timer?.cancel();
    line.timer = null;
    const now = this.#host.clock.mono();
    const at = line.queue.nextAt(now);
    if (at === null || this.#stopped) return;
    line.timer = this.#host.timers.after(Math.max(1, between(now, at)), () => this.#turn(line));
  }

  #noteCursors(): void {
    if (this.#cursorTimer !== null || this.#stopped || this.#written === faceOf(this.#rows())) return;
    this.#cursorTimer = this.#host.timers.after(CURSOR_MS, () => {
      this.#cursorTimer = null;
      // Not written means sent again after a crash: the next turn tries again.
      this.writeCursors().catch((error: unknown) => this.#host.log.warn({ error: String(error) }, UNREAD));
    });
  }

  #rows(): DeliveryRow[] {
    return this.#lines.map(({ endpoint, queue }) => {
      return { endpoint: endpoint.url, cursor: queue.cursor, missed: queue.missed };
    });
  }

  /** Writes how far each endpoint is, and lets go of what none of them needs. */
  async writeCursors(): Promise<void> {
    const rows = this.#rows();
    await this.#host.store.putDeliveries(rows, Math.min(this.#newest, ...rows.map(({ cursor }) => cursor)));
    this.#written = faceOf(rows);
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#look.cancel();
    this.#cursorTimer?.cancel();
    for (const { timer } of this.#lines) timer?.cancel();
    this.#abort.abort();
    await Promise.all([...this.#flights, ...this.#lines.map(({ busy }) => busy)]);
    await this.writeCursors().catch((error: unknown) =>
      this.#host.log.warn({ error: String(error) }, UNREAD),
    );
  }
}

const UNREAD = 'the store does not give or take notifications now; they wait';

const faceOf = (rows: readonly DeliveryRow[]): string => JSON.stringify(rows);

/** Once for each outage, not for each attempt; a notification that is not taken, each time. */
function say(log: Log, line: Line, sending: Sending, answer: Answer, before: number): void {
  const { name: endpoint, queue } = line;
  const { detail } = answer;
  if (answer.outcome === 'failed' && before === 0) {
    log.warn({ endpoint, detail }, 'a webhook endpoint takes nothing; notifications wait for it');
  } else if (answer.outcome !== 'failed' && before > 0 && queue.failures === 0) {
    log.info({ endpoint }, 'a webhook endpoint takes notifications again');
  }
  if (answer.outcome !== 'refused') return;
  const id = sending.kind === 'notification' ? sending.row.id : 'notifications.missed';
  log.warn({ endpoint, detail, id }, 'a webhook endpoint refused a notification');
}
