import { invariant } from '../kit/invariant.js';
import { later, type MonoMs } from '../kit/time.js';

/**
 * The lease, in verbs: it is *granted* with a session, *renewed* by the receipt of a heartbeat, *extended* by a stall
 * of our own, and *expired* once its end has passed. Only elapsed time of the coordinator's monotonic clock counts (P1).
 */

/** What a session is granted; all in milliseconds. */
export interface LeaseTerms {
  /** H. */
  readonly heartbeatMs: number;
  /** L = 3 H. */
  readonly leaseMs: number;
  /** La = 5/6 L, the agent's gate (P2). */
  readonly gateMs: number;
}

/** P2: the bound on clock rates, 1 %. */
const RATE_BOUND = 1.01;

/** P2's d: the longest pause between an agent's check of its gate and the start that follows. */
export function startPauseMs(leaseMs: number): number {
  return Math.min(1_000, leaseMs / 15);
}

/** The terms that follow from H. The gate ends before the lease does, whatever the clocks' rates within the bound. */
export function leaseTerms(heartbeatMs: number): LeaseTerms {
  const leaseMs = 3 * heartbeatMs;
  const gateMs = (5 / 6) * leaseMs;
  invariant(
    gateMs <= 0.99 * (leaseMs / RATE_BOUND - startPauseMs(leaseMs)),
    'P2: the gate must end before the lease',
  );
  return { heartbeatMs, leaseMs, gateMs };
}

/** P1: when a lease renewed by a heartbeat received at `receivedAt` ends. */
export function renewedLease(receivedAt: MonoMs, leaseMs: number): MonoMs {
  return later(receivedAt, leaseMs);
}

/** P1: whether the lease is over. */
export function leaseExpired(leaseEnds: MonoMs, now: MonoMs): boolean {
  return now >= leaseEnds;
}

/** P7: the full new term that every durable session gets after a start or take-over. */
export function recoveryTermMs(
  leaseMs: number,
  oldLeaseMs: number,
  sessions: number,
  perSecond: number,
): number {
  return Math.max(leaseMs, oldLeaseMs, (sessions / perSecond) * 1_000);
}

/** P4: after this much silence either side treats the stream as lost. */
export function silenceLimitMs(heartbeatMs: number): number {
  return 1.5 * heartbeatMs;
}

/** P11, single_run: how long after its last heartbeat a lost run is provably dead, kill grace included. */
export function singleRunReleaseMs(leaseMs: number, killGraceMs: number): number {
  return leaseMs + 1.03 * killGraceMs + startPauseMs(leaseMs);
}
