import type { Scheduled } from './events.js';
import type { Host, Process } from './host.js';

/** How often the real guardian looks at its clocks. */
const LOOK_MS = 500;

/** By each clock of its machine, as its agent reckons it when it is told: the first to come counts (P2). */
export interface Deadline {
  readonly mono: number;
  readonly wall: number;
  readonly boot: number;
}

/** P11: kills `single_run` work at the deadline last told to it, on any clock, whatever the agent's process does. */
export class Guardian {
  readonly #process: Process;
  readonly #host: Host;
  readonly #kill: () => void;
  /** The deadline by the monotonic clock, and how far the others may go before it (P2). */
  #deadline: Deadline | null = null;
  #timer: Scheduled | null = null;

  constructor(process: Process, kill: () => void) {
    this.#process = process;
    this.#host = process.host;
    this.#kill = kill;
  }

  renew(deadline: Deadline): void {
    this.#deadline = deadline;
    this.#timer?.cancel();
    this.#timer = this.#process.timer(deadline.mono - this.#host.mono(), () => this.#look());
    // It may have slept with the word of it unread.
    this.#look();
  }

  /** Its agent is gone, and what it guarded with it. */
  leave(): void {
    this.#deadline = null;
  }

  /** The timer stood still with the machine: as the real guardian, looks at its clocks until the gate is renewed. */
  wake(): void {
    this.#process.run(() => this.#keepLooking(this.#deadline));
  }

  #keepLooking(renewed: { readonly mono: number } | null): void {
    if (renewed === null || this.#deadline !== renewed || this.#host.mono() >= renewed.mono) return;
    this.#look();
    this.#process.timer(LOOK_MS, () => this.#keepLooking(renewed));
  }

  /** Whether a run may begin, as far as it knows; before the first deadline it answers for single runs only. */
  allows(isSingleRun: boolean): boolean {
    return this.#deadline === null ? !isSingleRun : !this.#isOver(this.#deadline);
  }

  #isOver(deadline: Deadline): boolean {
    const { mono, wall, boot } = this.#host.instant();
    return mono >= deadline.mono || wall >= deadline.wall || boot >= deadline.boot;
  }

  #look(): void {
    if (this.#deadline !== null && this.#isOver(this.#deadline)) this.#kill();
  }
}
