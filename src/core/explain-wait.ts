import { didYouMean } from '../kit/suggest.js';
import { TRIGGER_KINDS } from '../kit/trigger-kinds.js';
import type { TriggerRow } from './dag/rows.js';
import { CORE_KINDS } from './dag/trigger-book.js';
import type { Finding } from './explain.js';
import type { TaskRow } from './rows.js';
import type { State } from './state.js';

interface Case {
  readonly state: State;
  readonly task: TaskRow;
}

/** Findings about what waits for time, or for an event. */
export const WAIT_FINDINGS: readonly {
  readonly name: string;
  readonly when: (c: Case) => boolean;
  readonly then: (c: Case) => Omit<Finding, 'code'>;
}[] = [
  {
    name: 'deferred',
    when: ({ task }) => task.state === 'deferred',
    then: ({ state, task }) => deferred(state, triggerOf(state, task)),
  },
  {
    name: 'backoff',
    // The end of a deferral stands there too, and is told as what comes next.
    when: ({ task }) => task.notBefore !== null && task.state !== 'deferred',
    then: ({ task }) => ({
      message:
        task.state === 'up_for_retry'
          ? `waits before its next try (retry ${task.retriesUsed} of ${task.retries})`
          : `its permit was never started ${task.neverStarted} times in a row; waits before it is offered again`,
      try: '',
    }),
  },
];

function triggerOf({ dags }: State, { taskId }: TaskRow): TriggerRow | undefined {
  return dags.triggers.get(dags.triggers.ofTask(taskId) ?? '');
}

function deferred(state: State, trigger: TriggerRow | undefined): Omit<Finding, 'code'> {
  if (trigger === undefined) return { message: 'waits for an event', try: '' };
  const { triggerId, kind, epoch, agentId } = trigger;
  if (CORE_KINDS.has(kind)) {
    return {
      message: `waits for an event of kind ${kind}, trigger ${triggerId}`,
      try: `fire it by hand: holdfast trigger fire ${triggerId}`,
    };
  }
  if (state.triggerers.has(epoch))
    return { message: `waits for trigger ${triggerId} (${kind}), which triggerer ${agentId} has`, try: '' };
  const why = 'none that is healthy names this kind and has room';
  const message = `waits for trigger ${triggerId} (${kind}), which no triggerer has: ${why}`;
  if (isKnown(state, kind)) return { message, try: 'holdfast agent start --kind triggerer' };
  return {
    message: `${message}${didYouMean(kind, Object.keys(TRIGGER_KINDS))}`,
    try: 'correct the kind, or start a triggerer that has it: holdfast agent start --kind triggerer --triggers FILE',
  };
}

/** Whether a kind is built in, or one of a triggerer that is connected. */
function isKnown({ triggerers, sessions }: State, kind: string): boolean {
  if (Object.hasOwn(TRIGGER_KINDS, kind)) return true;
  return [...triggerers].some((epoch) => sessions.get(epoch)?.triggerKinds.includes(kind));
}

/** What the end of a wait brings: its code and words. */
export function endOfWait({ state }: TaskRow): readonly [code: string, message: string] {
  if (state === 'deferred') return ['deferral_timeout', 'its try fails unless its event has come'];
  return state === 'up_for_retry' ? ['retry', 'queued for its next try'] : ['ready_again', 'offered again'];
}
