import { NOTHING_OF_DAGS } from '../../src/core/dag/inputs.js';
import { NO_DAGS } from '../../src/core/dag/state.js';
import { NO_TIMETABLE } from '../../src/core/dag/timetable.js';
import { decide, observe } from '../../src/core/decide.js';
import type { Draft, LoadedRows } from '../../src/core/draft.js';
import type { Frame, Note } from '../../src/core/frames.js';
import type { CallInput, Context, Input, NewTask, Reply, Report, ReportKind } from '../../src/core/inputs.js';
import { compareReady } from '../../src/core/lanes.js';
import { notificationsOf } from '../../src/core/notify.js';
import { DEFAULT_POLICY, type Policy } from '../../src/core/policy.js';
import {
  type AgentRow,
  type Counters,
  type HistoryRow,
  isFinal,
  laneKeyParts,
  type NotificationRow,
  type QueueRow,
  readyLane,
  type SessionRow,
  type TaskRow,
} from '../../src/core/rows.js';
import { settle } from '../../src/core/settle.js';
import { State } from '../../src/core/state.js';
import { dueAt, wallDueAt } from '../../src/core/task.js';
import type { AgentId, Epoch, StreamId, TaskId, Token } from '../../src/kit/ids.js';
import { seededRandom } from '../../src/kit/random.js';
import { later, type MonoMs, type ServiceMs, type WallMs } from '../../src/kit/time.js';
import { checkCommit } from './invariants.js';

export const H = DEFAULT_POLICY.heartbeatIntervalMs;
export const L = 3 * H;

export type PolicyChange = Omit<Partial<Policy>, 'limits'> & { readonly limits?: Partial<Policy['limits']> };

/** Whoever listens on a stream: the scripted agents do. */
export interface Listener {
  receive(frame: Frame): void;
}

/** When something must happen to a task without any input; infinity when nothing. */
interface Due {
  readonly row: TaskRow;
  readonly leaseMs: number;
  readonly at: number;
  readonly wallAt: number;
}

type Backup = Pick<World, 'tasks' | 'histories' | 'agents' | 'sessions' | 'counters'>;

/**
 * A coordinator without I/O: it does what the engine does (observe, read, decide, commit, settle, send), on rows kept in
 * maps and clocks that stand still until they are advanced.
 */
export class World {
  policy: Policy;
  now = 1_000_000 as MonoMs;
  wall = 1_700_000_000_000 as WallMs;
  service = 0 as ServiceMs;
  serviceStart = 0 as ServiceMs;
  state: State;
  random: () => number;
  coordinatorId = 'coordinator-1';
  readonly tasks = new Map<TaskId, TaskRow>();
  readonly histories = new Map<TaskId, HistoryRow[]>();
  /** When tasks ended, on the service clock, in the order in which they did. */
  readonly finished = new Map<TaskId, ServiceMs>();
  readonly queues = new Map<string, QueueRow>();
  readonly agents = new Map<AgentId, AgentRow>();
  readonly sessions = new Map<Epoch, SessionRow>();
  counters: Counters = { token: 0n as Token, epoch: 0n as Epoch, serviceMs: 0 as ServiceMs };
  /** Everything said and noted so far. */
  readonly frames: Frame[] = [];
  readonly notes: Note[] = [];
  readonly notifications: NotificationRow[] = [];
  readonly replies = new Map<number, Reply>();
  readonly listeners = new Map<StreamId, Listener>();
  /** So many commits fail: their drafts are thrown away and the same inputs decided again. */
  failCommits = 0;
  /** How long a commit takes, in milliseconds. */
  commitMs = 0;
  readonly #dues = new WeakMap<TaskRow, Due>();
  #calls = 0;
  #streams = 0;
  #ids = 0;

  constructor(change: PolicyChange = {}, seed = 1) {
    this.policy = { ...DEFAULT_POLICY, ...change, limits: { ...DEFAULT_POLICY.limits, ...change.limits } };
    this.random = seededRandom(seed);
    this.state = this.#load();
  }

  // — time —

  /** All clocks go on; nothing is decided. */
  advance(ms: number): void {
    this.now = later(this.now, ms);
    this.wall = later(this.wall, ms);
    this.service = later(this.service, ms);
  }

  tick(): Frame[] {
    return this.feed({ kind: 'tick' });
  }

  /** Time passes with a tick at least every `step` ms. */
  pass(ms: number, step = 500): void {
    for (let left = ms; left > 0; left -= step) {
      this.advance(Math.min(step, left));
      this.tick();
    }
  }

  // — what happens to the coordinator —

  feed(...inputs: Input[]): Frame[] {
    for (const input of inputs) observe(this.state, input);
    while (this.failCommits > 0) {
      this.failCommits--;
      this.#decide(inputs);
    }
    const draft = this.#decide(inputs);
    this.notifications.push(...notificationsOf(draft));
    this.#commit(draft);
    this.advance(this.commitMs);
    const frames = settle(draft, this.now);
    this.frames.push(...frames);
    this.notes.push(...draft.notes);
    for (const { callId, reply } of draft.replies) this.replies.set(callId, reply);
    for (const frame of frames) this.listeners.get(frame.streamId)?.receive(frame);
    return this.#refill() ? [...frames, ...this.tick()] : frames;
  }

  /** A stop and a new start from the rows: everything volatile is gone, every stream closed. */
  restart(awayMs = 0, change: Partial<Policy> = {}): void {
    this.now = later(this.now, awayMs);
    this.wall = later(this.wall, awayMs);
    this.serviceStart = this.service;
    this.policy = { ...this.policy, ...change };
    this.coordinatorId = `${this.coordinatorId}+`;
    for (const [streamId, listener] of this.listeners) {
      listener.receive({ kind: 'close', streamId, reason: 'silent' });
    }
    this.listeners.clear();
    this.state = this.#load();
  }

  /** The rows as they are now: what a backup would hold. */
  backup(): Backup {
    const { tasks, histories, agents, sessions, counters } = this;
    const copied = new Map([...histories].map(([taskId, rows]) => [taskId, [...rows]]));
    return {
      tasks: new Map(tasks),
      histories: copied,
      agents: new Map(agents),
      sessions: new Map(sessions),
      counters,
    };
  }

  /** Every commit since the backup is lost, and the coordinator starts from what is left. */
  restore(backup: Backup): void {
    for (const name of ['tasks', 'histories', 'agents', 'sessions'] as const) {
      const rows: Map<unknown, unknown> = this[name];
      rows.clear();
      for (const [key, row] of backup[name]) rows.set(key, row);
    }
    this.counters = backup.counters;
    this.restart();
  }

  newStream(listener: Listener): StreamId {
    this.#streams++;
    const streamId = this.#streams as StreamId;
    this.listeners.set(streamId, listener);
    return streamId;
  }

  call(make: (callId: number) => CallInput): Reply {
    const callId = ++this.#calls;
    this.feed(make(callId));
    return this.reply(callId);
  }

  reply(callId: number): Reply {
    const reply = this.replies.get(callId);
    if (reply === undefined) throw new Error(`call ${callId} has no reply`);
    return reply;
  }

  /** Draws the next task id and fills in what the submission leaves out. */
  newTask(chosen: Partial<NewTask> = {}): NewTask {
    const taskId = (chosen.taskId ?? `t${String(++this.#ids).padStart(4, '0')}`) as TaskId;
    return {
      taskId,
      queue: 'default',
      priority: 0,
      requiredLabels: {},
      handler: '',
      partitionPolicy: 'reassign',
      retries: 0,
      retryBackoff: this.policy.task.retryBackoff,
      executionTimeoutMs: null,
      queuedTimeoutMs: this.policy.queuedTimeoutMs,
      killGraceMs: this.policy.task.killGraceMs,
      holdTimeoutMs: this.policy.task.holdTimeoutMs,
      concurrencyKey: '',
      concurrencyLimit: 1,
      startAfter: null,
      startBefore: null,
      idempotencyKey: '',
      contentHash: 'hash',
      spec: {
        taskId,
        work: {
          ...{ kind: 'command', argv: ['true'], env: {}, workingDirectory: '' },
          ...{ memoryLimitBytes: null, cpuLimitMillis: null },
        },
        traceparent: '',
      },
      ...chosen,
    };
  }

  submit(chosen: Partial<NewTask> = {}): TaskId {
    const task = this.newTask(chosen);
    this.call((callId) => ({ kind: 'submit', callId, tasks: [task] }));
    return task.taskId;
  }

  limitQueue(queue: string, limit: number | null): Reply {
    return this.call((callId) => ({ kind: 'limit_queue', callId, queue, limit }));
  }

  cancel(taskId: TaskId, reason = 'asked'): Reply {
    return this.call((callId) => ({ kind: 'cancel', callId, taskId, reason }));
  }

  // — what the store knows —

  task(taskId: TaskId): TaskRow {
    const row = this.tasks.get(taskId);
    if (row === undefined) throw new Error(`no task ${taskId}`);
    return row;
  }

  events(taskId: TaskId): string[] {
    return (this.histories.get(taskId) ?? []).map((row) => row.event);
  }

  session(agentId: AgentId): SessionRow {
    const epoch = this.agents.get(agentId)?.epoch;
    const row = epoch === undefined ? undefined : this.sessions.get(epoch);
    if (row === undefined) throw new Error(`no session of ${agentId}`);
    return row;
  }

  noted(kind: Note['kind']): Note[] {
    return this.notes.filter((note) => note.kind === kind);
  }

  get leaseMs(): number {
    return 3 * this.policy.heartbeatIntervalMs;
  }

  context(): Context {
    const { now, wall, service, serviceStart, policy, random, coordinatorId } = this;
    const newTaskId = () => `task-${++this.#ids}` as TaskId;
    return {
      now,
      wall,
      service,
      serviceStart,
      policy,
      random,
      coordinatorId,
      newTaskId,
      timetable: NO_TIMETABLE,
    };
  }

  /** Ready tasks of a lane in the order they are offered, as the store would read them. */
  ready(lane: string): TaskRow[] {
    return [...this.tasks.values()].filter((row) => readyLane(row) === lane).sort(compareReady);
  }

  // — the engine's part —

  #decide(inputs: readonly Input[]): Draft {
    return decide(this.state, this.context(), inputs, this.#read(inputs));
  }

  #read(inputs: readonly Input[]): LoadedRows {
    const tasks = new Map<TaskId, TaskRow>();
    const histories = new Map<TaskId, HistoryRow[]>();
    const byKey = new Map<string, TaskRow>();
    const want = (taskId: TaskId) => {
      const row = this.tasks.get(taskId);
      if (row !== undefined && this.state.knownTask(taskId) === undefined) tasks.set(taskId, row);
    };
    const wantReport = (agentId: AgentId | undefined, report: Report) => {
      const open = this.state.open.get(report.token);
      if (open?.open?.agentId === agentId) return;
      const taskId = open?.taskId ?? report.taskId;
      want(taskId);
      histories.set(taskId, this.histories.get(taskId) ?? []);
    };
    for (const input of inputs) {
      if (input.kind === 'heartbeat') {
        const agentId = this.state.presenceOfStream(input.streamId)?.agentId;
        for (const report of input.beat.reports) wantReport(agentId, report);
        for (const request of input.beat.startRequests) want(request.taskId);
      } else if (input.kind === 'hello') {
        for (const report of input.hello.reports) wantReport(input.hello.agentId, report);
        for (const entry of input.hello.inventory)
          if (entry.phase === 'asked' || !this.state.open.has(entry.token)) want(entry.taskId);
      } else if (input.kind === 'submit') {
        for (const row of this.tasks.values()) {
          if (
            input.tasks.some(
              (task) => task.idempotencyKey !== '' && task.idempotencyKey === row.idempotencyKey,
            )
          )
            byKey.set(row.idempotencyKey, row);
        }
      } else if (input.kind === 'cancel' || input.kind === 'resolve' || input.kind === 'retry')
        want(input.taskId);
      else if (input.kind === 'steer') input.taskIds.forEach(want);
      else if (input.kind === 'tick') {
        for (const presence of this.state.presences.values()) presence.lapsed.forEach(want);
      }
    }
    const due = inputs.some((input) => input.kind === 'tick') ? this.due() : [];
    for (const row of due) tasks.set(row.taskId, row);
    const prunes = inputs.some((input) => input.kind === 'prune');
    return { tasks, histories, byKey, due, finished: prunes ? this.#stretch() : null, dags: NOTHING_OF_DAGS };
  }

  /** The first finished tasks, as the store reads them: without results. */
  #stretch(): LoadedRows['finished'] {
    const tasks = [...this.finished]
      .slice(0, this.policy.limits.pruneStep)
      .map(([taskId, finishedAt]) => ({ row: { ...this.task(taskId), result: null }, finishedAt }));
    return { tasks, total: this.finished.size, ended: { runs: [], backfills: [], oldEvents: false } };
  }

  due(): TaskRow[] {
    return [...this.tasks.values()]
      .map((row) => this.#dueOf(row))
      .filter(({ at, wallAt }) => at <= this.service || wallAt <= this.wall)
      .sort((a, b) => a.at - b.at)
      .map(({ row }) => row);
  }

  /** Counted once for each row, as the stores do. */
  #dueOf(row: TaskRow): Due {
    const known = this.#dues.get(row);
    if (known?.leaseMs === this.leaseMs) return known;
    const at = (dueAt(row, this.leaseMs) as number | null) ?? Number.POSITIVE_INFINITY;
    const wallAt = (wallDueAt(row) as number | null) ?? Number.POSITIVE_INFINITY;
    const due = { row, leaseMs: this.leaseMs, at, wallAt };
    this.#dues.set(row, due);
    return due;
  }

  #commit(draft: Draft): void {
    checkCommit(this, draft);
    this.counters = draft.counters;
    for (const taskId of draft.removals.keys())
      for (const rows of [this.tasks, this.histories, this.finished]) rows.delete(taskId);
    for (const row of draft.tasks.values()) {
      this.tasks.set(row.taskId, row);
      if (!isFinal(row.state)) this.finished.delete(row.taskId);
      else if (!this.finished.has(row.taskId)) this.finished.set(row.taskId, this.service);
    }
    for (const row of draft.history) {
      const rows = this.histories.get(row.taskId) ?? [];
      rows.push(row);
      this.histories.set(row.taskId, rows);
    }
    for (const agentId of draft.agentRemovals.keys()) {
      this.agents.delete(agentId);
      for (const row of this.sessions.values()) if (row.agentId === agentId) this.sessions.delete(row.epoch);
    }
    for (const row of draft.queues.values()) this.queues.set(row.queue, row);
    for (const row of draft.agents.values()) this.agents.set(row.agentId, row);
    for (const row of draft.sessions.values()) this.sessions.set(row.epoch, row);
  }

  #refill(): boolean {
    let filled = false;
    for (const lane of this.state.lanesToRefill()) {
      const last = lane.tasks.at(-1);
      const behind = this.ready(lane.key).filter((row) => last === undefined || compareReady(row, last) > 0);
      const waiting = behind.filter((row) => !this.state.offered.has(row.taskId));
      const next = waiting.slice(0, this.state.lanes.windowOf(lane) - lane.tasks.length);
      this.state.lanes.refill(lane, next, next.length === waiting.length);
      filled ||= next.length > 0;
    }
    return filled;
  }

  #load(): State {
    const lanes = new Map<string, TaskRow[]>();
    for (const row of this.tasks.values()) {
      const lane = readyLane(row);
      if (lane !== null) lanes.set(lane, [...(lanes.get(lane) ?? []), row]);
    }
    const newest = [...this.agents.values()].map((agent) => agent.epoch);
    return new State(
      this.policy,
      {
        counters: this.counters,
        agents: [...this.agents.values()],
        sessions: [...this.sessions.values()].filter((s) => s.state === 'live' || newest.includes(s.epoch)),
        openTasks: [...this.tasks.values()].filter((row) => row.open !== null),
        lanes: [...lanes].map(([key, rows]) => ({ ...laneKeyParts(key), key, waiting: rows.length })),
        queues: [...this.queues.values()],
        dags: NO_DAGS,
      },
      this.now,
    );
  }
}

export function world(change: PolicyChange = {}, seed = 1): World {
  return new World(change, seed);
}

export function report(token: Token, kind: ReportKind, change: Partial<Report> = {}): Report {
  const rest = {
    taskId: '' as TaskId,
    exitCode: null,
    reason: '',
    message: '',
    result: null,
    resultType: '',
    final: false,
  };
  return { token, kind, ...rest, ...change };
}
