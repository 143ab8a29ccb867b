import { dagIdOf } from '../../core/dag/rows.js';
import type { HistoryRow, TaskRow, TaskSpecRow } from '../../core/rows.js';
import type { TaskId } from '../../kit/ids.js';
import { encodeHistory, encodeProgress, encodeSpec, encodeSubmitted } from '../codec.js';
import { decodeEvents, eventsOf } from '../history-codec.js';
import type { Puts, Removal, TaskPut } from '../store.js';
import type { Driver, Statement } from './driver.js';
import { conflict } from './errors.js';

/**
 * Writes tasks with their specifications and histories, most of them in three statements and one for a specification in
 * their whole life. SQLite rewrites the index of every column that it is told to set, changed or not, so what most tasks
 * go through has a statement of its own that sets only what changes then and asks whether the rest is as the row says; a
 * row that it does not fit is left to a wider one.
 */
export class TaskWriter {
  readonly #insert: Statement;
  readonly #begin: Statement;
  readonly #end: Statement;
  readonly #change: Statement;
  readonly #move: Statement;
  readonly #insertSpec: Statement;
  readonly #insertSpecOf: Statement;
  readonly #deleteSpec: Statement;
  readonly #events: Statement;
  readonly #forgetEvents: Statement;
  readonly #insertHistory: Statement;
  readonly #deleteHistory: Statement;
  readonly #deleteTask: Statement;

  constructor(driver: Driver) {
    this.#insert =
      driver.statement(`INSERT INTO tasks (task_id, version, state, queue, priority, rank, agent_id, lane,
      due_at, wall_due_at, is_open, finished_at, run, dag_id, idempotency_key, submitted, progress, history, result)
      VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#begin =
      driver.statement(`UPDATE tasks SET version = ?, state = ?, agent_id = ?, lane = NULL, due_at = ?, is_open = 1,
      progress = ?, history = history || ? WHERE task_id = ? AND version = ? AND queue = ? AND rank = ?
      AND wall_due_at IS NULL AND finished_at IS NULL AND result IS NULL`);
    this.#end = driver.statement(`UPDATE tasks SET version = ?, state = ?, is_open = NULL, finished_at = ?,
      progress = ?, history = history || ?, result = ? WHERE task_id = ? AND version = ? AND queue = ? AND rank = ?
      AND agent_id = ? AND lane IS NULL AND due_at IS NULL AND wall_due_at IS NULL AND finished_at IS NULL`);
    // A task that goes on from one final state to another has ended when it did first.
    const change = `version = ?, state = ?, rank = ?, lane = ?, due_at = ?, wall_due_at = ?, is_open = ?,
      progress = ?, history = history || ?, result = ?,
      finished_at = CASE WHEN ? IS NULL THEN NULL ELSE coalesce(finished_at, ?) END`;
    this.#change = driver.statement(
      `UPDATE tasks SET ${change} WHERE task_id = ? AND version = ? AND queue = ? AND agent_id = ?`,
    );
    this.#move = driver.statement(
      `UPDATE tasks SET ${change}, queue = ?, agent_id = ? WHERE task_id = ? AND version = ?`,
    );
    this.#insertSpec = driver.statement('INSERT INTO specs (id, data) VALUES (last_insert_rowid(), ?)');
    this.#insertSpecOf = driver.statement(
      'INSERT INTO specs (id, data) SELECT id, ? FROM tasks WHERE task_id = ?',
    );
    this.#deleteSpec = driver.statement(
      'DELETE FROM specs WHERE id = (SELECT id FROM tasks WHERE task_id = ?)',
    );
    this.#events = driver.statement('SELECT history FROM tasks WHERE task_id = ?');
    this.#forgetEvents = driver.statement("UPDATE tasks SET history = '' WHERE task_id = ?");
    this.#insertHistory = driver.statement('INSERT INTO history (task_id, n, data) VALUES (?, ?, ?)');
    this.#deleteHistory = driver.statement('DELETE FROM history WHERE task_id = ?');
    this.#deleteTask = driver.statement('DELETE FROM tasks WHERE task_id = ? AND version = ?');
  }

  /** Throws StoreError, `conflict` for a row of another version. */
  write({ removals, tasks, specs, history }: Puts): void {
    for (const removal of removals) this.#remove(removal);
    const specOf = new Map<TaskId, TaskSpecRow>();
    for (const spec of specs) specOf.set(spec.taskId, spec);
    const events = eventsOf(history);
    for (const put of tasks) {
      const { taskId, version } = put.row;
      const happened = events.get(taskId);
      events.delete(taskId);
      if (version === 1) {
        this.#first(put, happened?.text ?? '', specOf.get(taskId));
      } else {
        if (happened?.isLong) this.#moveEvents(taskId);
        this.#next(put, happened?.text ?? '');
        const anew = specOf.get(taskId);
        if (anew !== undefined) this.#specAnew(anew);
      }
      specOf.delete(taskId);
    }
    for (const spec of specOf.values()) this.#spec(spec);
    for (const taskId of events.keys()) this.#apart(taskId, history);
  }

  #remove({ taskId, version }: Removal): void {
    this.#deleteSpec.run(taskId);
    if (this.#deleteTask.run(taskId, version) !== 1) throw conflict(`the removal of task ${taskId}`, version);
    this.#deleteHistory.run(taskId);
  }

  #first({ row, lane, dueAt, wallDueAt, finishedAt }: TaskPut, events: string, spec?: TaskSpecRow): void {
    const run = row.instance?.run ?? null;
    this.#insert.run(
      row.taskId,
      row.state,
      row.queue,
      row.priority,
      row.rank,
      row.lastAgentId,
      lane,
      dueAt,
      wallDueAt,
      isListedOpen(row),
      finishedAt,
      run,
      run === null ? null : dagIdOf(run),
      row.idempotencyKey,
      encodeSubmitted(row),
      encodeProgress(row),
      events,
      row.result,
    );
    if (spec !== undefined) this.#insertSpec.run(encodeSpec(spec));
  }

  #next(put: TaskPut, events: string): void {
    const { row, lane, dueAt, wallDueAt, finishedAt } = put;
    const { taskId, version, state, queue, rank, lastAgentId, result } = row;
    const progress = encodeProgress(row);
    const before = version - 1;
    if (isBeginning(put)) {
      const known = [taskId, before, queue, rank];
      if (this.#begin.run(version, state, lastAgentId, dueAt, progress, events, ...known) === 1) return;
    } else if (isEnd(put)) {
      const known = [taskId, before, queue, rank, lastAgentId];
      if (this.#end.run(version, state, finishedAt, progress, events, result, ...known) === 1) return;
    }
    const isOpen = isListedOpen(row);
    const values = [version, state, rank, lane, dueAt, wallDueAt, isOpen, progress, events, result];
    values.push(finishedAt, finishedAt);
    const written =
      this.#change.run(...values, taskId, before, queue, lastAgentId) === 1 ||
      this.#move.run(...values, queue, lastAgentId, taskId, before) === 1;
    if (!written) throw conflict(`task ${taskId}`, before);
  }

  #spec(row: TaskSpecRow): void {
    if (this.#insertSpecOf.run(encodeSpec(row), row.taskId) !== 1)
      throw conflict(`the specification of task ${row.taskId}`, 1);
  }

  #specAnew(row: TaskSpecRow): void {
    this.#deleteSpec.run(row.taskId);
    this.#spec(row);
  }

  /** From the row of the task to the table of those that have many. */
  #moveEvents(taskId: TaskId): void {
    for (const row of decodeEvents(taskId, (this.#events.get(taskId)?.history ?? '') as string))
      this.#insertHistory.run(taskId, row.n, encodeHistory(row));
    this.#forgetEvents.run(taskId);
  }

  /** Events without their task's next version, which alone says that none of them is there: the table says it then. */
  #apart(taskId: TaskId, history: readonly HistoryRow[]): void {
    this.#moveEvents(taskId);
    for (const row of history)
      if (row.taskId === taskId) this.#insertHistory.run(taskId, row.n, encodeHistory(row));
  }
}

/** A permit, mostly: the task leaves its lane with an open token. */
const isBeginning = ({ row, lane, wallDueAt, finishedAt }: TaskPut): boolean =>
  row.open !== null && lane === null && wallDueAt === null && finishedAt === null && row.result === null;

/** The end of a run that nothing was due for. */
const isEnd = ({ row, lane, dueAt, wallDueAt, finishedAt }: TaskPut): boolean =>
  finishedAt !== null &&
  row.open === null &&
  row.executionTimeoutMs === null &&
  (lane ?? dueAt ?? wallDueAt) === null;

const isListedOpen = ({ open, state }: TaskRow): 1 | null =>
  open !== null || state === 'running' ? 1 : null;
