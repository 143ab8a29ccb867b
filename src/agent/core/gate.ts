import { type BootMs, between, later, type MonoMs, type WallMs } from '../../kit/time.js';

/** One moment on every clock of the agent's machine. */
export interface Instant {
  readonly mono: MonoMs;
  readonly wall: WallMs;
  /** The same as `mono` on a machine that cannot tell how long it has slept. */
  readonly boot: BootMs;
}

/**
 * The gate: may work be started now? It is open for La counted from the SENDING of the newest acknowledged heartbeat
 * (P2): counting from the receipt of the acknowledgement would be wrong by the acknowledgement's delay.
 */
export class Gate {
  #sentAt: Instant | null = null;
  #gateMs = 0;

  /** A heartbeat sent at `sentAt` was acknowledged. */
  acknowledge(sentAt: Instant, gateMs: number): void {
    this.#gateMs = gateMs;
    if (this.#sentAt === null || sentAt.mono > this.#sentAt.mono) this.#sentAt = sentAt;
  }

  /** The session is over: closed until the next one. */
  shut(): void {
    this.#sentAt = null;
  }

  /**
   * By whichever clock has gone furthest: a monotonic clock stands still while a machine is suspended (P2), a wall clock
   * may be set back over its sleep, and one that jumps ahead only closes the gate early.
   */
  isOpen(now: Instant): boolean {
    if (this.#sentAt === null) return false;
    return elapsed(this.#sentAt, now) < this.#gateMs;
  }

  /** When it closes unless another heartbeat is acknowledged, on the monotonic clock; null when it is shut. */
  closesAt(): MonoMs | null {
    return this.#sentAt === null ? null : later(this.#sentAt.mono, this.#gateMs);
  }

  /**
   * The same for whoever counts from `now` on without knowing of the sending: the guardian. What the machine has slept
   * between the sending and the acknowledgement is gone from its time as well.
   */
  endsAt(now: Instant): MonoMs | null {
    if (this.#sentAt === null) return null;
    const slept = elapsed(this.#sentAt, now) - between(this.#sentAt.mono, now.mono);
    return later(this.#sentAt.mono, this.#gateMs - slept);
  }
}

function elapsed(from: Instant, to: Instant): number {
  return Math.max(between(from.mono, to.mono), between(from.boot, to.boot), between(from.wall, to.wall));
}
