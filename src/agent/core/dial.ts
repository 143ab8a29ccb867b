import { type Backoff, fullJitter } from '../../kit/backoff.js';
import type { Random } from '../../kit/random.js';
import type { MonoMs } from '../../kit/time.js';

/** P9: how long a credential that is refused waits before it tries again. */
const DENIED_WAIT_MS = 30_000;

/** P9: when to dial again. Agents reconnect for ever, whatever ended the stream. */
export class Dialer {
  #attempt = 0;
  #lostAt: MonoMs | null = null;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Attempts since the stream last worked. */
  get attempts(): number {
    return this.#attempt;
  }

  /** The stream works: the next loss starts afresh. */
  connected(): void {
    this.#attempt = 0;
    this.#lostAt = null;
  }

  /**
   * Milliseconds to wait before the next attempt: full jitter from 250 ms, capped at min(10 s, L/5), at 1 s in the first
   * 10 s after a loss, and never less than what the coordinator asked for.
   */
  waitMs(now: MonoMs, leaseMs: number | null, askedMs: number, denied: boolean): number {
    this.#lostAt ??= now;
    const sinceLoss = (now as number) - (this.#lostAt as number);
    const cap = Math.min(10_000, (leaseMs ?? 50_000) / 5, sinceLoss < 10_000 ? 1_000 : 10_000);
    const backoff: Backoff = { initialMs: 250, maxMs: cap };
    const jitter = fullJitter(backoff, this.#attempt++, this.#random);
    if (denied) return DENIED_WAIT_MS + jitter;
    return askedMs + jitter;
  }
}
