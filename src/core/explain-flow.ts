import type { Finding } from './explain.js';
import type { TaskRow } from './rows.js';
import type { State } from './state.js';

/** What the limits of flow are judged on. */
interface Case {
  readonly state: State;
  readonly task: TaskRow;
  /** Waits for an agent now. */
  readonly waits: boolean;
}

/** Whether as many tasks of its concurrency key run or are offered as may. */
function isKeyFull({ state, task, waits }: Case): boolean {
  const { concurrencyKey: key, concurrencyLimit } = task;
  return waits && key !== '' && !state.claimed.keys.allows(key, concurrencyLimit);
}

function isQueueFull({ state, task, waits }: Case): boolean {
  return waits && !state.hasQueueRoom(task.queue);
}

/** Whether a limit keeps the task waiting, whatever agents there are. */
export function isHeldBack(c: Case): boolean {
  return isKeyFull(c) || isQueueFull(c);
}

/** Findings about limits that people have set; told before those about busy agents. */
export const FLOW_FINDINGS: readonly {
  readonly name: string;
  readonly when: (c: Case) => boolean;
  readonly then: (c: Case) => Omit<Finding, 'code'>;
}[] = [
  {
    name: 'concurrency_key_full',
    when: isKeyFull,
    then: ({ state, task }) => ({
      message: `${state.claimed.keys.count(task.concurrencyKey)} tasks of concurrency key ${task.concurrencyKey} run or are offered; lost ones count until they are released`,
      try: 'wait for one of them to end',
    }),
  },
  {
    name: 'queue_full',
    when: isQueueFull,
    then: ({ state, task }) => ({
      message: `${state.claimed.queues.count(task.queue)} tasks of queue ${task.queue} run or are offered, and its limit is ${state.queues.get(task.queue)?.limit}`,
      try: `wait, or raise the limit: holdfast queue limit ${task.queue} N`,
    }),
  },
];
