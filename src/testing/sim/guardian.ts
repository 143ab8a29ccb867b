import type { MonoMs } from '../../kit/time.js';
import type { Scheduled } from './events.js';
import type { Host } from './host.js';

/** How often the real guardian looks at its clocks. */
const LOOK_MS = 500;

/** P11: kills `single_run` work at the deadline last told to it, on any clock, whatever the agent's process does. */
export class Guardian {
  readonly #host: Host;
  readonly #kill: () => void;
  /** The deadline by the monotonic clock, and how far the others may go before it (P2). */
  #deadline: { readonly mono: number; readonly wall: number; readonly boot: number } | null = null;
  #timer: Scheduled | null = null;

  constructor(host: Host, kill: () => void) {
    this.#host = host;
    this.#kill = kill;
  }

  renew(deadline: MonoMs): void {
    const { mono, wall, boot } = this.#host.instant();
    const left = (deadline as number) - (mono as number);
    this.#deadline = { mono: mono + left, wall: wall + left, boot: boot + left };
    this.#timer?.cancel();
    this.#timer = this.#host.timer(left, () => this.#look());
  }

  /** Its agent is gone, and what it guarded with it. */
  leave(): void {
    this.#deadline = null;
  }

  /** The timer stood still with the machine: as the real guardian, looks at its clocks until the gate is renewed. */
  wake(): void {
    this.#keepLooking(this.#deadline);
  }

  #keepLooking(renewed: { readonly mono: number } | null): void {
    if (renewed === null || this.#deadline !== renewed || this.#host.mono() >= renewed.mono) return;
    this.#look();
    this.#host.timer(LOOK_MS, () => this.#keepLooking(renewed));
  }

  #look(): void {
    const deadline = this.#deadline;
    const { mono, wall, boot } = this.#host.instant();
    if (deadline === null) return;
    if (mono >= deadline.mono || wall >= deadline.wall || boot >= deadline.boot) this.#kill();
  }
}
