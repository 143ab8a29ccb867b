import { dagIdOf } from '../../core/dag/rows.js';
import type {
  AgentRow,
  Counters,
  HistoryRow,
  NotificationRow,
  QueueRow,
  RecoveryStep,
  SessionRow,
  TaskSpecRow,
} from '../../core/rows.js';
import {
  encodeAgent,
  encodeHistory,
  encodeProgress,
  encodeSession,
  encodeSpec,
  encodeSubmitted,
} from '../codec.js';
import { encodeDelivery, encodeNotification } from '../notification-codec.js';
import {
  type AgentRemoval,
  type DeliveryRow,
  type Puts,
  type Removal,
  StoreError,
  type TaskPut,
} from '../store.js';
import { DagWriter } from './dag-write.js';
import type { Driver, Statement } from './driver.js';
import { conflict } from './errors.js';

/** Writes puts; the caller holds the transaction. Throws StoreError, `conflict` for a row of another version. */
export class Writer {
  readonly #insertTask: Statement;
  readonly #updateTask: Statement;
  readonly #moveTask: Statement;
  readonly #updateTaskOfAgent: Statement;
  readonly #insertSpec: Statement;
  readonly #insertHistory: Statement;
  readonly #insertAgent: Statement;
  readonly #updateAgent: Statement;
  readonly #insertSession: Statement;
  readonly #updateSession: Statement;
  readonly #insertQueue: Statement;
  readonly #updateQueue: Statement;
  readonly #forgetSessions: Statement;
  readonly #deleteAgent: Statement;
  readonly #deleteSessions: Statement;
  readonly #insertNotification: Statement;
  readonly #updateCounters: Statement;
  readonly #deleteSteps: Statement;
  readonly #insertStep: Statement;
  /** What a file has from before is written over once. */
  #wroteNoSteps = false;
  readonly #deleteTask: Statement;
  readonly #deleteSpec: Statement;
  readonly #deleteHistory: Statement;
  readonly #dags: DagWriter;

  constructor(driver: Driver) {
    this.#insertTask =
      driver.statement(`INSERT INTO tasks (version, state, lane, due_at, is_open, progress, result,
      rank, wall_due_at, agent_id, finished_at, task_id, queue, priority, idempotency_key, submitted, run, dag_id)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    // A task that goes on from one final state to another has ended when it did first.
    const set = `version = ?, state = ?, lane = ?, due_at = ?, is_open = ?, progress = ?, result = ?,
      rank = ?, wall_due_at = ?,
      finished_at = CASE WHEN ? IS NULL THEN NULL ELSE coalesce(finished_at, ?) END`;
    this.#updateTask = driver.statement(
      `UPDATE tasks SET ${set}, agent_id = ? WHERE task_id = ? AND version = ? AND queue = ?`,
    );
    this.#moveTask = driver.statement(
      `UPDATE tasks SET ${set}, agent_id = ?, queue = ? WHERE task_id = ? AND version = ?`,
    );
    this.#updateTaskOfAgent = driver.statement(
      `UPDATE tasks SET ${set} WHERE task_id = ? AND version = ? AND agent_id = ? AND queue = ?`,
    );
    this.#insertSpec = driver.statement('INSERT INTO task_specs (task_id, data) VALUES (?, ?)');
    this.#insertHistory = driver.statement('INSERT INTO history (task_id, n, data) VALUES (?, ?, ?)');
    this.#insertAgent = driver.statement('INSERT INTO agents (version, data, agent_id) VALUES (?, ?, ?)');
    this.#updateAgent = driver.statement(
      'UPDATE agents SET version = ?, data = ? WHERE agent_id = ? AND version = ?',
    );
    this.#insertSession = driver.statement(
      'INSERT INTO sessions (version, agent_id, is_live, data, epoch) VALUES (?, ?, ?, ?, ?)',
    );
    this.#updateSession = driver.statement(
      'UPDATE sessions SET version = ?, agent_id = ?, is_live = ?, data = ? WHERE epoch = ? AND version = ?',
    );
    this.#insertQueue = driver.statement('INSERT INTO queues (version, run_limit, queue) VALUES (?, ?, ?)');
    this.#updateQueue = driver.statement(
      'UPDATE queues SET version = ?, run_limit = ? WHERE queue = ? AND version = ?',
    );
    this.#forgetSessions = driver.statement(
      'DELETE FROM sessions WHERE agent_id = ? AND epoch < ? AND is_live IS NULL',
    );
    this.#deleteAgent = driver.statement('DELETE FROM agents WHERE agent_id = ? AND version = ?');
    this.#deleteSessions = driver.statement('DELETE FROM sessions WHERE agent_id = ?');
    this.#insertNotification = driver.statement('INSERT INTO notifications (data) VALUES (?)');
    this.#updateCounters = driver.statement(
      'UPDATE counters SET token = ?, epoch = ?, service_ms = ? WHERE token <= ? AND epoch <= ?',
    );
    this.#deleteSteps = driver.statement('DELETE FROM recovery');
    this.#insertStep = driver.statement('INSERT INTO recovery (step) VALUES (?)');
    this.#deleteTask = driver.statement('DELETE FROM tasks WHERE task_id = ? AND version = ?');
    this.#deleteSpec = driver.statement('DELETE FROM task_specs WHERE task_id = ?');
    this.#deleteHistory = driver.statement('DELETE FROM history WHERE task_id = ?');
    this.#dags = new DagWriter(driver);
  }

  write(puts: Puts): void {
    for (const removal of puts.removals) this.#remove(removal);
    for (const put of puts.tasks) this.#task(put);
    const again = new Set(puts.tasks.filter(({ row }) => row.version > 1).map(({ row }) => row.taskId));
    for (const spec of puts.specs) this.#spec(spec, again.has(spec.taskId));
    for (const row of puts.history) this.#history(row);
    for (const row of puts.agents) this.#agent(row);
    for (const removal of puts.agentRemovals) this.#removeAgent(removal);
    for (const row of puts.sessions) this.#session(row);
    for (const row of puts.sessions) if (row.version === 1) this.#forgetSessions.run(row.agentId, row.epoch);
    for (const row of puts.queues) this.#queue(row);
    for (const row of puts.notifications) this.#notification(row);
    if (puts.counters !== null) this.#counters(puts.counters);
    if (puts.dags !== null) this.#dags.write(puts.dags);
  }

  /** The whole list of endpoints, and the end of what they are done with. */
  writeDeliveries(driver: Driver, rows: readonly DeliveryRow[], done: number): void {
    driver.exec('DELETE FROM deliveries');
    const insert = driver.statement('INSERT INTO deliveries (endpoint, data) VALUES (?, ?)');
    for (const row of rows) insert.run(row.endpoint, encodeDelivery(row));
    driver.statement('DELETE FROM notifications WHERE n <= ?').run(done);
  }

  #notification(row: NotificationRow): void {
    this.#insertNotification.run(encodeNotification(row));
  }

  #remove({ taskId, version }: Removal): void {
    if (this.#deleteTask.run(taskId, version) !== 1) throw conflict(`the removal of task ${taskId}`, version);
    this.#deleteSpec.run(taskId);
    this.#deleteHistory.run(taskId);
  }

  #task({ row, lane, dueAt, wallDueAt, finishedAt }: TaskPut): void {
    const { taskId, version } = row;
    const isOpen = row.open === null ? null : 1;
    const progress = encodeProgress(row);
    if (version === 1) {
      const run = row.instance?.run ?? null;
      this.#insertTask.run(
        ...[version, row.state, lane, dueAt, isOpen, progress, row.result, row.rank, wallDueAt],
        ...[
          row.lastAgentId,
          finishedAt,
          taskId,
          row.queue,
          row.priority,
          row.idempotencyKey,
          encodeSubmitted(row),
          run,
          run === null ? null : dagIdOf(run),
        ],
      );
      return;
    }
    const changing = [version, row.state, lane, dueAt, isOpen, progress, row.result, row.rank, wallDueAt];
    const values = [...changing, finishedAt, finishedAt];
    const before = version - 1;
    const { lastAgentId: agentId, queue } = row;
    // SQLite rewrites the index of every column it is told to set, changed or not. The agent of a task without an
    // open permit is nearly always the one it had, and its queue with any: those indexes are left alone first.
    const written =
      (isOpen === null && this.#updateTaskOfAgent.run(...values, taskId, before, agentId, queue) === 1) ||
      this.#updateTask.run(...values, agentId, taskId, before, queue) === 1 ||
      this.#moveTask.run(...values, agentId, queue, taskId, before) === 1;
    if (!written) throw conflict(`task ${taskId}`, before);
  }

  #spec(row: TaskSpecRow, again: boolean): void {
    if (again) this.#deleteSpec.run(row.taskId);
    this.#insertSpec.run(row.taskId, encodeSpec(row));
  }

  #history(row: HistoryRow): void {
    this.#insertHistory.run(row.taskId, row.n, encodeHistory(row));
  }

  #agent(row: AgentRow): void {
    const { agentId, version } = row;
    if (version === 1) {
      this.#insertAgent.run(version, encodeAgent(row), agentId);
    } else if (this.#updateAgent.run(version, encodeAgent(row), agentId, version - 1) !== 1) {
      throw conflict(`agent ${agentId}`, version - 1);
    }
  }

  #removeAgent({ agentId, version }: AgentRemoval): void {
    if (this.#deleteAgent.run(agentId, version) !== 1)
      throw conflict(`the removal of agent ${agentId}`, version);
    this.#deleteSessions.run(agentId);
  }

  #session(row: SessionRow): void {
    const { epoch, version } = row;
    const values = [version, row.agentId, row.state === 'live' ? 1 : null, encodeSession(row), epoch];
    if (version === 1) {
      this.#insertSession.run(...values);
    } else if (this.#updateSession.run(...values, version - 1) !== 1) {
      throw conflict(`session ${epoch}`, version - 1);
    }
  }

  #queue({ queue, version, limit }: QueueRow): void {
    if (version === 1) {
      this.#insertQueue.run(version, limit, queue);
    } else if (this.#updateQueue.run(version, limit, queue, version - 1) !== 1) {
      throw conflict(`queue ${queue}`, version - 1);
    }
  }

  #counters({ token, epoch, serviceMs, recovery = [] }: Counters): void {
    if (this.#updateCounters.run(token, epoch, serviceMs, token, epoch) !== 1) {
      throw new StoreError(
        'conflict',
        'the counters are not written, because they would go back; read them again and decide again',
      );
    }
    this.#recovery(recovery);
  }

  /** The statements are two for each commit of counters only while there is something to recover from. */
  #recovery(steps: readonly RecoveryStep[]): void {
    if (steps.length === 0 && this.#wroteNoSteps) return;
    this.#deleteSteps.run();
    for (const step of steps) this.#insertStep.run(step);
    this.#wroteNoSteps = steps.length === 0;
  }
}
