import { later, type MonoMs, type WallMs } from '../kit/time.js';
import { leaseTerms } from './lease.js';
import type { Policy } from './policy.js';
import type { Counters, RecoveryStep, SessionRow } from './rows.js';

/** What a store must still go through that begins with an older copy: a backup, a snapshot of its disk. */
export const RESTORED: readonly RecoveryStep[] = ['wait', 'leap_token', 'leap_epoch'];

/** How far a counter leaps at least: more than what can have been drawn since any backup was made. */
export const LEAP = 1_000_000_000n;

/** A hundred thousand numbers a second: several times what one coordinator can draw. */
const LINE_PER_MS = 100n;
/** The beginning of 2026, in milliseconds since 1970: before it no counter began. */
const LINE_BEGINS = 1_767_225_600_000;

/** What no counter has reached at an instant: this line rises faster than numbers are drawn, and a leap leads onto it. */
export function lineAt(wall: WallMs): bigint {
  return LINE_PER_MS * BigInt(Math.max(0, Math.floor(wall - LINE_BEGINS)));
}

/**
 * Where a restored counter goes on (I1). One and the same copy may be restored again, or a copy of what was restored: each later leap
 * leads beyond all that was drawn before it, whatever the copy knows, as long as wall clocks were not set back in between.
 */
export function leapt(counter: bigint, wall: WallMs): bigint {
  const line = lineAt(wall);
  return line > counter ? line : counter + LEAP;
}

export function owes(counters: Counters, step: RecoveryStep): boolean {
  return counters.recovery?.includes(step) ?? false;
}

/** P18: nothing is permitted for a lease, over restarts too: a restart within it begins the wait anew. */
export function beginWait(counters: Counters): Counters {
  return owes(counters, 'wait')
    ? counters
    : { ...counters, recovery: [...(counters.recovery ?? []), 'wait'] };
}

export function done(counters: Counters, step: RecoveryStep): Counters {
  if (!owes(counters, step)) return counters;
  return { ...counters, recovery: counters.recovery?.filter((other) => other !== step) ?? [] };
}

/** Until when a coordinator that starts now permits nothing: whoever is away may hold the longest lease that was granted. */
export function waitEnds(
  policy: Policy,
  sessions: readonly Pick<SessionRow, 'leaseMs'>[],
  now: MonoMs,
): MonoMs {
  const { leaseMs } = leaseTerms(policy.heartbeatIntervalMs);
  return later(now, Math.max(leaseMs, ...sessions.map((session) => session.leaseMs)));
}
