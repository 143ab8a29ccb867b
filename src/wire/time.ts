import type { Duration } from './gen/google/protobuf/duration.js';

/** Milliseconds as the well-known Duration. */
export function durationOf(ms: number): Duration {
  // Whole microseconds, rounded before they are split: a rest that rounded up to a second would not be a Duration.
  const micros = Math.round(ms * 1_000);
  const seconds = Math.floor(micros / 1_000_000);
  return { seconds: BigInt(seconds), nanos: (micros - seconds * 1_000_000) * 1_000 };
}

/** A Duration in milliseconds; undefined when it is unset. */
export function millisOf(duration: Duration): number;
export function millisOf(duration: Duration | undefined): number | undefined;
export function millisOf(duration: Duration | undefined): number | undefined {
  if (duration === undefined) return undefined;
  return Number(duration.seconds) * 1_000 + duration.nanos / 1_000_000;
}
