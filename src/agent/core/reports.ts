import { type Epoch, NO_EPOCH, NO_TOKEN, type TaskId, type Token } from '../../kit/ids.js';
import type { Inventory } from '../../kit/inventory.js';
import type { MonoMs } from '../../kit/time.js';
import type { Instant } from './gate.js';
import type { Report } from './messages.js';

/** What earlier processes left to say. */
export interface Recovered {
  readonly highestToken: Token;
  readonly highestEpoch: Epoch;
  /** Reports of earlier instances, not yet acknowledged: finished runs, and runs whose end is unknown (lost). */
  readonly reports: readonly Report[];
}

/** A report that waits for its acknowledgement. */
interface Waiting {
  readonly report: Report;
  /** When it was last sent; null when it was not yet. */
  sentAt: MonoMs | null;
}

/** Results in one heartbeat, in bytes, and reports in all; the rest follows in the next one at once. */
const REPORT_BYTES = 256 * 1024;
const REPORT_COUNT = 1_000;
/** Reports in one Hello, in bytes. */
const HELLO_BYTES = 8 * 1024 * 1024;

/** Reports until they are acknowledged: said at once, and again when nobody has answered for an interval. */
export class Reports {
  readonly #waiting = new Map<Token, Waiting>();
  readonly #inventory: Inventory;

  constructor(inventory: Inventory, recovered: readonly Report[]) {
    this.#inventory = inventory;
    for (const report of recovered) this.add(report);
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(report: Report): void {
    this.#waiting.set(report.token, { report, sentAt: null });
  }

  /** True when there was one to forget. */
  forget(token: Token): boolean {
    return this.#waiting.delete(token);
  }

  /**
   * For a Hello: its inventory shows all of them, and it carries as many as a coordinator takes at once. The rest follows
   * in heartbeats.
   */
  takeForHello(now: MonoMs): Report[] {
    const reports: Report[] = [];
    let bytes = 0;
    for (const waiting of this.#waiting.values()) {
      bytes += sizeOf(waiting.report);
      this.#send(waiting, now);
      if (bytes <= HELLO_BYTES) reports.push(waiting.report);
      else waiting.sentAt = null;
    }
    return reports;
  }

  /** Those that are new, or were not acknowledged for an interval; as many as fit into a message. */
  take(now: MonoMs, heartbeatMs: number): { reports: Report[]; more: boolean } {
    const reports: Report[] = [];
    let bytes = 0;
    for (const waiting of this.#waiting.values()) {
      if (waiting.sentAt !== null && (now as number) - (waiting.sentAt as number) < heartbeatMs) continue;
      const size = sizeOf(waiting.report);
      if (reports.length > 0 && (bytes + size > REPORT_BYTES || reports.length >= REPORT_COUNT)) {
        return { reports, more: true };
      }
      bytes += size;
      reports.push(this.#send(waiting, now));
    }
    return { reports, more: false };
  }

  /** A report puts its entry to FINISHED, VOID or LOST when it is sent: both sides change it at the same message. */
  #send(waiting: Waiting, now: MonoMs): Report {
    waiting.sentAt = now;
    const { report } = waiting;
    const phase = report.kind === 'never_started' ? 'void' : report.kind === 'lost' ? 'lost' : 'finished';
    this.#inventory.put({ phase, token: report.token, taskId: report.taskId });
    return report;
  }
}

/** About how many bytes a report takes on the wire. */
function sizeOf(report: Report): number {
  return (report.result?.length ?? 0) + report.message.length + 512;
}

/** The answer to a permit that was not started and never will be. */
export function neverStarted(token: Token, taskId: TaskId, reason: string, now: Instant): Report {
  return {
    token,
    taskId,
    kind: 'never_started',
    exitCode: null,
    reason,
    message: '',
    result: null,
    resultType: '',
    final: false,
    startedAtMs: null,
    endedAtMs: now.wall as number,
  };
}

/** Where a fresh agent starts from. */
export const NOTHING_RECOVERED: Recovered = { highestToken: NO_TOKEN, highestEpoch: NO_EPOCH, reports: [] };
