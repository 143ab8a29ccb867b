import type { LogPolicy } from '../core/policy.js';
import type { FinishedTask } from '../core/retention.js';
import type { TaskId } from '../kit/ids.js';
import { between, type ServiceMs } from '../kit/time.js';
import type { FinishedPosition, Store } from '../store/store.js';
import type { TaskLogs } from './logs.js';

export interface LogUpkeepOptions {
  readonly logs: Pick<TaskLogs, 'bytes' | 'full' | 'folders' | 'tasksIn' | 'countTask' | 'remove'>;
  readonly store: Pick<Store, 'readTasks' | 'readFinished'>;
  readonly policy: LogPolicy;
  serviceNow(): ServiceMs;
  after(ms: number, task: () => void): { cancel(): void };
  /** Hears of what failed; it is tried again. */
  complain(error: unknown): void;
}

/** Between two looks at the limits. */
const LOOK_MS = 2_000;
/** Tasks of one step, and the pause after it: upkeep of any length holds nothing up. */
const STEP = 50;
const PAUSE_MS = 20;

/**
 * Keeps all output together within its limits. At a start it goes once through the folders, counts, and removes what
 * belongs to no task: a coordinator that was killed between the commit that removed a task and the removal of its files
 * has left them. After that the finished tasks lose their output in the order in which they ended.
 */
export class LogUpkeep {
  readonly #options: LogUpkeepOptions;
  #after: FinishedPosition | null = null;
  #stopped = false;
  #wake: () => void = () => {};
  #running: Promise<void> = Promise.resolve();

  constructor(options: LogUpkeepOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    await this.#attempt(() => this.#takeStock());
    while (!this.#stopped) {
      await this.#attempt(() => this.#trim());
      await this.#pause(LOOK_MS);
    }
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      // A store that is being closed refuses everything: then nobody needs to hear of it.
      if (!this.#stopped) this.#options.complain(error);
    }
  }

  async #takeStock(): Promise<void> {
    const { logs } = this.#options;
    for (const folder of await logs.folders()) {
      const taskIds = await logs.tasksIn(folder);
      for (let at = 0; at < taskIds.length; at += STEP) {
        if (this.#stopped) return;
        await this.#sort(taskIds.slice(at, at + STEP));
        await this.#pause(PAUSE_MS);
      }
    }
  }

  /** What has a directory was committed before it got one: a task that is not there now has been removed. */
  async #sort(taskIds: readonly TaskId[]): Promise<void> {
    const { logs, store } = this.#options;
    for (const taskId of taskIds) await logs.countTask(taskId);
    const there = new Set((await store.readTasks(taskIds)).map((row) => row.taskId));
    await logs.remove(taskIds.filter((taskId) => !there.has(taskId)));
  }

  /** Goes on where it was: what ended before that has no output any more. */
  async #trim(): Promise<void> {
    const { logs, store } = this.#options;
    while (!this.#stopped) {
      const tasks = await store.readFinished(this.#after, STEP, { runs: 'any' });
      for (const [i, task] of tasks.entries()) {
        if (!this.#mayGo(task)) {
          logs.full = false;
          return;
        }
        await logs.remove([task.row.taskId]);
        this.#after = { finishedAt: task.finishedAt, taskId: task.row.taskId };
        if (i === tasks.length - 1) await this.#pause(PAUSE_MS);
      }
      if (tasks.length < STEP) {
        logs.full = this.#excess;
        return;
      }
    }
  }

  get #excess(): boolean {
    return this.#options.logs.bytes > this.#options.policy.totalBytes;
  }

  #mayGo({ finishedAt }: FinishedTask): boolean {
    return this.#excess || between(finishedAt, this.#options.serviceNow()) > this.#options.policy.ageMs;
  }

  #pause(ms: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#options.after(ms, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}
