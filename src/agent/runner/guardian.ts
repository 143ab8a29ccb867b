import type { AgentClock, Timer } from '../clock.js';

/** Longest time between two looks at the clocks: a timer does not run while the host is suspended. */
const LOOK_MS = 500;

/**
 * The guardian of P11 `single_run`: it knows until when the agent's gate is open, and acts at that instant although the
 * agent may be stopped, deaf or stuck. Like the gate itself (P2) it takes the clock that has gone furthest: a monotonic
 * clock stands still in a suspended host, a wall clock may be set back, and one that jumps ahead only closes the gate early.
 */
export class Guardian {
  private readonly clock: AgentClock;
  private readonly expire: () => void;
  private monoEndMs: number | null = null;
  private wallEndMs = 0;
  private bootEndMs = 0;
  private timer: Timer | null = null;

  /** `expire` is called once for each deadline that passes without a renewal. */
  constructor(clock: AgentClock, expire: () => void) {
    this.clock = clock;
    this.expire = expire;
  }

  /** The gate's end as last told, monotonic; it may lie in the past (the gate closed) or before the earlier one. */
  renew(deadlineMonoMs: number): void {
    this.monoEndMs = deadlineMonoMs;
    const leftMs = deadlineMonoMs - this.clock.monoMs();
    this.wallEndMs = this.clock.wallMs() + leftMs;
    this.bootEndMs = this.clock.bootMs() + leftMs;
    this.look();
  }

  /** `untold` before the first deadline. */
  gate(): 'untold' | 'open' | 'closed' {
    if (this.monoEndMs === null) return 'untold';
    return this.leftMs() > 0 ? 'open' : 'closed';
  }

  close(): void {
    this.timer?.cancel();
  }

  private leftMs(): number {
    const monoLeftMs = (this.monoEndMs ?? 0) - this.clock.monoMs();
    return Math.min(monoLeftMs, this.wallEndMs - this.clock.wallMs(), this.bootEndMs - this.clock.bootMs());
  }

  private look(): void {
    this.timer?.cancel();
    const leftMs = this.leftMs();
    if (leftMs <= 0) this.expire();
    else this.timer = this.clock.setTimer(Math.min(leftMs, LOOK_MS), () => this.look());
  }
}
