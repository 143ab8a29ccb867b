import type { SessionRow, TaskRow } from '../../core/rows.js';
import type { Epoch, TaskId } from '../../kit/ids.js';
import type { Puts } from '../../store/store.js';

interface Fault {
  readonly rule: string;
  readonly taskId: TaskId;
  readonly what: string;
}

interface Life {
  readonly from: number;
  /** Null while it goes on. */
  over: { readonly at: number; readonly failed: boolean } | null;
}

/** What a clock within the bound and the moment of a decision leave open, as a share of a lease. */
const DOUBT = 0.02;

/**
 * P8 by the sessions of each commit: when more than half of the workers that were alive one lease ago, at least three,
 * fail within a lease, what they ran is held back for another one and charged to nobody; else nothing is. What a clock may
 * count either way is not judged.
 */
export class StormAudit {
  readonly #leaseMs: number;
  readonly #isOn: boolean;
  readonly #lives = new Map<Epoch, Life>();
  #blindUntil = Number.NEGATIVE_INFINITY;

  constructor(leaseMs: number, isOn: boolean) {
    this.#leaseMs = leaseMs;
    this.#isOn = isOn;
  }

  /**
   * The coordinator has begun anew: who failed before is known to nobody, and alive is who is alive by then. It has counted
   * from a little earlier on, so that it may or may not take them for alive a lease before the first of them can fail.
   */
  begunAnew(at: number, sessions: Iterable<SessionRow>): void {
    this.#blindUntil = at + (1 + 2 * DOUBT) * this.#leaseMs;
    this.#lives.clear();
    for (const session of sessions) if (session.state === 'live') this.#took(session, at);
  }

  /** What is wrong with a commit that was decided then; `before` are the rows before it. */
  faultsOf({ sessions, tasks }: Puts, before: ReadonlyMap<TaskId, TaskRow>, at: number): Fault[] {
    const failing = new Set<Epoch>();
    for (const session of sessions) if (this.#took(session, at)) failing.add(session.epoch);
    if (failing.size === 0 || at < this.#blindUntil) return [];
    const [least, most] = this.#storm(at);
    const faults: Fault[] = [];
    for (const { row } of tasks) {
      const { open, taskId } = row;
      if (!open?.lost || !failing.has(open.epoch) || before.get(taskId)?.open?.lost !== null) continue;
      const { rule, charged } = open.lost;
      const fault = (what: string) => faults.push({ rule: 'P8', taskId, what: `${taskId} ${what}` });
      if (least && charged) fault(`is charged for a loss in a storm`);
      if (least && row.partitionPolicy === 'reassign' && rule !== 'storm_brake')
        fault('is let go in a storm');
      if (!most && rule === 'storm_brake') fault('is held back without a storm');
    }
    return faults;
  }

  /** Whether the worker's session fails now. */
  #took({ epoch, kind, state }: SessionRow, at: number): boolean {
    if (kind !== 'worker') return false;
    const known = this.#lives.get(epoch);
    const life = known ?? { from: at, over: null };
    this.#lives.set(epoch, life);
    if (state === 'live' || life.over !== null) return false;
    life.over = { at, failed: state === 'failed' };
    return state === 'failed';
  }

  /** Whether it is a storm for certain, and whether it may be one. */
  #storm(now: number): [least: boolean, most: boolean] {
    const failed = { least: 0, most: 0 };
    const alive = { least: 0, most: 0 };
    const [late, early] = [now - (1 - DOUBT) * this.#leaseMs, now - (1 + DOUBT) * this.#leaseMs];
    for (const [epoch, { from, over }] of this.#lives) {
      if (over !== null && over.at < early) {
        this.#lives.delete(epoch);
        continue;
      }
      if (over?.failed && over.at >= late) failed.least++;
      if (over?.failed) failed.most++;
      // One that has said goodbye since may be counted or not.
      if (from < early && (over === null || (over.failed && over.at >= late))) alive.least++;
      if (from <= late) alive.most++;
    }
    const isStorm = (n: number, of: number) => this.#isOn && n >= 3 && n * 2 > of;
    return [isStorm(failed.least, alive.most), isStorm(failed.most, alive.least)];
  }
}
