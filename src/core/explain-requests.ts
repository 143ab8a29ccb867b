import type { Finding } from './explain.js';
import type { Context } from './inputs.js';
import { askedOf } from './requests.js';
import type { TaskRow } from './rows.js';

interface Case {
  readonly task: TaskRow;
}

const ASKED = {
  cancel: 'a cancel',
  clear: 'a clear',
  mark_success: 'the success that an operator has said',
  mark_failed: 'the failure that an operator has said',
} as const;

/** What was asked of a task and waits for its agent (P15). */
export const REQUEST_FINDINGS: readonly {
  readonly name: string;
  readonly when: (c: Case) => boolean;
  readonly then: (c: Case) => Omit<Finding, 'code'>;
}[] = [
  { name: 'cancel_waits', when: ({ task }) => askedOf(task)?.kind === 'cancel', then: waits },
  {
    name: 'request_waits',
    when: ({ task }) => askedOf(task) !== null && askedOf(task)?.kind !== 'cancel',
    then: waits,
  },
  {
    name: 'timeout_waits',
    when: ({ task }) => task.stopRequest?.kind === 'timeout',
    then: (c) => ({ message: `the execution timeout has passed; the stop waits ${answerOf(c)}`, try: '' }),
  },
];

function waits(c: Case): Omit<Finding, 'code'> {
  return { message: `${ASKED[askedOf(c.task)?.kind ?? 'cancel']} waits ${answerOf(c)}`, try: '' };
}

function answerOf({ task: { open } }: Case): string {
  if (open?.lost) return `until lost agent ${open.agentId} returns or its try is released`;
  return `for the answer of agent ${open?.agentId ?? ''}`;
}

/** What a release brings: the same order as releaseLostTry decides in. */
export function afterRelease(task: TaskRow, { policy }: Pick<Context, 'policy'>): string {
  if (task.stopRequest?.kind === 'cancel') return 'released: the cancel becomes final';
  if (task.stopRequest?.kind === 'clear') return 'released: the clear becomes final';
  if (askedOf(task) !== null) return 'released: ends as an operator has said';
  if (task.stopRequest?.kind === 'timeout') return 'released: the try fails by its execution timeout';
  if (task.losses.length >= policy.poisonLimit)
    return 'released: fails as poison, having taken down too many agents';
  return 'released: queued again';
}
