import type { EventName } from '../../core/history.js';
import type { PartitionPolicy, TaskState } from '../../core/rows.js';
import { Checker } from './checker.js';
import { OUTCOMES } from './endings.js';
import { CLOCK_BOUND, type HistoryEvent, type Settings, type Violation } from './events.js';
import type { Measured } from './figures.js';

/** One line that a command itself wrote. Instants in milliseconds of one clock. */
interface Line {
  readonly what: 'start' | 'alive' | 'term' | 'end';
  readonly at: number;
  /** With `start`: when the process began. */
  readonly execAt?: number;
  readonly taskId: string;
  readonly tryNumber: number;
  readonly token: bigint;
  readonly agentId: string;
  /** With `end`. */
  readonly code?: number;
  /** Tokens of the same task that were alive at the start. */
  readonly beside: readonly bigint[];
}

/** A task with its history, as the API tells it at the end. */
interface ToldTask {
  readonly taskId: string;
  readonly key: string;
  readonly policy: PartitionPolicy;
  readonly state: TaskState;
  readonly reason: string;
  readonly resultToken: bigint | null;
  readonly history: readonly {
    readonly at: number;
    readonly event: EventName;
    readonly agentId: string;
    readonly tryNumber: number;
    readonly token: bigint;
    readonly reason: string;
  }[];
}

/** What the fault harness did. */
interface DoneFault {
  readonly kind: string;
  readonly target: string;
  readonly from: number;
  readonly to: number;
  readonly mustFail: boolean;
  readonly spareMs?: number;
  readonly mayNotFail: boolean;
}

/** Everything that a run of real processes left behind. */
export interface RecordedHistory {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly slackMs: number;
  readonly slots: number;
  readonly lines: readonly Line[];
  readonly tasks: readonly ToldTask[];
  /** Submissions that were acknowledged. */
  readonly accepted: readonly { readonly key: string; readonly taskId: string }[];
  /** What a client was shown meanwhile. */
  readonly seen: readonly {
    readonly at: number;
    readonly taskId: string;
    readonly state: string;
    readonly token: bigint;
  }[];
  /** What the coordinator said of agents that it failed, and of sessions that it granted. */
  readonly failures: readonly {
    readonly at: number;
    readonly agentId: string;
    readonly silentMs: number;
    readonly epoch: string;
  }[];
  readonly grants: readonly { readonly at: number; readonly agentId: string; readonly epoch: string }[];
  readonly faults: readonly DoneFault[];
}

/** Wall times of the API are whole milliseconds, and the machine's clock is being steered. */
const CLOCK_STEP_MS = 20;
/** The coordinator's defaults, which the harness leaves as they are. */
const QUEUED_TIMEOUT_MS = 600_000;
const POISON_LIMIT = 3;

/** Judges what was recorded: violations, oldest first, and what was counted and measured on the way. */
export function judge(history: RecordedHistory): {
  readonly violations: readonly Violation[];
  readonly counts: ReadonlyMap<string, number>;
  readonly times: readonly Measured[];
} {
  const { heartbeatMs, leaseMs, slackMs, slots } = history;
  const settings: Settings = {
    ...{ heartbeatMs, leaseMs, slackMs, clockStepMs: CLOCK_STEP_MS, endsAreSeen: false, faultsAreTold: true },
    ...{ slotsOf: () => slots, queuedTimeoutMs: QUEUED_TIMEOUT_MS, queuedTimeoutWaits: false },
    clockError: CLOCK_BOUND,
    poisonLimit: POISON_LIMIT,
  };
  const checker = new Checker(settings);
  for (const event of eventsOf(history)) checker.take(event);
  const violations = checker.violations.toSorted((a, b) => a.at - b.at);
  return { violations, counts: checker.figures.counts, times: checker.figures.times };
}

/** What was recorded as one history: in the order of time, each source in its own order. */
function eventsOf(history: RecordedHistory): HistoryEvent[] {
  const told: readonly HistoryEvent[] = [
    ...history.faults.flatMap(ofFault),
    ...history.accepted.map((one): HistoryEvent => ({ kind: 'accepted', at: 0, ...one })),
    ...ofLines(history),
    ...history.seen.map((one): HistoryEvent => ({ kind: 'shown', ...one })),
    ...history.grants.map((one): HistoryEvent => ({ ...one, kind: 'granted', epoch: BigInt(one.epoch) })),
    ...history.failures.flatMap((one) => ofFailure(one, history.leaseMs)),
  ];
  const inOrder = [...told.map(placed), ...history.tasks.flatMap(ofTask)]
    .sort((a, b) => a.place - b.place)
    .map(({ event }) => event);
  const at = Number.POSITIVE_INFINITY;
  const listed = history.tasks.map((task): HistoryEvent => {
    const { taskId, key, state, reason, resultToken } = task;
    return { kind: 'listed', at, taskId, key, state, reason, resultToken, settled: true };
  });
  return [...inOrder, ...listed, { kind: 'over', at }];
}

/** An event, and where it goes among the others. */
interface Placed {
  readonly event: HistoryEvent;
  readonly place: number;
}

/** A start goes after its permit, if the clocks leave the order open. */
function placed(event: HistoryEvent): Placed {
  const isStart = event.kind === 'started';
  return { event, place: isStart ? Math.max(event.at, event.execAt + 2 * CLOCK_STEP_MS) : event.at };
}

function ofFault({ kind, target, from, to, mustFail, spareMs = 0, mayNotFail }: DoneFault): HistoryEvent[] {
  const fault: HistoryEvent = {
    ...{ kind: 'fault', at: from, until: to, fault: kind, target, mustFail, spareMs, mayNotFail },
  };
  // What a stalled coordinator, or one that has just started, does later than promised is its own stall (P7).
  return target === 'coordinator'
    ? [{ kind: 'disturbed', at: from, until: to, by: 'outage' }, fault]
    : [fault];
}

/** An outcome goes after the run's own last word, if the clocks leave the order open. */
function ofTask({ taskId, history }: ToldTask): Placed[] {
  let [latest, place] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  return history.map((row) => {
    // A task's own order is known; its instants may run back with the wall clock.
    latest = Math.max(latest, row.at);
    place = Math.max(place, latest + (OUTCOMES.has(row.event) ? CLOCK_STEP_MS : 0));
    return { event: { kind: 'recorded', ...row, taskId, at: latest }, place };
  });
}

function ofLines({ lines, tasks }: RecordedHistory): HistoryEvent[] {
  const policies = new Map(tasks.map(({ taskId, policy }) => [taskId, policy]));
  return lines.map((line): HistoryEvent => {
    const { at, taskId, tryNumber, token, agentId, beside, execAt = at, code = null } = line;
    if (line.what === 'end') return { kind: 'ended', at, token, code };
    if (line.what !== 'start') return { kind: 'alive', at, token };
    const policy = policies.get(taskId) ?? 'unknown';
    return { kind: 'started', at, execAt, taskId, tryNumber, token, agentId, policy, beside };
  });
}

/** The coordinator tells for how long it had heard nothing: so it had heard something then. */
function ofFailure(
  { at, agentId, silentMs, epoch }: RecordedHistory['failures'][number],
  leaseMs: number,
): HistoryEvent[] {
  const then = at - silentMs;
  return [
    { kind: 'heard', at: then, epoch: BigInt(epoch), by: 'beat', clockMs: then },
    { kind: 'failed', at, agentId, epoch: BigInt(epoch), leaseMs, clockMs: at },
  ];
}
