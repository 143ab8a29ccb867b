import type { TaskState } from './types.js';

/** What an operator does to many tasks. */
export type Steering =
  | { readonly action: 'cancel' | 'retry' }
  /** Only tasks that wait are moved. */
  | { readonly action: 'move'; readonly queue: string };

/** Which tasks are meant: those that fit every field that is there. One must be. */
export interface TaskSelection {
  /** In one of these states; left out means any. */
  readonly states?: readonly TaskState[] | undefined;
  /** Of this queue. */
  readonly queue?: string | undefined;
  /** That require these labels. */
  readonly requiredLabels?: Readonly<Record<string, string>> | undefined;
  /** With this concurrency key. */
  readonly concurrencyKey?: string | undefined;
  /** Submitted at or after this instant of the coordinator's wall clock. */
  readonly submittedAfter?: Date | undefined;
  /** Submitted before this instant. */
  readonly submittedBefore?: Date | undefined;
  /** Instances of this DAG's runs. */
  readonly dagId?: string | undefined;
  /** Instances of this run of `dagId`. */
  readonly runId?: string | undefined;
  /** At most 10,000. */
  readonly taskIds?: readonly string[] | undefined;
}

/** What one step over many tasks did. */
export interface SteerStep {
  /** On which tasks it acted, or would have in a dry run. */
  readonly taskIds: readonly string[];
  /** How many selected tasks were left as they are, by why. */
  readonly skipped: Readonly<Record<string, number>>;
}
