import type { Command } from 'commander';
import {
  type Backfill,
  type BackfillPlan,
  REPROCESS_POLICIES,
  type ReprocessPolicy,
} from '../client/index.js';
import { addParams, type ParamFlags, readParams } from './dag-params.js';
import { backfillPlanShape, backfillShape } from './dag-shapes.js';
import { usage } from './failure.js';
import { flag, instantFlag, oneOf, wholeNumber } from './flags.js';
import { addLimit, showList, viewOf } from './listing.js';
import type { Presentation } from './present.js';
import { clientAction, verb } from './session.js';
import { renderTable } from './table.js';
import type { View } from './task-views.js';
import type { CliContext } from './terminal.js';
import { agoWords, instantWords } from './words.js';

/** `holdfast backfill …` */
export function addBackfill(program: Command, context: CliContext): void {
  const noun = program.command('backfill').description('run DAGs over ranges of logical dates');
  addCreate(noun, context);
  const list = verb(noun, 'list', 'backfills, newest first');
  addLimit(list);
  flag(list, '--dag <DAG>', 'only of this DAG', { variable: 'HOLDFAST_LIST_DAG' });
  clientAction<{ limit?: number; dag?: string }>(context, list, async (session, _args, { limit, dag }) => {
    await showList(
      session,
      limit,
      (choices) => session.client.backfills.list(dag, choices),
      (backfills) => listView(backfills, viewOf(session)),
    );
  });
  const steerings = {
    pause: 'create and begin no runs until it is resumed; those that have begun go on',
    resume: 'let it go on after a pause',
    cancel: 'end it, with those of its runs that have not begun',
  } as const;
  for (const [steering, doc] of Object.entries(steerings) as [keyof typeof steerings, string][]) {
    const command = verb(noun, steering, doc).argument('<ID>', 'name of the backfill');
    clientAction(context, command, async (session, [id = '']) => {
      const backfill = await session.client.backfills[steering](id, session.call);
      await session.show({ ...listView([backfill], viewOf(session)), data: backfillShape(backfill) });
    });
  }
}

interface CreateFlags extends ParamFlags {
  readonly from?: Date;
  readonly to?: Date;
  readonly id?: string;
  readonly maxActiveRuns?: number;
  readonly reprocess?: ReprocessPolicy;
  readonly dryRun?: boolean;
}

function addCreate(noun: Command, context: CliContext): void {
  const command = verb(
    noun,
    'create',
    'run a DAG for each instant of its timetable in a range, at most 1000',
  );
  command.argument('<DAG>', 'name of the DAG');
  flag(command, '--from <INSTANT>', 'first instant of the range, included', {
    parse: instantFlag,
    variable: 'HOLDFAST_BACKFILL_FROM',
  });
  flag(command, '--to <INSTANT>', 'last instant of the range, included', {
    parse: instantFlag,
    variable: 'HOLDFAST_BACKFILL_TO',
  });
  addParams(command, 'HOLDFAST_BACKFILL_PARAM');
  flag(command, '--id <ID>', 'its name (default: made of the DAG and the time)', {
    variable: 'HOLDFAST_BACKFILL_ID',
  });
  flag(command, '--max-active-runs <N>', 'its runs that are running at once (default: 10)', {
    parse: wholeNumber(1, 1_000),
    variable: 'HOLDFAST_BACKFILL_MAX_ACTIVE_RUNS',
  });
  flag(
    command,
    '--reprocess <WHICH>',
    'instants that have a run already are done again: none (default), failed, completed',
    {
      parse: oneOf(REPROCESS_POLICIES),
      variable: 'HOLDFAST_BACKFILL_REPROCESS',
    },
  );
  flag(command, '--dry-run', 'do nothing; say which runs there would be');
  clientAction<CreateFlags>(context, command, async (session, [dagId = ''], flags) => {
    const { from, to, id: backfillId, maxActiveRuns, reprocess, dryRun } = flags;
    if (from === undefined || to === undefined) {
      throw usage('a backfill needs --from and --to', 'it is over a range of instants', 'give both');
    }
    const params = await readParams(session, dagId, flags);
    const what = { from, to, backfillId, params, maxActiveRuns, reprocess, dryRun };
    const plan = await session.client.backfills.create(dagId, what, session.call);
    await session.show(planView(plan, dryRun ?? false, viewOf(session)));
  });
}

function listView(backfills: readonly Backfill[], view: View): Presentation {
  return {
    data: backfills.map(backfillShape),
    names: backfills.map(({ backfillId }) => backfillId),
    table: () =>
      renderTable(
        ['BACKFILL', 'STATE', 'DAG', 'FROM', 'TO', 'NEXT', 'AT ONCE', 'CREATED'],
        backfills.map((one) => [
          ...[one.backfillId, one.state, one.dagId, instantWords(one.from), instantWords(one.to)],
          ...[instantWords(one.next), String(one.maxActiveRuns), agoWords(one.createdAt, view.now)],
        ]),
        view.colours,
        view.out.columns,
      ),
  };
}

function planView(plan: BackfillPlan, dryRun: boolean, view: View): Presentation {
  const { backfill, instants } = plan;
  const rows = instants.map(({ logicalDate, step, runId, runState }) => [
    ...[instantWords(logicalDate), step, runId || '-', runState ?? '-'],
  ]);
  const head = dryRun ? 'nothing was created; there would be' : `backfill ${backfill.backfillId}`;
  return {
    data: backfillPlanShape(plan),
    names: [backfill.backfillId],
    table: () =>
      `${head}\n${renderTable(['LOGICAL DATE', 'STEP', 'RUN', 'STATE'], rows, view.colours, view.out.columns)}`,
  };
}
