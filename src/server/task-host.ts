import { runKeyOf } from '../core/dag/rows.js';
import type { TaskRow } from '../core/rows.js';
import type { Engine } from '../engine/engine.js';
import { formatDuration } from '../kit/duration.js';
import { NAME_PATTERN, type TaskId } from '../kit/ids.js';
import type { Log } from '../kit/log.js';
import type { Store, TaskFilter } from '../store/store.js';
import type { Task } from '../wire/gen/holdfast/v1/task_service.js';
import { Fault } from './fault.js';
import type { TaskLogs } from './logs.js';
import type { ProgressBoard } from './progress.js';
import { taskOf } from './views.js';
import type { Watchers } from './watchers.js';

/** What the service for tasks needs of its coordinator. */
export interface TaskServiceHost {
  readonly engine: Engine;
  readonly store: Store;
  readonly logs: TaskLogs;
  readonly progress: ProgressBoard;
  readonly watchers: Watchers;
  readonly log: Log;
  readonly newTaskId: () => TaskId;
  after(ms: number, task: () => void): { cancel(): void };
}

/** A task as it is now. Throws Fault TASK_NOT_FOUND. */
export async function readTask(
  host: Pick<TaskServiceHost, 'store' | 'engine'>,
  taskId: TaskId,
): Promise<TaskRow> {
  const [row] = await host.store.readTasks([taskId]);
  if (row !== undefined) return row;
  throw noTask(host, taskId);
}

/** One task with its spec and history, as it is now. Throws Fault TASK_NOT_FOUND. */
export async function shown(
  host: Pick<TaskServiceHost, 'engine' | 'store' | 'progress'>,
  taskId: TaskId,
  history: boolean,
): Promise<Task> {
  const row = await readTask(host, taskId);
  const [spec] = await host.store.readSpecs([taskId]);
  const rows = history ? await host.store.readHistory(taskId) : [];
  const progress = host.progress.of(row);
  return taskOf(row, host.engine.serviceNow, { spec, history: rows, result: true, progress });
}

/** A task that is not there; its id alone does not tell whether it ever was. */
export function noTask({ engine }: Pick<TaskServiceHost, 'engine'>, taskId: TaskId): Fault {
  const { ageMs, count } = engine.context().policy.retention;
  return new Fault(
    'TASK_NOT_FOUND',
    `no task ${taskId}`,
    'it was never submitted here, or retention has removed it: ' +
      `finished tasks are kept for ${formatDuration(ageMs)}, the newest ${count} of them`,
    'use `task list` to see the tasks',
  );
}

/** A task id of a request. Throws Fault INVALID_REQUEST when it cannot be one. */
export function idOf(taskId: string): TaskId {
  if (NAME_PATTERN.test(taskId)) return taskId as TaskId;
  const what = `${JSON.stringify(taskId.slice(0, 140))} is not a task id`;
  throw new Fault('INVALID_REQUEST', what, 'ids are 1 to 128 letters and digits', 'copy it from `task list`');
}

/** Of a DAG's runs, or of one of them. */
export function instancesOf({
  dagId,
  runId,
}: {
  readonly dagId: string;
  readonly runId: string;
}): Pick<TaskFilter, 'dagId' | 'run'> {
  if (runId === '') return dagId === '' ? {} : { dagId };
  if (dagId !== '') return { run: runKeyOf(dagId, runId) };
  const because = 'run ids are unique within their DAG only';
  throw new Fault('INVALID_REQUEST', 'run_id without dag_id', because, 'name the DAG too');
}
