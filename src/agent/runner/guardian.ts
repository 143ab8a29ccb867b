import type { AgentClock, Timer } from '../clock.js';

/** Longest time between two looks at the clocks: a timer does not run while the host is suspended. */
const LOOK_MS = 500;

/** The steps of the clock since boot, in milliseconds. */
const BOOT_STEP_MS = 10;

/** When a gate closes, on each clock of the host, in milliseconds: the first of them to come counts. */
export interface GateEnd {
  readonly monoMs: number;
  readonly wallMs: number;
  readonly bootMs: number;
}

/**
 * The end of a gate by every clock, from that by the monotonic one. Reckoned by who tells it, when it is told: a host that
 * slept before it is read would have moved the other clocks on.
 */
export function gateEndOf(clock: AgentClock, deadlineMonoMs: number): GateEnd {
  const leftMs = deadlineMonoMs - clock.monoMs();
  return { monoMs: deadlineMonoMs, wallMs: clock.wallMs() + leftMs, bootMs: clock.bootMs() + leftMs };
}

/** Whether it has come by any of the clocks. */
export function hasCome(end: GateEnd, clock: AgentClock): boolean {
  return leftMs(end, clock) <= 0;
}

function leftMs({ monoMs, wallMs, bootMs }: GateEnd, clock: AgentClock): number {
  return Math.min(monoMs - clock.monoMs(), wallMs - clock.wallMs(), bootMs - clock.bootMs());
}

/**
 * The guardian of P11 `single_run`: it knows until when the agent's gate is open, and acts at that instant although the
 * agent may be stopped, deaf or stuck. Like the gate itself (P2) it takes the clock that has gone furthest: a monotonic
 * clock stands still in a suspended host, a wall clock may be set back, and one that jumps ahead only closes the gate early.
 */
export class Guardian {
  private readonly clock: AgentClock;
  private readonly expire: () => void;
  private end: GateEnd | null = null;
  private timer: Timer | null = null;

  /** `expire` is called once for each deadline that passes without a renewal. */
  constructor(clock: AgentClock, expire: () => void) {
    this.clock = clock;
    this.expire = expire;
  }

  /** The gate's end as last told; it may lie in the past (the gate closed) or before the earlier one. */
  renew(end: GateEnd): void {
    this.end = end;
    this.look(end);
  }

  /** `untold` before the first deadline. */
  gate(): 'untold' | 'open' | 'closed' {
    if (this.end === null) return 'untold';
    return hasCome(this.end, this.clock) ? 'closed' : 'open';
  }

  /** `ms` from now, or the gate's end where that comes first. */
  within(ms: number): GateEnd {
    const { monoMs, wallMs, bootMs } = gateEndOf(this.clock, this.clock.monoMs() + ms);
    const soon = { monoMs, wallMs, bootMs: bootMs + BOOT_STEP_MS };
    if (this.end === null) return soon;
    return {
      monoMs: Math.min(soon.monoMs, this.end.monoMs),
      wallMs: Math.min(soon.wallMs, this.end.wallMs),
      bootMs: Math.min(soon.bootMs, this.end.bootMs),
    };
  }

  close(): void {
    this.timer?.cancel();
  }

  private look(end: GateEnd): void {
    this.timer?.cancel();
    const left = leftMs(end, this.clock);
    if (left <= 0) this.expire();
    else this.timer = this.clock.setTimer(Math.min(left, LOOK_MS), () => this.look(end));
  }
}
