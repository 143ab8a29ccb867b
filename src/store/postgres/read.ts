import type { FinishedTask } from '../../core/retention.js';
import type {
  AgentRow,
  Counters,
  HistoryRow,
  QueueRow,
  RecoveryStep,
  SessionRow,
  TaskRow,
  TaskSpecRow,
  TaskState,
} from '../../core/rows.js';
import type { Epoch, TaskId, Token } from '../../kit/ids.js';
import type { ServiceMs, WallMs } from '../../kit/time.js';
import { decodeAgent, decodeSession, decodeSpec } from '../codec.js';
import { decodeEvents } from '../history-codec.js';
import { decodeDelivery, decodeNotification } from '../notification-codec.js';
import {
  type DeliveryRow,
  type FinishedFilter,
  type FinishedPosition,
  type LaneCount,
  type Loaded,
  type ReadyPosition,
  type StoredNotification,
  StoreError,
  type TaskFilter,
} from '../store.js';
import { type Ask, type Asks, Where } from './ask.js';
import { TASK, TASK_WITHOUT_RESULT, TASKS, toTask, toText } from './columns.js';
import { DagReader } from './dag-read.js';
import type { Columns } from './driver.js';
import { OF_FEW } from './schema.js';

const IN_ORDER = 'ORDER BY rank, task_id LIMIT';
/** A value instead of NOT EXISTS, which may be planned as a walk over all active runs for each task: this one asks by the key. */
const IN_NO_ACTIVE_RUN =
  "coalesce((SELECT r.state FROM runs AS r WHERE r.run = tasks.run), '') NOT IN ('queued', 'running')";

/** What tells PostgreSQL that the index of a state has every row asked for: constants, as the plan is made once. */
const INDEXED: Readonly<Record<TaskState, string>> = {
  queued: "state = 'queued'",
  running: "is_open AND state = 'running'",
  success: "state = 'success'",
  ...{ scheduled: OF_FEW, failed: OF_FEW, up_for_retry: OF_FEW, deferred: OF_FEW },
  ...{ upstream_failed: OF_FEW, skipped: OF_FEW, cancelled: OF_FEW },
};

/** All events of a task `t`, as decodeEvents() reads them. */
export const EVENTS = `coalesce((SELECT string_agg(data || ',', '' ORDER BY n) FROM history AS h WHERE h.task_id = t.task_id), '')
  || t.history AS events`;

/** Reads rows and checks what it read. Throws StoreError, `corrupt` for a row that makes no sense. */
export class Reader {
  readonly #soon: Ask;
  readonly #leisurely: Ask;
  readonly dags: DagReader;

  constructor({ soon, leisurely }: Asks) {
    this.#soon = soon;
    this.#leisurely = leisurely;
    this.dags = new DagReader({ soon, leisurely });
  }

  async load(): Promise<Loaded> {
    const ask = this.#leisurely;
    const [agents, sessions, openTasks] = await Promise.all([
      ask('SELECT agent_id, version, data FROM agents ORDER BY agent_id'),
      ask(`SELECT version, data FROM sessions WHERE epoch IN (SELECT epoch FROM sessions WHERE is_live
          UNION SELECT max(epoch) FROM sessions GROUP BY agent_id) ORDER BY epoch`),
      ask(`SELECT ${TASK} FROM ${TASKS} WHERE is_open ORDER BY task_id`),
    ]);
    return {
      counters: await this.#counters(),
      agents: agents.map(toAgent),
      sessions: sessions.map(toSession),
      openTasks: openTasks.map(toTask).filter(({ open }) => open !== null),
      queues: await this.#queues(),
      dags: await this.dags.load(),
    };
  }

  async #counters(): Promise<Counters> {
    const [counters] = await this.#leisurely('SELECT token, epoch, service_ms, recovery FROM counters');
    if (counters === undefined) {
      throw new StoreError(
        'corrupt',
        'the counters are missing, so tokens could be drawn twice; restore a backup',
      );
    }
    const recovery = (counters.recovery as string).split(' ').filter((step) => step !== '');
    return {
      token: counters.token as Token,
      epoch: counters.epoch as Epoch,
      serviceMs: counters.service_ms as ServiceMs,
      ...(recovery.length > 0 ? { recovery: recovery as RecoveryStep[] } : {}),
    };
  }

  async #queues(): Promise<QueueRow[]> {
    const rows = await this.#leisurely('SELECT queue, version, run_limit FROM queues ORDER BY queue');
    return rows.map((c) => ({
      queue: c.queue as string,
      version: c.version as number,
      limit: c.run_limit as number | null,
    }));
  }

  async tasks(taskIds: readonly TaskId[]): Promise<TaskRow[]> {
    const rows = await this.#each(`SELECT ${TASK} FROM ${TASKS} WHERE task_id = ANY($1::text[])`, taskIds);
    return rows.map(toTask);
  }

  async specs(taskIds: readonly TaskId[]): Promise<TaskSpecRow[]> {
    const rows = await this.#each(
      'SELECT task_id, spec FROM submissions WHERE task_id = ANY($1::text[]) AND spec IS NOT NULL',
      taskIds,
    );
    return rows.map((c) => decodeSpec(c.task_id as string, c.spec as string));
  }

  async byIdempotencyKey(keys: readonly string[]): Promise<TaskRow[]> {
    const rows = await this.#each(
      `SELECT ${TASK} FROM ${TASKS} WHERE idempotency_key = ANY($1::text[]) AND idempotency_key <> ''`,
      keys.map(toText),
    );
    return rows.map(toTask);
  }

  async history(taskId: TaskId): Promise<HistoryRow[]> {
    const [row] = await this.#soon(`SELECT ${EVENTS} FROM tasks AS t WHERE task_id = $1`, [taskId]);
    return decodeEvents(taskId, (row?.events ?? '') as string);
  }

  async notifications(after: number, limit: number): Promise<StoredNotification[]> {
    const rows = await this.#leisurely('SELECT n, data FROM notifications WHERE n > $1 ORDER BY n LIMIT $2', [
      after,
      limit,
    ]);
    return rows.map((c) => decodeNotification(Number(c.n), c.data as string));
  }

  async newestNotification(): Promise<number> {
    const [row] = await this.#leisurely("SELECT newest FROM numbering WHERE what = 'notifications'");
    return Number(row?.newest ?? 0);
  }

  async deliveries(): Promise<DeliveryRow[]> {
    const rows = await this.#leisurely('SELECT endpoint, data FROM deliveries ORDER BY endpoint');
    return rows.map((c) => decodeDelivery(c.endpoint as string, c.data as string));
  }

  async lanes(): Promise<LaneCount[]> {
    const rows = await this.#leisurely(
      'SELECT lane, count(*) AS n FROM tasks WHERE lane IS NOT NULL GROUP BY lane',
    );
    return rows.map((c) => ({ lane: c.lane as string, waiting: Number(c.n) }));
  }

  async ready(lane: string, after: ReadyPosition | null, limit: number): Promise<TaskRow[]> {
    const of = `SELECT ${TASK} FROM ${TASKS} WHERE lane = $1`;
    const rows =
      after === null
        ? await this.#soon(`${of} ${IN_ORDER} $2`, [lane, limit])
        : await this.#soon(`${of} AND (rank, task_id) > ($2, $3) ${IN_ORDER} $4`, [
            ...[lane, after.rank, after.taskId, limit],
          ]);
    return rows.map(toTask);
  }

  due(now: ServiceMs, limit: number): Promise<TaskRow[]> {
    return this.#passed('due_at', now, limit);
  }

  async nextDue(): Promise<ServiceMs | null> {
    return (await this.#earliest('due_at')) as ServiceMs | null;
  }

  wallDue(now: WallMs, limit: number): Promise<TaskRow[]> {
    return this.#passed('wall_due_at', now, limit);
  }

  async nextWallDue(): Promise<WallMs | null> {
    return (await this.#earliest('wall_due_at')) as WallMs | null;
  }

  async #passed(column: string, now: number, limit: number): Promise<TaskRow[]> {
    const rows = await this.#soon(
      `SELECT ${TASK} FROM ${TASKS} WHERE ${column} <= $1 ORDER BY ${column}, task_id LIMIT $2`,
      [now, limit],
    );
    return rows.map(toTask);
  }

  async #earliest(column: string): Promise<number | null> {
    const [row] = await this.#soon(
      `SELECT ${column} AS at FROM tasks WHERE ${column} IS NOT NULL ORDER BY ${column} LIMIT 1`,
    );
    return (row?.at ?? null) as number | null;
  }

  /** A run, a state other than success, a DAG, a queue and an agent have an index each; see sqlite/read.ts. */
  async list(filter: TaskFilter, before: TaskId | null, limit: number): Promise<TaskRow[]> {
    const states = filter.states === undefined ? null : [...new Set(filter.states)];
    if (states === null || states.includes('success') || filter.run !== undefined)
      return this.#listOf(filter, states, before, limit);
    const lists = await Promise.all(states.map((state) => this.#listOf(filter, [state], before, limit)));
    return lists
      .flat()
      .sort((a, b) => (a.taskId < b.taskId ? 1 : -1))
      .slice(0, limit);
  }

  async #listOf(
    filter: TaskFilter,
    states: readonly TaskState[] | null,
    before: TaskId | null,
    limit: number,
  ): Promise<TaskRow[]> {
    const where = new Where();
    if (filter.run !== undefined) where.and('run = ?', filter.run);
    if (states?.length === 1 && states[0] !== undefined) {
      where.and(INDEXED[states[0]]);
      if (INDEXED[states[0]] === OF_FEW) where.and('state = ?', states[0]);
    } else if (states !== null) where.and('state = ANY(?::text[])', states);
    if (filter.dagId !== undefined) where.and('dag_id = ?', filter.dagId);
    if (filter.agentId !== undefined) where.and("agent_id = ? AND agent_id <> ''", filter.agentId);
    if (filter.queue !== undefined) where.and('queue = ?', filter.queue);
    if (before !== null) where.and('task_id < ?', before);
    const rows = await this.#leisurely(
      `SELECT ${TASK_WITHOUT_RESULT} FROM ${TASKS} ${where.text} ORDER BY task_id DESC LIMIT ${where.next}`,
      [...where.params, limit],
    );
    return rows.map(toTask);
  }

  async finished(
    after: FinishedPosition | null,
    limit: number,
    { runs = 'ended', until = null }: FinishedFilter,
  ): Promise<FinishedTask[]> {
    const where = new Where();
    where.and('finished_at IS NOT NULL AND is_open IS NULL');
    if (runs !== 'any') where.and(IN_NO_ACTIVE_RUN);
    if (after !== null) where.and('(finished_at, task_id) > (?, ?)', after.finishedAt, after.taskId);
    if (until !== null) where.and('finished_at <= ?', until);
    const rows = await this.#soon(
      `SELECT ${TASK_WITHOUT_RESULT}, finished_at FROM ${TASKS} ${where.text}
        ORDER BY finished_at, task_id LIMIT ${where.next}`,
      [...where.params, limit],
    );
    return rows.map((c) => ({ row: toTask(c), finishedAt: c.finished_at as ServiceMs }));
  }

  /** Counts what has not succeeded in indexes, and takes the rest for successes. */
  async count(): Promise<Partial<Record<TaskState, number>>> {
    const [[all], groups] = await Promise.all([
      this.#leisurely('SELECT count(*) AS n FROM tasks'),
      this.#leisurely(`SELECT state, count(*) AS n FROM tasks WHERE ${OF_FEW} GROUP BY state
        UNION ALL SELECT 'queued', count(*) FROM tasks WHERE ${INDEXED.queued}
        UNION ALL SELECT 'running', count(*) FROM tasks WHERE ${INDEXED.running}`),
    ]);
    const counted: Partial<Record<TaskState, number>> = {};
    let success = Number(all?.n ?? 0);
    for (const { state, n } of groups) {
      if (Number(n) > 0) counted[state as TaskState] = Number(n);
      success -= Number(n);
    }
    if (success > 0) counted.success = success;
    return counted;
  }

  async #each(text: string, keys: readonly string[]): Promise<readonly Columns[]> {
    return keys.length === 0 ? [] : this.#soon(text, [[...new Set(keys)]]);
  }
}

const toAgent = (c: Columns): AgentRow =>
  decodeAgent(c.agent_id as string, c.version as number, c.data as string);

const toSession = (c: Columns): SessionRow => decodeSession(c.version as number, c.data as string);
