import type { RunKey, RunRow } from '../core/dag/rows.js';
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

/** What a watcher of a run is told. */
export interface RunTold {
  run(row: RunRow): void;
  instance(row: TaskRow): void;
}

/** Who wants to hear of which runs and their instances. */
export class RunWatchers {
  readonly #watchers = new Map<RunKey, Set<RunTold>>();

  /** Tells each later row of the run and of its instances, until the returned function is called. */
  watch(run: RunKey, told: RunTold): () => void {
    const peers = this.#watchers.get(run) ?? new Set();
    peers.add(told);
    this.#watchers.set(run, peers);
    return () => {
      peers.delete(told);
      if (peers.size === 0) this.#watchers.delete(run);
    };
  }

  instancesChanged(tasks: ReadonlyMap<TaskId, TaskRow>): void {
    if (this.#watchers.size === 0) return;
    for (const task of tasks.values()) {
      if (task.instance === null) continue;
      for (const told of this.#watchers.get(task.instance.run) ?? []) told.instance(task);
    }
  }

  runsChanged(runs: ReadonlyMap<RunKey, RunRow>): void {
    if (this.#watchers.size === 0) return;
    for (const [run, row] of runs) for (const told of this.#watchers.get(run) ?? []) told.run(row);
  }
}
