import { isFinal, type TaskRow } from '../../core/rows.js';
import type { TaskId } from '../../kit/ids.js';
import type { Puts } from '../../store/store.js';

interface Fault {
  readonly taskId: TaskId;
  readonly what: string;
}

/** Retention takes only what has ended, each task once, and nobody writes to a task afterwards. */
export class RemovalAudit {
  readonly removed = new Set<TaskId>();

  /** What is wrong with a commit; `tasks` are the rows before it. */
  faultsOf({ removals, tasks }: Puts, before: ReadonlyMap<TaskId, TaskRow>): Fault[] {
    const faults: Fault[] = [];
    const fault = (taskId: TaskId, how: string) => faults.push({ taskId, what: `${taskId} was ${how}` });
    for (const { taskId } of removals) {
      const task = before.get(taskId);
      if (this.removed.has(taskId)) fault(taskId, 'removed twice');
      if (task === undefined || !isFinal(task.state) || task.open !== null)
        fault(taskId, `removed while ${task?.state ?? 'unknown'}`);
      this.removed.add(taskId);
    }
    for (const { row } of tasks)
      if (this.removed.has(row.taskId)) fault(row.taskId, 'written after its removal');
    return faults;
  }
}
