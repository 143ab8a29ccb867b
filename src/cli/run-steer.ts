import { type Command, InvalidArgumentError } from 'commander';
import type { InstanceChoice } from '../client/index.js';
import { usage } from './failure.js';
import { type FlagParser, flag, listFlag } from './flags.js';
import { viewOf } from './listing.js';
import { runOf } from './run-ref.js';
import { chosenView, runView } from './run-views.js';
import { clientAction, verb } from './session.js';
import type { CliContext } from './terminal.js';

const RUN = 'the run, as `run list` shows it';

/** `run cancel`, `run clear` and `run mark`. */
export function addRunSteering(noun: Command, context: CliContext): void {
  const cancel = verb(
    noun,
    'cancel',
    'end a run: what of it has not ended is cancelled, and then the run is',
  );
  cancel.argument('<DAG/RUN>', RUN, runOf);
  flag(cancel, '--reason <TEXT>', 'kept in the history of its tasks');
  clientAction<{ reason?: string }>(context, cancel, async (session, [name = ''], { reason }) => {
    const { dagId, runId } = runOf(name);
    const run = await session.client.runs.cancel(dagId, runId, reason, session.call);
    await session.show(runView(run, viewOf(session)));
  });
  addClear(noun, context);
  addMark(noun, context);
}

/** `task`, or `task[3]`. */
const choices: FlagParser = (text, before) => {
  const [, task, index] = /^([^[\]]+)(?:\[(\d{1,9})\])?$/.exec(text.trim()) ?? [];
  if (task === undefined)
    throw new InvalidArgumentError('It must be TASK, or TASK[INDEX] for one of a mapped task.');
  const choice: InstanceChoice = { task, mapIndex: index === undefined ? undefined : Number(index) };
  return [...((before as InstanceChoice[] | undefined) ?? []), choice];
};

function addClear(noun: Command, context: CliContext): void {
  const command = verb(
    noun,
    'clear',
    'have task instances of a run done again, all of them or those of --task',
  );
  command.argument('<DAG/RUN>', RUN, runOf);
  listFlag(command, '--task <TASK>', 'this task, or TASK[INDEX] for one instance; repeatable', {
    parse: choices,
    variable: 'HOLDFAST_CLEAR_TASK',
  });
  flag(command, '--upstream', 'also everything that comes before', { variable: 'HOLDFAST_CLEAR_UPSTREAM' });
  flag(command, '--downstream', 'also everything that comes after', {
    variable: 'HOLDFAST_CLEAR_DOWNSTREAM',
  });
  flag(
    command,
    '--failed',
    'of all these only what failed, was cancelled, or could not run because of that',
    {
      variable: 'HOLDFAST_CLEAR_FAILED',
    },
  );
  flag(command, '--dry-run', 'do nothing; say what would be cleared');
  flag(command, '--reason <TEXT>', 'kept in the history of the tasks');
  type Flags = {
    task?: InstanceChoice[];
    upstream?: boolean;
    downstream?: boolean;
    failed?: boolean;
    dryRun?: boolean;
    reason?: string;
  };
  clientAction<Flags>(context, command, async (session, [name = ''], flags) => {
    const { dagId, runId } = runOf(name);
    const { task: tasks, upstream, downstream, failed: onlyFailed, dryRun, reason } = flags;
    const what = { tasks, upstream, downstream, onlyFailed, dryRun, reason };
    const cleared = await session.client.runs.clear(dagId, runId, what, session.call);
    await session.show(chosenView(cleared, dryRun ? 'would be cleared' : 'cleared', viewOf(session)));
  });
}

function addMark(noun: Command, context: CliContext): void {
  const command = verb(
    noun,
    'mark',
    'have a run, or the task instances of --task, count as a success or a failure',
  );
  command.argument('<DAG/RUN>', RUN, runOf);
  listFlag(command, '--task <TASK>', 'this task, or TASK[INDEX] for one instance; repeatable', {
    parse: choices,
    variable: 'HOLDFAST_MARK_TASK',
  });
  flag(command, '--success', 'as a success', { variable: 'HOLDFAST_MARK_SUCCESS' });
  flag(command, '--failed', 'as a failure', { variable: 'HOLDFAST_MARK_FAILED' });
  flag(command, '--reason <TEXT>', 'kept in the history of the tasks');
  type Flags = { task?: InstanceChoice[]; success?: boolean; failed?: boolean; reason?: string };
  clientAction<Flags>(context, command, async (session, [name = ''], { task, success, failed, reason }) => {
    if ((success ?? false) === (failed ?? false)) {
      const because = success ? 'both were given' : 'neither was given';
      throw usage('a mark is one of --success and --failed', because, `holdfast run mark ${name} --success`);
    }
    const { dagId, runId } = runOf(name);
    const as = success ? 'success' : 'failed';
    const { runs } = session.client;
    if (task === undefined) {
      const run = await runs.mark(dagId, runId, as, reason, session.call);
      return session.show(runView(run, viewOf(session)));
    }
    const marked = await runs.markTasks(dagId, runId, task, as, reason, session.call);
    await session.show(chosenView(marked, as, viewOf(session)));
  });
}
