import type { Command } from 'commander';
import {
  hasEnded,
  type Steering,
  TASK_STATES,
  type Task,
  type TaskSelection,
  type TaskState,
} from '../client/index.js';
import { usage } from './failure.js';
import { flag, instantFlag, listFlag, pairs, someOf } from './flags.js';
import { type RunRef, runOf } from './run-ref.js';
import { clientAction, type Session, verb } from './session.js';
import { changeView, taskView } from './task-views.js';
import type { CliContext } from './terminal.js';

interface SteerFlags {
  readonly state?: TaskState[];
  readonly queue?: string;
  readonly requireLabel?: Record<string, string>;
  readonly concurrencyKey?: string;
  readonly submittedAfter?: Date;
  readonly submittedBefore?: Date;
  readonly dag?: string;
  readonly run?: RunRef;
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly to?: string;
}

/** `task cancel`, `task retry` and `task move`: one task by its id, or many by ids or by what they have in common. */
export function addSteering(noun: Command, context: CliContext): void {
  const cancel = verb(noun, 'cancel', 'end tasks: at once, or by asking their agents');
  addSelection(cancel);
  clientAction<SteerFlags>(context, cancel, (session, ids, flags) =>
    isOne(ids, flags)
      ? cancelOne(session, ids[0] ?? '', flags.reason)
      : steer(session, { action: 'cancel' }, ids, flags),
  );
  const retry = verb(noun, 'retry', 'try tasks again that have ended, with all of their retries');
  addSelection(retry);
  clientAction<SteerFlags>(context, retry, async (session, ids, flags) => {
    if (!isOne(ids, flags)) return steer(session, { action: 'retry' }, ids, flags);
    await showTask(session, await session.client.tasks.retry(ids[0] ?? '', flags.reason, session.call));
  });
  const move = verb(noun, 'move', 'move tasks that wait to another queue');
  addSelection(move);
  flag(move, '--to <QUEUE>', 'the queue to move them to', { variable: 'HOLDFAST_MOVE_TO' });
  clientAction<SteerFlags>(context, move, async (session, ids, flags) => {
    if (flags.to === undefined)
      throw usage('there is no queue to move to', 'tasks need one', 'name it with --to');
    await steer(session, { action: 'move', queue: flags.to }, ids, flags);
  });
}

function addSelection(command: Command): void {
  command.argument('[ID...]', 'task ids; or name what the tasks have in common');
  const own = (name: string) => ({ variable: `HOLDFAST_SELECT_${name}` });
  listFlag(command, '--state <STATE>', `those in this state: ${TASK_STATES.join(', ')}; repeatable`, {
    parse: someOf(TASK_STATES),
    ...own('STATE'),
  });
  flag(command, '--queue <QUEUE>', 'those of this queue', own('QUEUE'));
  listFlag(command, '--require-label <NAME=VALUE>', 'those that require this label; repeatable', {
    parse: pairs,
    ...own('LABEL'),
  });
  flag(command, '--concurrency-key <KEY>', 'those with this key', own('KEY'));
  flag(command, '--dag <DAG>', "instances of this DAG's runs", own('DAG'));
  flag(command, '--run <DAG/RUN>', 'instances of this run', { parse: (text) => runOf(text), ...own('RUN') });
  flag(command, '--submitted-after <INSTANT>', 'those submitted then or later', { parse: instantFlag });
  flag(command, '--submitted-before <INSTANT>', 'those submitted before then', { parse: instantFlag });
  flag(command, '--dry-run', 'do nothing; say how many tasks it would be, and some of them');
  flag(command, '--reason <TEXT>', 'kept in the history');
}

const selectionOf = (ids: readonly string[], flags: SteerFlags): TaskSelection => ({
  taskIds: ids,
  states: flags.state,
  queue: flags.queue,
  requiredLabels: flags.requireLabel,
  concurrencyKey: flags.concurrencyKey,
  submittedAfter: flags.submittedAfter,
  submittedBefore: flags.submittedBefore,
  dagId: flags.run?.dagId ?? flags.dag,
  runId: flags.run?.runId,
});

/** One task by its id alone: then what is wrong with it is told as of any single call. */
function isOne(ids: readonly string[], flags: SteerFlags): boolean {
  const { taskIds: _, ...rest } = selectionOf(ids, flags);
  return ids.length === 1 && !flags.dryRun && Object.values(rest).every((value) => value === undefined);
}

async function cancelOne(session: Session, id: string, reason: string | undefined): Promise<void> {
  const before = await session.client.tasks.get(id, session.call);
  await showTask(session, await session.client.tasks.cancel(id, reason, session.call));
  if (hasEnded(before.state)) {
    session.terminal.err.print(`nothing was done: task ${id} had already ended as ${before.state}\n`);
  }
}

/** The whole task for scripts, one line for people: they know what they have just done. */
function showTask(session: Session, task: Task): Promise<void> {
  const view = { out: session.terminal.out, colours: session.colours, now: session.terminal.now() };
  return session.show({ ...taskView(task, view), table: changeView(task, view).table });
}

/** Ids that a dry run names. */
const SAMPLE = 20;
const DONE: Readonly<Record<Steering['action'], string>> = {
  cancel: 'cancelled',
  retry: 'retried',
  move: 'moved',
};

async function steer(
  session: Session,
  steering: Steering,
  ids: readonly string[],
  flags: SteerFlags,
): Promise<void> {
  const { client, terminal, call } = session;
  const dryRun = flags.dryRun ?? false;
  const sample: string[] = [];
  const skipped: Record<string, number> = {};
  let done = 0;
  const selection = selectionOf(ids, flags);
  for await (const step of client.tasks.steer(steering, selection, {
    ...call,
    reason: flags.reason,
    dryRun,
  })) {
    done += step.taskIds.length;
    sample.push(...step.taskIds.slice(0, SAMPLE - sample.length));
    for (const [why, count] of Object.entries(step.skipped)) skipped[why] = (skipped[why] ?? 0) + count;
    if (terminal.err.isTTY) terminal.err.print(`\r${done} `);
  }
  if (terminal.err.isTTY) terminal.err.print('\r');
  const left = Object.entries(skipped).map(([why, count]) => `${count} ${why.replaceAll('_', ' ')}`);
  const words = `${done} ${done === 1 ? 'task' : 'tasks'} ${dryRun ? 'would be ' : ''}${DONE[steering.action]}`;
  await session.show({
    data: { action: steering.action, dryRun, done, skipped, sample },
    names: sample,
    table: () =>
      `${words}${left.length === 0 ? '' : `; left as they are: ${left.join(', ')}`}\n` +
      (dryRun ? sample.map((id) => `  ${id}\n`).join('') : ''),
  });
}
