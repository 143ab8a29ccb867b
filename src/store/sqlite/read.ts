import type { FinishedTask } from '../../core/retention.js';
import type {
  AgentRow,
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
import { decodeAgent, decodeHistory, decodeSession, decodeSpec } from '../codec.js';
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
import { TASK, TASK_WITHOUT_RESULT, toTask } from './columns.js';
import { DagReader } from './dag-read.js';
import type { Columns, Driver, Statement } from './driver.js';
import { OF_FEW } from './schema.js';

/** By its key: at once for a task without a run. */
const ACTIVE_RUN_OF_TASK =
  "SELECT 1 FROM runs r WHERE r.run = tasks.run AND r.state IN ('queued', 'running')";

/** What tells SQLite that the index of a state has every row asked for. */
const INDEXED: Readonly<Record<TaskState, string>> = {
  queued: "state = 'queued'",
  running: 'is_open IS NOT NULL',
  success: '',
  ...{ scheduled: OF_FEW, failed: OF_FEW, up_for_retry: OF_FEW, deferred: OF_FEW },
  ...{ upstream_failed: OF_FEW, skipped: OF_FEW, cancelled: OF_FEW },
};

/** Reads rows and checks what it read. Throws StoreError, `corrupt` for a row that makes no sense. */
export class Reader {
  readonly #driver: Driver;
  readonly #tasks: Statement;
  readonly #tasksByKey: Statement;
  readonly #specs: Statement;
  readonly #ready: Statement;
  readonly #readyAfter: Statement;
  readonly #due: Statement;
  readonly #nextDue: Statement;
  readonly #wallDue: Statement;
  readonly #nextWallDue: Statement;
  readonly dags: DagReader;

  constructor(driver: Driver) {
    this.#driver = driver;
    this.dags = new DagReader(driver);
    // One call for however many: the names come as one JSON list. CROSS keeps SQLite from walking the tasks instead.
    const wanted = 'FROM json_each(?) AS wanted CROSS JOIN tasks AS t';
    this.#tasks = driver.statement(`SELECT ${TASK} ${wanted} ON t.task_id = wanted.value`);
    this.#tasksByKey = driver.statement(
      `SELECT ${TASK} ${wanted} ON t.idempotency_key = wanted.value AND t.idempotency_key <> ''`,
    );
    this.#specs = driver.statement(
      `SELECT t.task_id, s.data ${wanted} ON t.task_id = wanted.value CROSS JOIN specs AS s ON s.id = t.id`,
    );
    const inOrder = 'ORDER BY rank, task_id LIMIT ?';
    this.#ready = driver.statement(`SELECT ${TASK} FROM tasks WHERE lane = ? ${inOrder}`);
    this.#readyAfter = driver.statement(
      `SELECT ${TASK} FROM tasks WHERE lane = ? AND (rank, task_id) > (?, ?) ${inOrder}`,
    );
    this.#due = driver.statement(
      `SELECT ${TASK} FROM tasks WHERE due_at <= ? ORDER BY due_at, task_id LIMIT ?`,
    );
    this.#nextDue = driver.statement('SELECT min(due_at) AS due_at FROM tasks WHERE due_at IS NOT NULL');
    this.#wallDue = driver.statement(
      `SELECT ${TASK} FROM tasks WHERE wall_due_at <= ? ORDER BY wall_due_at, task_id LIMIT ?`,
    );
    this.#nextWallDue = driver.statement(
      'SELECT min(wall_due_at) AS due_at FROM tasks WHERE wall_due_at IS NOT NULL',
    );
  }

  load(): Loaded {
    const counters = this.#driver
      .statement('SELECT token, epoch, service_ms FROM counters', { bigints: true })
      .get();
    const recovery = this.#driver.statement('SELECT step FROM recovery').all();
    const agents = this.#driver
      .statement('SELECT agent_id, version, data FROM agents ORDER BY agent_id')
      .all();
    const sessions = this.#driver
      .statement(
        `SELECT version, data FROM sessions WHERE epoch IN (SELECT epoch FROM sessions WHERE is_live IS NOT NULL
          UNION SELECT max(epoch) FROM sessions GROUP BY agent_id) ORDER BY epoch`,
      )
      .all();
    const openTasks = this.#driver
      .statement(`SELECT ${TASK} FROM tasks WHERE is_open IS NOT NULL ORDER BY task_id`)
      .lists();
    if (counters === undefined) {
      throw new StoreError(
        'corrupt',
        'the counters are missing, so tokens could be drawn twice; restore a backup',
      );
    }
    return {
      counters: {
        token: counters.token as Token,
        epoch: counters.epoch as Epoch,
        serviceMs: counters.service_ms as ServiceMs,
        ...(recovery.length > 0 ? { recovery: recovery.map(({ step }) => step as RecoveryStep) } : {}),
      },
      agents: agents.map(toAgent),
      sessions: sessions.map(toSession),
      openTasks: openTasks.map(toTask).filter(({ open }) => open !== null),
      queues: this.#queues(),
      dags: this.dags.load(),
    };
  }

  #queues(): QueueRow[] {
    return this.#driver
      .statement('SELECT queue, version, run_limit FROM queues ORDER BY queue')
      .all()
      .map((c) => ({
        queue: c.queue as string,
        version: c.version as number,
        limit: c.run_limit as number | null,
      }));
  }

  tasks(taskIds: readonly TaskId[]): TaskRow[] {
    return this.#tasks.lists(listOf(taskIds)).map(toTask);
  }

  specs(taskIds: readonly TaskId[]): TaskSpecRow[] {
    return this.#specs
      .lists(listOf(taskIds))
      .map(([taskId, data]) => decodeSpec(taskId as string, data as string));
  }

  byIdempotencyKey(keys: readonly string[]): TaskRow[] {
    return this.#tasksByKey.lists(listOf(keys)).map(toTask);
  }

  history(taskId: TaskId): HistoryRow[] {
    const earlier = this.#driver
      .statement('SELECT n, data FROM history WHERE task_id = ? ORDER BY n')
      .all(taskId)
      .map((c) => decodeHistory(taskId, c.n as number, c.data as string));
    const newest = this.#driver.statement('SELECT history FROM tasks WHERE task_id = ?').get(taskId);
    return [...earlier, ...decodeEvents(taskId, (newest?.history ?? '') as string)];
  }

  notifications(after: number, limit: number): StoredNotification[] {
    return this.#driver
      .statement('SELECT n, data FROM notifications WHERE n > ? ORDER BY n LIMIT ?')
      .all(after, limit)
      .map((c) => decodeNotification(c.n as number, c.data as string));
  }

  newestNotification(): number {
    const row = this.#driver.statement("SELECT seq FROM sqlite_sequence WHERE name = 'notifications'").get();
    return (row?.seq ?? 0) as number;
  }

  deliveries(): DeliveryRow[] {
    return this.#driver
      .statement('SELECT endpoint, data FROM deliveries ORDER BY endpoint')
      .all()
      .map((c) => decodeDelivery(c.endpoint as string, c.data as string));
  }

  lanes(): LaneCount[] {
    return this.#driver
      .statement('SELECT lane, count(*) AS n FROM tasks WHERE lane IS NOT NULL GROUP BY lane')
      .all()
      .map((c) => ({ lane: c.lane as string, waiting: c.n as number }));
  }

  ready(lane: string, after: ReadyPosition | null, limit: number): TaskRow[] {
    const rows =
      after === null
        ? this.#ready.lists(lane, limit)
        : this.#readyAfter.lists(lane, after.rank, after.taskId, limit);
    return rows.map(toTask);
  }

  due(now: ServiceMs, limit: number): TaskRow[] {
    return this.#due.lists(now, limit).map(toTask);
  }

  nextDue(): ServiceMs | null {
    return (this.#nextDue.get()?.due_at ?? null) as ServiceMs | null;
  }

  wallDue(now: WallMs, limit: number): TaskRow[] {
    return this.#wallDue.lists(now, limit).map(toTask);
  }

  nextWallDue(): WallMs | null {
    return (this.#nextWallDue.get()?.due_at ?? null) as WallMs | null;
  }

  /**
   * A run, each state but success, a DAG, a queue and an agent have an index, tried in this order: a run has few
   * tasks, and what did not succeed is little. Only a filter by success alone, or by several where one is common and
   * another rare, walks from the newest task down until `limit` rows are found.
   */
  list(filter: TaskFilter, before: TaskId | null, limit: number): TaskRow[] {
    const states = filter.states === undefined ? null : [...new Set(filter.states)];
    if (states === null || states.includes('success') || filter.run !== undefined)
      return this.#listOf(filter, states, before, limit);
    return states
      .flatMap((state) => this.#listOf(filter, [state], before, limit))
      .sort((a, b) => (a.taskId < b.taskId ? 1 : -1))
      .slice(0, limit);
  }

  #listOf(
    filter: TaskFilter,
    states: readonly TaskState[] | null,
    before: TaskId | null,
    limit: number,
  ): TaskRow[] {
    const terms: string[] = [];
    const params: string[] = [];
    const where = (term: string, ...values: readonly string[]) => {
      terms.push(term);
      params.push(...values);
    };
    // A plus sign keeps SQLite from using that term's index. Terms that compare with a constant only tell it that a
    // partial index holds every row asked for.
    const byRun = filter.run !== undefined;
    const only = !byRun && states?.length === 1 ? states[0] : undefined;
    const byState = only !== undefined && only !== 'success';
    const byDag = !byRun && !byState && filter.dagId !== undefined;
    const plus = byRun || byState || byDag ? '+' : '';
    if (filter.run !== undefined) where('run = ?', filter.run);
    if (byState) where(INDEXED[only]);
    if (states !== null && only !== 'queued') {
      where(`${byState ? '' : '+'}state IN (${states.map(() => '?').join(', ')})`, ...states);
    }
    if (filter.dagId !== undefined) where(`${byDag ? '' : '+'}dag_id = ?`, filter.dagId);
    if (filter.agentId !== undefined) {
      where(`${plus}agent_id = ? AND agent_id <> ''`, filter.agentId);
    }
    if (filter.queue !== undefined) where(`${plus}queue = ?`, filter.queue);
    if (before !== null) where('task_id < ?', before);
    const filtered = terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`;
    const sql = `SELECT ${TASK_WITHOUT_RESULT} FROM tasks ${filtered} ORDER BY task_id DESC LIMIT ?`;
    return this.#driver
      .statement(sql)
      .lists(...params, limit)
      .map(toTask);
  }

  /**
   * What keeps a task from being taken is looked up for each: the instances of what runs now are few beside all that has
   * ended, and a mark in their index would have to be written again for all of them when their run ends.
   */
  finished(
    after: FinishedPosition | null,
    limit: number,
    { runs = 'ended', until = null }: FinishedFilter,
  ): FinishedTask[] {
    const to = until === null ? '' : 'AND finished_at <= ?';
    const kept = runs === 'any' ? '' : `AND NOT EXISTS (${ACTIVE_RUN_OF_TASK})`;
    const from = after === null ? '' : 'AND (finished_at, task_id) > (?, ?)';
    const rows = this.#driver
      .statement(
        `SELECT ${TASK_WITHOUT_RESULT}, finished_at FROM tasks INDEXED BY tasks_finished
          WHERE finished_at IS NOT NULL AND is_open IS NULL ${kept} ${from} ${to} ORDER BY finished_at, task_id LIMIT ?`,
      )
      .lists(
        ...(after === null ? [] : [after.finishedAt, after.taskId]),
        ...(until === null ? [] : [until]),
        limit,
      );
    return rows.map((c) => ({ row: toTask(c), finishedAt: c.at(-1) as ServiceMs }));
  }

  /** Counts what has not succeeded in indexes, all rows in the smallest index there is, and takes the rest for successes. */
  count(): Partial<Record<TaskState, number>> {
    const counted: Partial<Record<TaskState, number>> = {};
    const all = this.#driver.statement('SELECT count(*) AS n FROM tasks').get();
    let success = all?.n as number;
    const groups = this.#driver
      .statement(
        `SELECT state, count(*) AS n FROM tasks WHERE ${OF_FEW} GROUP BY state
          UNION ALL SELECT 'queued', count(*) FROM tasks WHERE ${INDEXED.queued}
          UNION ALL SELECT 'running', count(*) FROM tasks WHERE ${INDEXED.running} AND state = 'running'`,
      )
      .all();
    for (const group of groups) {
      const n = group.n as number;
      if (n > 0) counted[group.state as TaskState] = n;
      success -= n;
    }
    if (success > 0) counted.success = success;
    return counted;
  }
}

/** Names as one parameter, each once. */
const listOf = (names: readonly string[]): string => JSON.stringify([...new Set(names)]);

const toAgent = (c: Columns): AgentRow =>
  decodeAgent(c.agent_id as string, c.version as number, c.data as string);

const toSession = (c: Columns): SessionRow => decodeSession(c.version as number, c.data as string);
