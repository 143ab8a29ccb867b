/** Time for readers of files: how long they may take, and when to look again. The only file of `src/dag` that has it. */
export interface DagClock {
  /** Milliseconds that only grow, for comparing. */
  monoMs(): number;
  /** Calls `fn` once, `ms` milliseconds from now. What it gives cancels that. A timer keeps no process alive. */
  setTimer(ms: number, fn: () => void): () => void;
}

export const dagClock: DagClock = {
  monoMs: () => performance.now(),
  setTimer: (ms, fn) => {
    const timer = setTimeout(fn, ms).unref();
    return () => clearTimeout(timer);
  },
};
