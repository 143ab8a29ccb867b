import type { RunKey } from '../../core/dag/rows.js';
import { isFinal, type TaskRow } from '../../core/rows.js';
import type { TaskId } from '../../kit/ids.js';
import type { DagPuts } from '../../store/dags.js';
import type { Puts } from '../../store/store.js';

interface Fault {
  readonly taskId: TaskId;
  readonly what: string;
}

/** Retention takes only what has ended, no instance from a run that goes on, each task once; nobody writes to it afterwards. */
export class RemovalAudit {
  readonly removed = new Set<TaskId>();
  /** Runs that are queued or running. */
  readonly #active = new Set<RunKey>();

  /** What is wrong with a commit; `tasks` are the rows before it. */
  faultsOf({ removals, tasks, dags }: Puts, before: ReadonlyMap<TaskId, TaskRow>): Fault[] {
    const faults: Fault[] = [];
    const fault = (taskId: TaskId, how: string) => faults.push({ taskId, what: `${taskId} was ${how}` });
    for (const { taskId } of removals) {
      const task = before.get(taskId);
      if (this.removed.has(taskId)) fault(taskId, 'removed twice');
      if (task === undefined || !isFinal(task.state) || task.open !== null)
        fault(taskId, `removed while ${task?.state ?? 'unknown'}`);
      if (task?.instance != null && this.#active.has(task.instance.run))
        fault(taskId, `removed while run ${task.instance.run} goes on`);
      this.removed.add(taskId);
    }
    if (dags !== null) this.#runs(dags);
    for (const { row } of tasks)
      if (this.removed.has(row.taskId)) fault(row.taskId, 'written after its removal');
    return faults;
  }

  #runs({ runs, runRemovals }: DagPuts): void {
    for (const { run } of runRemovals) this.#active.delete(run);
    for (const { run, state } of runs) {
      if (state === 'queued' || state === 'running') this.#active.add(run);
      else this.#active.delete(run);
    }
  }
}
