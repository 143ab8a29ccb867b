import { later, type MonoMs } from '../kit/time.js';
import { leaseTerms } from './lease.js';
import type { Policy } from './policy.js';
import type { Counters, RecoveryStep, SessionRow } from './rows.js';

/** What a store must still go through that begins with an older copy: a backup, a snapshot of its disk. */
export const RESTORED: readonly RecoveryStep[] = ['wait', 'leap_token', 'leap_epoch'];

/** How far a counter leaps: more than what can have been drawn since any backup was made. */
export const LEAP = 1_000_000_000n;

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
