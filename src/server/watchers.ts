import type { TaskRow } from '../core/rows.js';
import type { TaskId } from '../kit/ids.js';

/** Who wants to hear of which tasks. Told after the commit, so what they see has happened. */
export class Watchers {
  readonly #watchers = new Map<TaskId, Set<(task: TaskRow) => void>>();

  /** Calls `tell` with each later row of the task, until the returned function is called. */
  watch(taskId: TaskId, tell: (task: TaskRow) => void): () => void {
    const peers = this.#watchers.get(taskId) ?? new Set();
    peers.add(tell);
    this.#watchers.set(taskId, peers);
    return () => {
      peers.delete(tell);
      if (peers.size === 0) this.#watchers.delete(taskId);
    };
  }

  changed(tasks: ReadonlyMap<TaskId, TaskRow>): void {
    if (this.#watchers.size === 0) return;
    for (const [taskId, task] of tasks) for (const tell of this.#watchers.get(taskId) ?? []) tell(task);
  }
}
