import { isFinal, type TaskState } from '../../core/rows.js';
import { BARS, CLOSES, ENDS, LOSES, OUTCOMES, RELEASES, SPARES } from './endings.js';
import {
  CLOCK_BOUND,
  type Consequence,
  type Ended,
  type Failed,
  type Fault,
  type Heard,
  type HistoryEvent,
  type Recorded,
  type Run,
  type Settings,
  type Started,
} from './events.js';
import { QueuedTime } from './queued-time.js';

/** A permit and what became of its token. */
export interface PermitEntry {
  readonly token: bigint;
  readonly taskId: string;
  readonly agentId: string;
  readonly tryNumber: number;
  readonly epoch: bigint | undefined;
  readonly at: number;
  /** An operator had ruled on the task before. */
  readonly afterRuling: boolean;
  /** Permitted in commits that were lost; its run may know another number of the try (P18). */
  readonly isRegained: boolean;
  /** Its agent was told that its report is recorded, in commits that were lost. */
  isForgotten: boolean;
  starts: number;
  /** The first event after which nothing may start with the token (K4). */
  barred: Recorded | null;
  /** Its agent is lost, and has not come back with it. */
  isLost: boolean;
  /** The event that closed the token (P10). */
  closed: Recorded | null;
}

/** What the history has told of a task so far. */
export interface TaskEntry {
  readonly taskId: string;
  /** Newest token. */
  newest: bigint;
  readonly permits: PermitEntry[];
  /** By try. */
  readonly outcomes: Map<number, Recorded>;
  /** Tries that count as lost. */
  readonly losses: Set<number>;
  /** Events that ended the task for good. */
  readonly ends: Recorded[];
  /** A lost token that was not released yet (P11). */
  held: bigint | null;
  /** An operator has ruled on a lost try. */
  ruled: boolean;
  readonly queued: QueuedTime;
  /** An operator has had it begun anew, and no try was permitted since. */
  isFresh: boolean;
  /** The final state that a client was shown. */
  shown: string | null;
}

interface SessionEntry {
  /** When the lease counts from at the earliest: a heartbeat, or our own restart. */
  early: Heard | null;
  /** The last that was heard at all. */
  late: Heard | null;
}

/** The upper bound of P1 and I5 beyond the lease, in milliseconds. */
export const FAILED_WITHIN_MS = 1_000;

/** Everything that a history has told so far, for rules that ask about the past. */
export class Book {
  readonly settings: Settings;
  readonly tasks = new Map<string, TaskEntry>();
  readonly permits = new Map<bigint, PermitEntry>();
  /** By token; a token that was started twice keeps its newest run. */
  readonly runs = new Map<bigint, Run>();
  readonly accepted = new Map<string, string>();
  readonly listed = new Map<string, string[]>();
  readonly faults: Fault[] = [];
  highestToken = 0n;
  highestTokenAt = Number.NEGATIVE_INFINITY;
  highestEpoch = 0n;
  /** The end of the last outage of the coordinator, and of the last outage or stall. */
  calmSince = Number.NEGATIVE_INFINITY;
  steadySince = Number.NEGATIVE_INFINITY;
  readonly #sessions = new Map<bigint, SessionEntry>();
  readonly #ofTask = new Map<string, Run[]>();
  readonly #ofAgent = new Map<string, Run[]>();
  readonly #ofKey = new Map<string, Run[]>();
  readonly #disturbances: { readonly at: number; readonly until: number }[] = [];
  readonly #undetected = new Set<Fault>();

  constructor(settings: Settings) {
    this.settings = settings;
  }

  task(taskId: string): TaskEntry {
    const known = this.tasks.get(taskId);
    if (known !== undefined) return known;
    const task: TaskEntry = {
      ...{ taskId, newest: 0n, permits: [], outcomes: new Map(), losses: new Set(), ends: [] },
      ...{ held: null, ruled: false, queued: new QueuedTime(), isFresh: true, shown: null },
    };
    this.tasks.set(taskId, task);
    return task;
  }

  session(epoch: bigint): SessionEntry {
    return this.#sessions.get(epoch) ?? { early: null, late: null };
  }

  /** Writes an event down; what follows from it and from what was known is to be judged next. */
  note(event: HistoryEvent): Consequence[] {
    switch (event.kind) {
      case 'accepted':
        this.accepted.set(event.key, event.taskId);
        return [];
      case 'recorded':
        this.#record(event);
        return [];
      case 'started':
        return this.#start(event);
      case 'alive':
        return this.#sign(event.at, this.runs.get(event.token));
      case 'ended':
        return this.#end(event);
      case 'slept': {
        const run = this.#run(event);
        if (run !== undefined) run.slept = true;
        return [];
      }
      case 'forgotten': {
        const permit = this.permits.get(event.token);
        if (permit !== undefined) permit.isForgotten = true;
        return [];
      }
      case 'granted':
        if (event.epoch > this.highestEpoch) this.highestEpoch = event.epoch;
        return [];
      case 'heard':
        this.#hear(event);
        return [];
      case 'failed':
        return this.#detect(event);
      case 'disturbed':
        if (event.by === 'outage') this.calmSince = Math.max(this.calmSince, event.until);
        if (event.by === 'outage' && this.settings.faultsAreTold) this.#disturbances.push(event);
        this.steadySince = Math.max(this.steadySince, event.until);
        return [];
      case 'fault':
        this.faults.push(event);
        if (event.mustFail) this.#undetected.add(event);
        return [];
      case 'shown':
        if (isFinal(event.state as TaskState)) this.task(event.taskId).shown = event.state;
        return [];
      case 'listed':
        this.listed.set(event.key, [...(this.listed.get(event.key) ?? []), event.taskId]);
        return [];
      case 'over':
        return this.#close(event.at);
      case 'acknowledged':
      case 'permit_told':
        return [];
    }
  }

  #record(event: Recorded): void {
    const task = this.task(event.taskId);
    const { token, tryNumber } = event;
    if (event.event === 'permitted' || event.event === 'regained') this.#permit(task, event);
    const permit = this.permits.get(token);
    if (permit !== undefined && BARS.has(event.event)) permit.barred ??= event;
    if (permit !== undefined && event.event === 'lost') permit.isLost = true;
    if (permit !== undefined && event.event === 'adopted') permit.isLost = false;
    if (permit !== undefined && CLOSES.has(event.event)) permit.closed ??= event;
    const tried = tryOf(task, event);
    if (OUTCOMES.has(event.event) && tried !== null) task.outcomes.set(tried, event);
    if (LOSES.has(event.event) || isSilentTimeout(event, this.runs.get(token))) task.losses.add(tryNumber);
    if (SPARES.has(event.event)) task.losses.delete(tryNumber);
    if (event.event === 'lost') task.held = token;
    else if (RELEASES.has(event.event)) task.held = null;
    if (event.event === 'resolved') task.ruled = true;
    // What an operator says of its end counts instead of what it was.
    if (event.event === 'marked') task.ends.length = 0;
    if (isEnd(event)) task.ends.push(event);
    if (event.event === 'retried' || event.event === 'cleared') this.#begin(task, event);
    task.queued.note(event);
  }

  /** An operator had it tried again: what it ended with counts no more, and its last try is over without another outcome. */
  #begin(task: TaskEntry, event: Recorded): void {
    task.ends.length = 0;
    task.shown = null;
    task.losses.clear();
    if (!task.outcomes.has(event.tryNumber)) task.outcomes.set(event.tryNumber, event);
    task.isFresh = true;
  }

  #permit(task: TaskEntry, event: Recorded): void {
    const { token, taskId, agentId, tryNumber, epoch, at } = event;
    const entry = { token, taskId, agentId, tryNumber, epoch, at, afterRuling: task.ruled };
    const isRegained = event.event === 'regained';
    const fresh = { isRegained, isForgotten: false, isLost: false, starts: 0, barred: null, closed: null };
    const permit: PermitEntry = { ...entry, ...fresh };
    this.permits.set(token, permit);
    task.permits.push(permit);
    task.isFresh = false;
    if (token > task.newest) task.newest = token;
    if (token <= this.highestToken) return;
    this.highestToken = token;
    this.highestTokenAt = at;
  }

  #start({ token, taskId, agentId, policy, at, beside, key, stoodStill = false }: Started): Consequence[] {
    const permit = this.permits.get(token);
    if (permit !== undefined) permit.starts += 1;
    const base = {
      token,
      taskId,
      agentId,
      policy,
      key: key ?? null,
      at,
      until: at,
      beside,
      pairs: new Set<bigint>(),
    };
    const run: Run = { ...base, over: false, code: undefined, slept: stoodStill, alongside: 0 };
    const siblings = listOf(this.#ofTask, taskId);
    const neighbours = listOf(this.#ofAgent, agentId);
    const { endsAreSeen } = this.settings;
    // When two start at the same moment, it may be the first that sees the second.
    const isSeen = (other: Run) => beside.includes(other.token) || other.beside.includes(token);
    const isThere = (other: Run) => (endsAreSeen ? !other.over : isSeen(other));
    const found = siblings.filter(isThere).map((older) => together(older, run));
    if (endsAreSeen) {
      // What is over can be alongside nobody any more: the lists stay as short as the agents' slots.
      keep(siblings, (other) => !other.over);
      keep(neighbours, (other) => !other.over);
      run.alongside = neighbours.length;
    }
    siblings.push(run);
    neighbours.push(run);
    this.runs.set(token, run);
    return [...found, crowd(run), ...this.#share(run)];
  }

  /** Under `single_run` a place is free only once its run is over, so the limit of a key holds in real time. */
  #share(run: Run): Consequence[] {
    const { endsAreSeen, clockError } = this.settings;
    if (run.key === null || run.slept || run.policy !== 'single_run') return [];
    if (!endsAreSeen || clockError > CLOCK_BOUND) return [];
    const sharing = listOf(this.#ofKey, run.key.name);
    // What an operator has ended is over to the coordinator, whatever its agent still does.
    keep(sharing, (other) => !other.over && !other.slept && !this.task(other.taskId).ruled);
    sharing.push(run);
    const limit = Math.min(...sharing.map((other) => other.key?.limit ?? Number.POSITIVE_INFINITY));
    const { taskId, token, agentId, at } = run;
    return [{ kind: 'sharing', at, taskId, token, agentId, key: run.key.name, alive: sharing.length, limit }];
  }

  /** The run was alive until then: beside every run that started since its last sign. */
  #sign(at: number, run: Run | undefined): Consequence[] {
    if (run === undefined) return [];
    const { token } = run;
    const since = run.until;
    run.until = Math.max(since, at);
    if (this.settings.endsAreSeen) return [];
    const isNewer = (other: Run) => other !== run && other.at > since && other.at < at && other.at >= run.at;
    const found: Consequence[] = listOf(this.#ofTask, run.taskId)
      .filter((other) => isNewer(other) && !other.pairs.has(token))
      .map((newer) => together(run, newer));
    for (const newer of listOf(this.#ofAgent, run.agentId).filter(isNewer)) {
      newer.alongside += 1;
      found.push(crowd(newer));
    }
    const killed = this.faults.findLast(
      ({ fault, target, at: from }) =>
        fault === 'kill' && target === run.agentId && run.at < from && from < at,
    );
    if (killed === undefined) return found;
    const { taskId, agentId } = run;
    return [...found, { kind: 'outlived', at, taskId, token, agentId, livedMs: at - killed.at }];
  }

  #end(event: Ended): Consequence[] {
    const run = this.#run(event);
    const found = this.#sign(event.at, run);
    if (run !== undefined) Object.assign(run, { over: true, code: event.code });
    return found;
  }

  /** The run that is meant: of that agent, where another's bears the same token. */
  #run({ token, agentId }: { readonly token: bigint; readonly agentId?: string }): Run | undefined {
    const newest = this.runs.get(token);
    if (agentId === undefined || newest?.agentId === agentId) return newest;
    return this.#ofAgent.get(agentId)?.findLast((run) => run.token === token);
  }

  #hear(event: Heard): void {
    const { early } = this.session(event.epoch);
    this.#sessions.set(event.epoch, { early: event.by === 'hello' ? early : event, late: event });
  }

  /** Faults for which this agent had to be failed: it was. */
  #detect({ at, agentId }: Failed): Consequence[] {
    const found: Consequence[] = [];
    for (const fault of this.#undetected) {
      if (fault.target !== agentId || fault.at > at) continue;
      this.#undetected.delete(fault);
      found.push(this.#detected(fault, at, true));
    }
    return found;
  }

  #detected(fault: Fault, at: number, found: boolean): Consequence {
    const { leaseMs, slackMs } = this.settings;
    const latest = fault.at + fault.spareMs + leaseMs + FAILED_WITHIN_MS + slackMs;
    const until = found ? Math.min(at, latest) : latest;
    const disturbed = this.#disturbances.some((each) => each.at <= until && each.until >= fault.at);
    return { kind: 'detected', at, agentId: fault.target, fault, found, latest, disturbed };
  }

  #close(at: number): Consequence[] {
    const missed = [...this.#undetected].map((fault) => this.#detected(fault, at, false));
    const counted = [...this.accepted].map(
      ([key, taskId]): Consequence => ({
        ...{ kind: 'counted', at, key, taskId },
        found: this.listed.get(key) ?? [],
      }),
    );
    return [...missed, ...counted];
  }
}

/** The try that an event ends: that of its token, or of a deferred task, which has none, the one that it waits in. */
export function tryOf({ permits, isFresh }: TaskEntry, { token, tryNumber }: Recorded): number | null {
  if (token !== 0n) return tryNumber;
  // Begun anew, it waits for its next try to begin.
  if (isFresh) return null;
  const last = permits.at(-1);
  return last?.closed?.event === 'deferred' ? last.tryNumber : null;
}

/** Whether the event ends its task for good. */
export function isEnd({ event, reason }: Recorded): boolean {
  return ENDS.has(event) || (event === 'resolved' && reason !== 'reassign');
}

/** A try that was to end for its timeout and whose run never said so: it was lost as well, whatever it is called. */
function isSilentTimeout({ event, reason }: Recorded, run: Run | undefined): boolean {
  return event === 'try_failed' && reason === 'execution_timeout' && (run?.code ?? null) === null;
}

function together(older: Run, newer: Run): Consequence {
  const { taskId, token, agentId, at } = newer;
  newer.pairs.add(older.token);
  return { kind: 'together', at, taskId, token, agentId, older, newer };
}

function crowd({ taskId, token, agentId, at, alongside }: Run): Consequence {
  return { kind: 'crowd', at, taskId, token, agentId, alive: alongside + 1 };
}

function listOf(lists: Map<string, Run[]>, key: string): Run[] {
  const known = lists.get(key);
  if (known !== undefined) return known;
  const list: Run[] = [];
  lists.set(key, list);
  return list;
}

function keep(runs: Run[], wanted: (run: Run) => boolean): void {
  runs.splice(0, runs.length, ...runs.filter(wanted));
}
