/** When things are done later: real timers here, the simulator's queue there. */
export interface Timers {
  /** Runs `task` after what has arrived meanwhile was taken in. */
  soon(task: () => void): void;
  /** Runs `task` every `ms`, until cancelled. */
  every(ms: number, task: () => void): { cancel(): void };
  /** Runs `task` once after `ms`, unless cancelled. */
  after(ms: number, task: () => void): { cancel(): void };
}

export const REAL_TIMERS: Timers = {
  soon: (task) => void setImmediate(task),
  every: (ms, task) => {
    const timer = setInterval(task, ms);
    return { cancel: () => clearInterval(timer) };
  },
  after: (ms, task) => {
    const timer = setTimeout(task, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};
