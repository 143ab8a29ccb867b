import type { Command } from 'commander';
import { RUN_STATES, RUN_TYPES, type RunState, type RunType } from '../client/index.js';
import { flag, listFlag, oneOf, someOf } from './flags.js';
import { addLimit, showList, viewOf } from './listing.js';
import { runOf } from './run-ref.js';
import { addRunSteering } from './run-steer.js';
import { runChangeView, runDescriptionView, runListView } from './run-views.js';
import { awaitRun, requireRunSuccess } from './run-wait.js';
import { clientAction, type Session, verb } from './session.js';
import type { CliContext } from './terminal.js';

const RUN = 'the run, as `run list` shows it';

/** `holdfast run …` */
export function addRun(program: Command, context: CliContext): void {
  const noun = program.command('run').description('see DAG runs and steer what becomes of them');
  addList(noun, context);
  const describe = verb(noun, 'describe', 'one run with its task instances').argument(
    '<DAG/RUN>',
    RUN,
    runOf,
  );
  clientAction(context, describe, async (session, [name = '']) => {
    const { dagId, runId } = runOf(name);
    const description = await session.client.runs.get(dagId, runId, session.call);
    await session.show(runDescriptionView(description, viewOf(session)));
  });
  addRunSteering(noun, context);
  const watch = verb(
    noun,
    'watch',
    'each change of a run until it has ended (exit code 3 unless it succeeds)',
  );
  watch.argument('<DAG/RUN>', RUN, runOf);
  clientAction(context, watch, (session, [name = '']) => watchRun(session, name));
}

function addList(noun: Command, context: CliContext): void {
  const command = verb(noun, 'list', 'DAG runs, newest first');
  addLimit(command);
  flag(command, '--dag <DAG>', 'only of this DAG', { variable: 'HOLDFAST_LIST_DAG' });
  listFlag(command, '--state <STATE>', `only these: ${RUN_STATES.join(', ')}; repeatable`, {
    parse: someOf(RUN_STATES),
    variable: 'HOLDFAST_LIST_RUN_STATE',
  });
  flag(command, '--type <TYPE>', `only this: ${RUN_TYPES.join(', ')}`, {
    parse: oneOf(RUN_TYPES),
    variable: 'HOLDFAST_LIST_RUN_TYPE',
  });
  flag(command, '--backfill <ID>', 'only of this backfill', { variable: 'HOLDFAST_LIST_BACKFILL' });
  type Flags = { limit?: number; dag?: string; state?: RunState[]; type?: RunType; backfill?: string };
  clientAction<Flags>(context, command, async (session, _args, { limit, dag, state, type, backfill }) => {
    const filter = { dagId: dag, states: state, type, backfill };
    await showList(
      session,
      limit,
      (choices) => session.client.runs.list(filter, choices),
      (runs) => runListView(runs, viewOf(session)),
    );
  });
}

async function watchRun(session: Session, name: string): Promise<void> {
  const { dagId, runId } = runOf(name);
  // One plain call first: an id or an address that is wrong is told at once.
  await session.client.runs.get(dagId, runId, session.call);
  const { terminal } = session;
  const quiet = { ...session, terminal: { ...terminal, err: { ...terminal.err, isTTY: false } } };
  await awaitRun(quiet, { dagId, runId }, (change) =>
    session.showItem(runChangeView(change, viewOf(session))),
  );
  requireRunSuccess(await session.client.runs.get(dagId, runId, session.call));
}
