/** Limits of DAG runs, and what happens at them: the task instance fails and says so. */
export const DAG_LIMITS = {
  /** Instances of one mapped task. */
  mappedInstances: 10_000,
  /** Bytes of a handler's input, or of a command's arguments and environment together, once filled in. */
  workBytes: 256 * 1024,
} as const;
