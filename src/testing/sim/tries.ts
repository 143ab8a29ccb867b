import type { HistoryRow, TaskRow } from '../../core/rows.js';
import { type Backoff, backoffCeiling } from '../../kit/backoff.js';
import type { TaskId, Token } from '../../kit/ids.js';
import type { Puts } from '../../store/store.js';

interface Fault {
  readonly rule: string;
  readonly taskId: TaskId;
  readonly what: string;
}

/** What a task has behind it since it was submitted, or an operator had it begun anew. */
interface Course {
  /** Tries that failed and were retried. */
  used: number;
  /** When the newest of them was decided, by the service clock. */
  failedAt: number;
  /** When its agent was lost, by the service clock, and with which token. */
  lost: { readonly token: Token; readonly at: number } | null;
}

/** Reasons of failures of a try that bear no token, because it was lost, or waited for an event, when it failed. */
const OF_TRIES: ReadonlySet<string> = new Set(['execution_timeout', 'deferral_timeout', 'trigger_failed']);
/** What lets a task go that is held, before its time; under `single_run` an operator's word does not (P11). */
const FREES: ReadonlySet<string> = new Set(['lost_reported', 'resolved']);

/**
 * Tries by the rows of each commit: a failure is final when the user's retries are used up and not before, nothing but
 * failures uses them, a retry keeps its back-off, a wait its timeout, and `hold` holds as long as it says (P11, P14).
 */
export class TryAudit {
  readonly #courses = new Map<TaskId, Course>();

  /** What is wrong with a commit; `before` are the rows before it. */
  faultsOf({ history, tasks, counters }: Puts, before: ReadonlyMap<TaskId, TaskRow>): Fault[] {
    const faults: Fault[] = [];
    const rows = new Map(tasks.map(({ row }) => [row.taskId, row]));
    const service = counters === null ? 0 : (counters.serviceMs as number);
    const freed = new Map(
      history.filter(({ event }) => FREES.has(event)).map((row) => [row.taskId, row.event]),
    );
    for (const event of history) {
      const row = rows.get(event.taskId);
      if (row === undefined) continue;
      const old = before.get(event.taskId);
      const what = this.#judge(event, { row, old, service, freed: freed.get(event.taskId) ?? null });
      if (what !== null) faults.push({ rule: 'tries', taskId: event.taskId, what });
    }
    for (const { taskId, retriesUsed } of rows.values()) {
      const { used } = this.#courseOf(taskId);
      const what = `${taskId} has ${retriesUsed} retries behind it, and ${used} of its tries were retried`;
      if (retriesUsed !== used) faults.push({ rule: 'tries', taskId, what });
    }
    return faults;
  }

  #courseOf(taskId: TaskId): Course {
    const known = this.#courses.get(taskId);
    if (known !== undefined) return known;
    const course: Course = { used: 0, failedAt: 0, lost: null };
    this.#courses.set(taskId, course);
    return course;
  }

  #judge(
    { taskId, event, reason, token }: HistoryRow,
    {
      row,
      old,
      service,
      freed,
    }: { row: TaskRow; old: TaskRow | undefined; service: number; freed: string | null },
  ): string | null {
    const course = this.#courseOf(taskId);
    switch (event) {
      case 'retried':
      case 'cleared':
        course.used = 0;
        return null;
      case 'lost':
        course.lost = { token, at: service };
        return null;
      case 'requeued': {
        const until = row.partitionPolicy === 'single_run' ? (old?.open?.lost?.heldUntil ?? null) : null;
        if (until !== null && service < until && freed !== 'lost_reported')
          return `${taskId} is let go ${Math.round(until - service)} ms before its release`;
        const heldMs = course.lost?.token === token ? service - course.lost.at : row.holdTimeoutMs;
        if (row.partitionPolicy !== 'hold' || freed !== null || heldMs >= row.holdTimeoutMs) return null;
        return `${taskId} was held for ${heldMs} ms; it says ${row.holdTimeoutMs}`;
      }
      case 'failed':
        return isOfTry(token, reason) && course.used < row.retries
          ? `${taskId} has failed (${reason}) after ${course.used} of ${row.retries} retries`
          : early(reason, old, service);
      case 'try_failed':
        course.used++;
        course.failedAt = service;
        return course.used > row.retries
          ? `${taskId} is retried for the ${course.used}th time; it has ${row.retries} retries`
          : early(reason, old, service);
      case 'retry_queued':
      case 'retry_scheduled': {
        const waitedMs = service - course.failedAt;
        const leastMs = leastWait(row.retryBackoff, course.used);
        return waitedMs >= leastMs
          ? null
          : `${taskId} is retried after ${waitedMs} ms; its back-off is at least ${leastMs} ms`;
      }
      default:
        return null;
    }
  }
}

function isOfTry(token: Token, reason: string): boolean {
  return token !== 0n || OF_TRIES.has(reason);
}

/** P16: a wait that fails for its timeout has lasted so long. */
function early(reason: string, old: TaskRow | undefined, service: number): string | null {
  const until = old?.state === 'deferred' ? old.notBefore : null;
  if (reason !== 'deferral_timeout' || until === null || service >= until) return null;
  return `the wait of ${old?.taskId} timed out ${until - service} ms early`;
}

/** Half of the ceiling, less what rounding takes. */
function leastWait(backoff: Backoff, used: number): number {
  return Math.floor(backoffCeiling(backoff, Math.max(0, used - 1)) / 2);
}
