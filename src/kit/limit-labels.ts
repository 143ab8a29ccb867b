/**
 * Labels that an agent gives itself for the limits of tasks that it enforces, and that tasks with such limits require:
 * whoever cannot enforce a limit is not offered the task.
 */
export const LIMIT_LABELS = { memory: 'holdfast.memory-limit', cpu: 'holdfast.cpu-limit' } as const;
/** The value of those labels. */
export const ENFORCED = 'enforced';

/** What the agent of a command with these limits must be able to enforce. */
export function limitLabelsOf(limits: {
  readonly memoryLimitBytes: number | null;
  readonly cpuLimitMillis: number | null;
}): Record<string, string> {
  return {
    ...(limits.memoryLimitBytes === null ? {} : { [LIMIT_LABELS.memory]: ENFORCED }),
    ...(limits.cpuLimitMillis === null ? {} : { [LIMIT_LABELS.cpu]: ENFORCED }),
  };
}
