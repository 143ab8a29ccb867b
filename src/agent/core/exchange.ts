import type { MonoMs } from '../../kit/time.js';
import type { Instant } from './gate.js';

/** The numbers of one stream: what was sent and when, what was applied, when something was last heard. */
export class Exchange {
  /** Highest number of a message down that was applied. */
  applied = 0;
  lastSent: MonoMs = 0 as MonoMs;
  lastHeard: MonoMs = 0 as MonoMs;
  /** Round trip of the newest acknowledged heartbeat, in milliseconds; null when unknown. */
  rttMs: number | null = null;
  #seq = 0;
  /** When each heartbeat that is not acknowledged yet was sent. */
  readonly #sent = new Map<number, Instant>();

  /** Another message goes up now; its number. The Hello is 1. */
  send(now: Instant): number {
    this.lastSent = now.mono;
    this.#sent.set(++this.#seq, now);
    return this.#seq;
  }

  /** Everything up to `received` has arrived: when that one was sent, or null when it was acknowledged before. */
  acknowledge(received: number, now: Instant): Instant | null {
    const sentAt = this.#sent.get(received) ?? null;
    if (sentAt === null) return null;
    for (const seq of this.#sent.keys()) if (seq <= received) this.#sent.delete(seq);
    this.rttMs = (now.mono as number) - (sentAt.mono as number);
    return sentAt;
  }
}
