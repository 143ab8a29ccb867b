import type { Recorded } from './events.js';

/** From here the queued time of a task counts anew (P12). */
const RESTARTS: ReadonlySet<string> = new Set([
  ...['submitted', 'queued', 'requeued', 'retry_queued', 'retried', 'resumed'],
]);
/** Its agent has it: the time that it waited before stays, and goes on if the permit is never started. */
const LEAVES: ReadonlySet<string> = new Set(['permitted', 'adopted', 'regained']);
/** It waits for its retry, or for an event, and then counts anew. */
const FORGETS: ReadonlySet<string> = new Set(['try_failed', 'deferred']);

/** How long a task has waited in the queue by its history (P12), in milliseconds. */
export class QueuedTime {
  /** When it last began to count from zero. */
  restartedAt = 0;
  #beforeMs = 0;
  /** Since when it waits; null while it does not. */
  #since: number | null = 0;

  note({ event, at, decidedAt = at }: Recorded): void {
    if (RESTARTS.has(event)) {
      this.restartedAt = decidedAt;
      this.#beforeMs = 0;
      this.#since = decidedAt;
    } else if (LEAVES.has(event) || FORGETS.has(event)) {
      this.#beforeMs = FORGETS.has(event) ? 0 : this.at(decidedAt);
      this.#since = null;
    } else if (event === 'never_started') this.#since ??= decidedAt;
  }

  at(now: number): number {
    return this.#beforeMs + (this.#since === null ? 0 : now - this.#since);
  }
}
