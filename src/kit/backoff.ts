import type { Random } from './random.js';

/** Exponential back-off: `initialMs` doubled for each earlier attempt, at most `maxMs`. */
export interface Backoff {
  readonly initialMs: number;
  readonly maxMs: number;
}

/** The upper end of the wait before attempt `attempt` (0 is the first wait), in milliseconds. */
export function backoffCeiling(backoff: Backoff, attempt: number): number {
  return Math.min(backoff.maxMs, backoff.initialMs * 2 ** Math.min(attempt, 40));
}

/** Full jitter: uniform between 0 and the ceiling, so that a herd spreads out (P9). */
export function fullJitter(backoff: Backoff, attempt: number, random: Random): number {
  return Math.floor(random() * backoffCeiling(backoff, attempt));
}

/** Half fixed, half jitter: never shorter than half the ceiling. For retries of user work. */
export function equalJitter(backoff: Backoff, attempt: number, random: Random): number {
  const ceiling = backoffCeiling(backoff, attempt);
  return Math.floor(ceiling / 2 + random() * (ceiling / 2));
}
