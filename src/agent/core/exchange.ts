import type { MonoMs } from '../../kit/time.js';
import { later } from '../../kit/time.js';
import type { Instant } from './gate.js';

const latest = (...instants: readonly (MonoMs | null)[]): MonoMs =>
  instants.reduce<MonoMs>((most, at) => (at !== null && at > most ? at : most), 0 as MonoMs);

/** The numbers of one stream: what was sent and when, what was applied, when something was last heard. */
export class Exchange {
  /** Highest number of a message down that was applied. */
  applied = 0;
  lastSent: MonoMs = 0 as MonoMs;
  lastHeard: MonoMs = 0 as MonoMs;
  /** Until when silence is no sign of anything: this process was held up, and has yet to read what has come meanwhile. */
  #heldUpUntil: MonoMs | null = null;
  /** `lastHeard` when that was last said: one silence is excused once. */
  #excused: MonoMs | null = null;
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

  /**
   * P4: from when nothing that was heard means that the other side is gone; null while there is nothing that it would have to
   * answer. 1.5 H after it was last heard, if it had half an H to answer what was sent to it: an agent that was held up itself
   * has sent its heartbeat late, and the silence before that was its own.
   */
  silentAt(heartbeatMs: number): MonoMs | null {
    const [oldest] = this.#sent.values();
    if (oldest === undefined) return null;
    const answered = later(oldest.mono, heartbeatMs / 2);
    return latest(later(this.lastHeard, 1.5 * heartbeatMs), answered, this.#heldUpUntil);
  }

  /**
   * Whether a silence since `silentAt` is no sign yet, because this look comes late: timers come before sockets after a stall,
   * so what was said may wait to be read. That gets a tenth of an H, once.
   */
  excuses(silentAt: MonoMs, now: MonoMs, terms: { readonly heartbeatMs: number } | null): boolean {
    const allowance = (terms?.heartbeatMs ?? 0) / 10;
    if (now < later(silentAt, allowance) || this.#excused === this.lastHeard) return false;
    this.#excused = this.lastHeard;
    this.#heldUpUntil = later(now, allowance);
    return true;
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
