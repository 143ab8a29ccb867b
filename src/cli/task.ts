import type { Command } from 'commander';
import { TASK_STATES, type Task, type TaskState, type Verdict } from '../client/index.js';
import { usage } from './failure.js';
import { flag, listFlag, someOf } from './flags.js';
import { addLimit, showList, viewOf } from './listing.js';
import type { Presentation } from './present.js';
import { type RunRef, runOf } from './run-ref.js';
import { clientAction, type Session, verb } from './session.js';
import { addLogs } from './task-logs.js';
import { addTaskName, taskNamed } from './task-name.js';
import { addSteering } from './task-steer.js';
import { addSubmit } from './task-submit.js';
import { changeView, explanationView, taskListView, taskView, type View } from './task-views.js';
import { awaitTasks, requireSuccess } from './task-wait.js';
import type { CliContext } from './terminal.js';

/** `holdfast task …` */
export function addTask(program: Command, context: CliContext): void {
  const noun = program.command('task').description('submit tasks, and see and steer what becomes of them');
  addSubmit(noun, context);
  addList(noun, context);
  addDescribe(noun, context);
  addExplain(noun, context);
  addSteering(noun, context);
  addResolve(noun, context);
  addLogs(noun, context);
  addWatch(noun, context);
}

const showTask = (session: Session, task: Task): Promise<void> =>
  session.show(shortView(task, viewOf(session)));

/** The whole task for scripts, one line for people: they know what they have just done. */
function shortView(task: Task, view: View): Presentation {
  return { ...taskView(task, view), table: changeView(task, view).table };
}

function addList(noun: Command, context: CliContext): void {
  const command = verb(noun, 'list', 'tasks, newest first');
  addLimit(command);
  listFlag(command, '--state <STATE>', `only these: ${TASK_STATES.join(', ')}; repeatable`, {
    parse: someOf(TASK_STATES),
    variable: 'HOLDFAST_LIST_STATE',
  });
  flag(command, '--queue <QUEUE>', 'only of this queue', { variable: 'HOLDFAST_LIST_QUEUE' });
  flag(command, '--agent <ID>', 'only those that this agent holds or last held', {
    variable: 'HOLDFAST_LIST_AGENT',
  });
  flag(command, '--dag <DAG>', "only instances of this DAG's runs", { variable: 'HOLDFAST_LIST_DAG' });
  flag(command, '--run <DAG/RUN>', 'only instances of this run', {
    parse: (text) => runOf(text),
    variable: 'HOLDFAST_LIST_RUN',
  });
  type Flags = {
    limit?: number;
    state?: TaskState[];
    queue?: string;
    agent?: string;
    dag?: string;
    run?: RunRef;
  };
  clientAction<Flags>(context, command, async (session, _args, flags) => {
    const { output } = session.settings;
    const { state, queue, agent, dag, run } = flags;
    const filter = { states: state, queue, agentId: agent, dagId: dag, ...run };
    // For people the columns are enough; what scripts read has the result and the history, as describe has.
    const full = output !== 'table' && output !== 'name';
    await showList(
      session,
      flags.limit,
      (choices) => session.client.tasks.list(filter, { ...choices, full }),
      (tasks) => taskListView(tasks, viewOf(session)),
    );
  });
}

function addDescribe(noun: Command, context: CliContext): void {
  const command = verb(noun, 'describe', 'one task with its history and result').argument('<ID>', 'task id');
  clientAction(context, command, async (session, [id = '']) => {
    await session.show(taskView(await session.client.tasks.get(id, session.call), viewOf(session)));
  });
}

function addExplain(noun: Command, context: CliContext): void {
  const command = verb(noun, 'explain', 'what a task waits for, and what happens next');
  addTaskName(command);
  clientAction(context, command, async (session, [name = '', task]) => {
    const which = await taskNamed(session, name, task);
    await session.show(
      explanationView(await session.client.tasks.explain(which, session.call), viewOf(session)),
    );
  });
}

const VERDICTS: readonly Verdict[] = ['reassign', 'fail', 'succeed'];

function addResolve(noun: Command, context: CliContext): void {
  const command = verb(noun, 'resolve', "the operator's verdict on a task whose agent is lost");
  command.argument('<ID>', 'task id');
  flag(
    command,
    '--reassign',
    'for hold: queue it again now; for single_run: noted, it is released in its own time',
    { variable: 'HOLDFAST_RESOLVE_REASSIGN' },
  );
  flag(command, '--fail', 'it has failed', { variable: 'HOLDFAST_RESOLVE_FAIL' });
  flag(command, '--succeed', 'it has succeeded', { variable: 'HOLDFAST_RESOLVE_SUCCEED' });
  flag(command, '--reason <TEXT>', 'kept in the history');
  type Flags = { reason?: string } & { readonly [V in Verdict]?: boolean };
  clientAction<Flags>(context, command, async (session, [id = ''], flags) => {
    const [verdict, second] = VERDICTS.filter((word) => flags[word] === true);
    if (verdict === undefined || second !== undefined) {
      throw usage(
        'a verdict is one of --reassign, --fail and --succeed',
        verdict === undefined ? 'none of them was given' : 'several of them were given',
        `holdfast task resolve ${id} --reassign`,
      );
    }
    await showTask(session, await session.client.tasks.resolve(id, verdict, flags.reason, session.call));
  });
}

function addWatch(noun: Command, context: CliContext): void {
  const command = verb(
    noun,
    'watch',
    'each change of tasks, until all have ended (exit code 3 unless all succeed)',
  );
  command.argument('<ID...>', 'task ids');
  clientAction(context, command, async (session, ids) => {
    // One plain call first: an id or an address that is wrong is told at once.
    await session.client.tasks.get(ids[0] ?? '', session.call);
    const quiet = {
      ...session,
      terminal: { ...session.terminal, err: { ...session.terminal.err, isTTY: false } },
    };
    const tasks = await awaitTasks(quiet, ids, (task) => session.showItem(changeView(task, viewOf(session))));
    requireSuccess(tasks);
  });
}
