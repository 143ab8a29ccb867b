import type { Command } from 'commander';
import type { TriggerChoices } from '../client/index.js';
import { addParams, type ParamFlags, readParams } from './dag-params.js';
import { dagDescriptionView, dagListView, dagView } from './dag-views.js';
import { flag, instantFlag } from './flags.js';
import { addLimit, showList, viewOf } from './listing.js';
import { runDescriptionView, runView } from './run-views.js';
import { awaitRun, requireRunSuccess } from './run-wait.js';
import { clientAction, verb } from './session.js';
import type { CliContext } from './terminal.js';

/** `holdfast dag …`: what needs a coordinator. */
export function addDag(program: Command, context: CliContext): void {
  const noun = program.command('dag').description('see DAGs, run them by hand, pause them');
  addList(noun, context);
  addDescribe(noun, context);
  addTrigger(noun, context);
  const pause = verb(
    noun,
    'pause',
    'no more runs, and no further steps of those there are; what runs already ends',
  );
  pause.argument('<DAG>', 'name of the DAG');
  clientAction(context, pause, async (session, [dagId = '']) => {
    await session.show(dagView(await session.client.dags.pause(dagId, session.call), viewOf(session)));
  });
  const unpause = verb(noun, 'unpause', 'take a pause back').argument('<DAG>', 'name of the DAG');
  clientAction(context, unpause, async (session, [dagId = '']) => {
    await session.show(dagView(await session.client.dags.unpause(dagId, session.call), viewOf(session)));
  });
}

function addList(noun: Command, context: CliContext): void {
  const command = verb(noun, 'list', 'DAGs by name');
  addLimit(command);
  flag(command, '--tag <TAG>', 'only with this tag', { variable: 'HOLDFAST_LIST_TAG' });
  flag(command, '--bundle <BUNDLE>', 'only of this bundle', { variable: 'HOLDFAST_LIST_BUNDLE' });
  flag(command, '--paused', 'only those that are paused', { variable: 'HOLDFAST_LIST_PAUSED' });
  flag(command, '--all', 'also those that their bundle has lost', { variable: 'HOLDFAST_LIST_ALL' });
  type Flags = { limit?: number; tag?: string; bundle?: string; paused?: boolean; all?: boolean };
  clientAction<Flags>(context, command, async (session, _args, { limit, tag, bundle, paused, all }) => {
    const filter = { tag, bundle, paused, inactive: all };
    await showList(
      session,
      limit,
      (choices) => session.client.dags.list(filter, choices),
      (dags) => dagListView(dags, viewOf(session)),
    );
  });
}

function addDescribe(noun: Command, context: CliContext): void {
  const command = verb(noun, 'describe', 'one DAG with its params and tasks').argument(
    '<DAG>',
    'name of the DAG',
  );
  clientAction(context, command, async (session, [dagId = '']) => {
    const description = await session.client.dags.get(dagId, session.call);
    await session.show(dagDescriptionView(description, viewOf(session)));
  });
}

interface TriggerFlags extends ParamFlags {
  readonly logicalDate?: Date;
  readonly runId?: string;
  readonly wait?: boolean;
}

function addTrigger(noun: Command, context: CliContext): void {
  const command = verb(noun, 'trigger', 'run a DAG by hand').argument('<DAG>', 'name of the DAG');
  addParams(command, 'HOLDFAST_TRIGGER_PARAM');
  flag(command, '--logical-date <INSTANT>', 'the instant that the run stands for (default: now)', {
    parse: instantFlag,
  });
  flag(command, '--run-id <ID>', 'its run id (default: made of its logical date)');
  flag(command, '--wait', 'wait for its end, and show it (exit code 3 unless it succeeds)', {
    variable: 'HOLDFAST_TRIGGER_WAIT',
  });
  clientAction<TriggerFlags>(context, command, async (session, [dagId = ''], flags) => {
    const { logicalDate, runId } = flags;
    const what: TriggerChoices = { params: await readParams(session, dagId, flags), logicalDate, runId };
    const run = await session.client.dags.trigger(dagId, what, session.call);
    const view = viewOf(session);
    if (flags.wait !== true) return session.show(runView(run, view));
    await awaitRun(session, run);
    const ended = await session.client.runs.get(run.dagId, run.runId, session.call);
    await session.show(runDescriptionView(ended, viewOf(session)));
    requireRunSuccess(ended);
  });
}
