import type { NotificationEvent } from '../core/rows.js';
import { type Backoff, equalJitter } from '../kit/backoff.js';
import type { Random } from '../kit/random.js';
import { between, HOUR, later, MINUTE, type MonoMs, SECOND, type ServiceMs } from '../kit/time.js';
import type { DeliveryRow, Missed, StoredNotification } from '../store/store.js';

/** The bounds of one endpoint's queue, and what happens at them. */
export const BOUNDS = {
  /** Sendings at once. One while the endpoint is being tried after a failure. */
  inFlight: 8,
  /** Undelivered notifications kept in memory; more wait in the store. */
  window: 256,
  /** Notifications that may wait; beyond it the oldest are missed. */
  waiting: 10_000,
  /** Milliseconds of service after which an undelivered notification is missed. */
  ageMs: 24 * HOUR,
  /** Wait before the next attempt: doubled from one second to five minutes, half of it jitter. */
  backoff: { initialMs: SECOND, maxMs: 5 * MINUTE } satisfies Backoff,
  /** Milliseconds that an endpoint may ask to be left alone for, by `Retry-After`; more counts as this. */
  retryAfterMs: HOUR,
} as const;

export type Bounds = {
  readonly [K in keyof typeof BOUNDS]: (typeof BOUNDS)[K] extends number ? number : Backoff;
};

/** How a sending ended. */
export type Outcome =
  /** 2xx: delivered. */
  | 'accepted'
  /** The receiver does not take this one: 400, 413, 422. Others about other subjects go on. */
  | 'refused'
  /** The receiver takes nothing just now: any other answer, none in time, or no connection. */
  | 'failed';

/** What an answer leads to: how the sending ended, and how long the receiver asks to be left alone, in milliseconds. */
export interface Ending {
  readonly outcome: Outcome;
  readonly retryAfterMs: number;
}

/** What is to be sent now: a notification, or that some were missed. */
export type Sending =
  | { readonly kind: 'notification'; readonly row: StoredNotification }
  | { readonly kind: 'missed'; readonly missed: Missed };

interface Waiting {
  readonly row: StoredNotification;
  attempts: number;
  notBefore: MonoMs | null;
  inFlight: boolean;
}

/**
 * The queue of one endpoint, without clock or network: what may be sent now, and what follows from each answer. In order
 * among notifications of one subject; others do not wait for it. The cursor never passes what is not done.
 */
export class DeliveryQueue {
  readonly #events: ReadonlySet<NotificationEvent>;
  readonly #bounds: Bounds;
  readonly #waiting = new Map<number, Waiting>();
  #scanned: number;
  #missed: Missed | null;
  #missedInFlight = false;
  #attempts = 0;
  #pausedUntil: MonoMs | null = null;

  constructor(start: DeliveryRow, events: ReadonlySet<NotificationEvent>, bounds: Bounds = BOUNDS) {
    this.#scanned = start.cursor;
    this.#missed = start.missed;
    this.#events = events;
    this.#bounds = bounds;
  }

  /** The number of the last notification that was taken in. */
  get scanned(): number {
    return this.#scanned;
  }

  /** How many more it takes in now. */
  get room(): number {
    return Math.max(0, this.#bounds.window - this.#waiting.size);
  }

  /** How many sendings in a row the endpoint has failed. */
  get failures(): number {
    return this.#attempts;
  }

  get missed(): Missed | null {
    return this.#missed;
  }

  /** Everything up to this number is delivered, not wanted, or missed. */
  get cursor(): number {
    const [first] = this.#waiting.keys();
    return first === undefined ? this.#scanned : first - 1;
  }

  /** Takes in what follows `scanned`, in order. */
  take(rows: readonly StoredNotification[]): void {
    for (const row of rows) {
      this.#scanned = Math.max(this.#scanned, row.n);
      if (!this.#events.has(row.event)) continue;
      this.#waiting.set(row.n, { row, attempts: 0, notBefore: null, inFlight: false });
    }
  }

  /** Gives up what is too old, and the oldest of too many: they are counted, and the endpoint is told how many. */
  giveUp(newest: number, service: ServiceMs): number {
    let count = 0;
    for (const [n, { row, inFlight }] of this.#waiting) {
      if (inFlight) continue;
      const tooOld = between(row.atService, service) >= this.#bounds.ageMs;
      if (!tooOld && n > newest - this.#bounds.waiting) continue;
      this.#waiting.delete(n);
      this.#miss(row);
      count += 1;
    }
    return count;
  }

  #miss({ n, at }: StoredNotification): void {
    const { count, first, from } = this.#missed ?? { count: 0, first: n, from: at };
    this.#missed = { count: count + 1, first: Math.min(first, n), from, to: at };
  }

  /** What may be sent now; each is in flight until `answered`. */
  next(now: MonoMs): Sending[] {
    if (this.#pausedUntil !== null && now < this.#pausedUntil) return [];
    const limit = this.#attempts > 0 ? 1 : this.#bounds.inFlight;
    let free = limit - [...this.#waiting.values()].filter(({ inFlight }) => inFlight).length;
    if (this.#missedInFlight) free -= 1;
    const sendings: Sending[] = [];
    if (this.#missed !== null && !this.#missedInFlight && free > 0) {
      this.#missedInFlight = true;
      free -= 1;
      sendings.push({ kind: 'missed', missed: this.#missed });
    }
    const held = new Set<string>();
    for (const waiting of this.#waiting.values()) {
      if (free <= 0) break;
      const { subject } = waiting.row;
      const ready = !held.has(subject) && (waiting.notBefore === null || waiting.notBefore <= now);
      held.add(subject);
      if (!ready || waiting.inFlight) continue;
      waiting.inFlight = true;
      free -= 1;
      sendings.push({ kind: 'notification', row: waiting.row });
    }
    return sendings;
  }

  /** What becomes of a sending. */
  answered(sending: Sending, { outcome, retryAfterMs }: Ending, now: MonoMs, random: Random): void {
    const asked = later(now, Math.min(retryAfterMs, this.#bounds.retryAfterMs));
    if (sending.kind === 'missed') this.#missedInFlight = false;
    const waiting = sending.kind === 'missed' ? undefined : this.#waiting.get(sending.row.n);
    if (waiting !== undefined) waiting.inFlight = false;
    switch (outcome) {
      case 'accepted':
        this.#reachable();
        if (sending.kind === 'notification') this.#waiting.delete(sending.row.n);
        else this.#told(sending.missed);
        return;
      case 'refused':
        this.#reachable();
        // A receiver that does not take the count would get it for ever: the log has it.
        if (sending.kind === 'missed') this.#told(sending.missed);
        if (waiting === undefined) return;
        waiting.notBefore = latest(
          asked,
          later(now, equalJitter(this.#bounds.backoff, waiting.attempts, random)),
        );
        waiting.attempts += 1;
        return;
      case 'failed':
        // Those that were under way together fail together: one wait for all of them, the longest that was asked for.
        if (this.#pausedUntil !== null && now < this.#pausedUntil) {
          this.#pausedUntil = latest(this.#pausedUntil, asked);
          return;
        }
        this.#pausedUntil = latest(
          asked,
          later(now, equalJitter(this.#bounds.backoff, this.#attempts, random)),
        );
        this.#attempts += 1;
        return;
    }
  }

  #reachable(): void {
    this.#attempts = 0;
    this.#pausedUntil = null;
  }

  /** What was missed since the count was sent remains to be told. */
  #told(told: Missed): void {
    const { count = 0, to = told.to } = this.#missed ?? {};
    const left = count - told.count;
    this.#missed = left <= 0 ? null : { count: left, first: this.#scanned, from: told.to, to };
  }

  /** When something may be sent again without an answer or a new notification; null when there is nothing. */
  nextAt(now: MonoMs): MonoMs | null {
    const idle = this.#missed === null && this.#waiting.size === 0;
    if (idle) return null;
    if (this.#pausedUntil !== null && now < this.#pausedUntil) return this.#pausedUntil;
    const waits = [...this.#waiting.values()].flatMap(({ inFlight, notBefore }) =>
      // One whose time has come waits for a free place, which an answer brings.
      inFlight || notBefore === null || notBefore <= now ? [] : [notBefore],
    );
    return waits.length === 0 ? null : (Math.min(...waits) as MonoMs);
  }
}

const latest = (a: MonoMs, b: MonoMs): MonoMs => (a > b ? a : b);
