import {
  type ChosenInstances,
  type DagTask,
  hasEnded,
  hasRunEnded,
  type Run,
  type RunChange,
  type RunDescription,
  type RunInstance,
} from '../client/index.js';
import { chosenShape, instanceShape, runDescriptionShape, runShape } from './dag-shapes.js';
import type { Presentation } from './present.js';
import { type Cell, renderFacts, renderTable } from './table.js';
import type { View } from './task-views.js';
import { agoWords, type Colours, instantWords, shorten, spanWords, stateColour } from './words.js';

/** A run everywhere on the command line: run ids are unique within their DAG only. */
export const runName = ({ dagId, runId }: Pick<Run, 'dagId' | 'runId'>): string => `${dagId}/${runId}`;

/** `task`, or `task[3]` for an instance of a mapped one. */
export const instanceWords = ({ task, mapIndex }: Pick<RunInstance, 'task' | 'mapIndex'>): string =>
  mapIndex === undefined ? task : `${task}[${mapIndex}]`;

const reasonWords = ({ reason, message }: { readonly reason: string; readonly message?: string }): string =>
  [reason, message ?? ''].filter((text) => text !== '').join(': ');

const tookWords = (run: Pick<Run, 'startedAt' | 'endedAt'>, now: number): string =>
  run.startedAt === undefined ? '-' : spanWords((run.endedAt?.getTime() ?? now) - run.startedAt.getTime());

export function runListView(runs: readonly Run[], view: View): Presentation {
  return {
    data: runs.map(runShape),
    names: runs.map(runName),
    table: () =>
      renderTable(
        ['RUN', 'STATE', 'TYPE', 'CREATED', 'TOOK', 'REASON'],
        runs.map((run) => [
          runName(run),
          { text: run.state, paint: stateColour(run.state, view.colours) },
          run.type,
          agoWords(run.createdAt, view.now),
          tookWords(run, view.now),
          run.reason,
        ]),
        view.colours,
        view.out.columns,
      ),
  };
}

/** A run after something was done to it: one line for people. */
export function runView(run: Run, view: View): Presentation {
  return { data: runShape(run), names: [runName(run)], table: () => runLine(run, view.colours) };
}

const runLine = (run: Run, colours: Colours): string =>
  `${runName(run)}  ${stateColour(run.state, colours)(run.state)}  ${run.reason}`.trimEnd().concat('\n');

export function runDescriptionView(description: RunDescription, view: View): Presentation {
  return {
    data: runDescriptionShape(description),
    names: [runName(description.run)],
    table: () => `${runFacts(description, view)}\n${instanceTable(description, view)}`,
  };
}

function runFacts({ run, tasks, instances }: RunDescription, view: View): string {
  const params = Object.entries(run.params).map(
    ([name, value]) => `${name}=${shorten(JSON.stringify(value))}`,
  );
  const decided = new Set(instances.map(({ task }) => task)).size;
  return renderFacts(
    [
      ['run', runName(run)],
      ['state', { text: run.state, paint: stateColour(run.state, view.colours) }],
      ['reason', run.reason],
      ['type', run.type],
      ['logical date', run.logicalDate === undefined ? '' : instantWords(run.logicalDate)],
      [
        'data interval',
        run.intervalStart === undefined
          ? ''
          : `${instantWords(run.intervalStart)} to ${instantWords(run.intervalEnd)}`,
      ],
      ['params', params.join(', ')],
      ['made by', run.consumed.map(({ asset, count }) => `${count} of ${asset}`).join(', ')],
      ['backfill', run.backfill],
      ['version', String(run.definitionVersion)],
      ['created', agoWords(run.createdAt, view.now)],
      ['took', run.startedAt === undefined ? '' : tookWords(run, view.now)],
      ['tasks', `${tasks.length}${decided < tasks.length ? `, ${decided} of them decided` : ''}`],
    ],
    view.colours,
  );
}

/** Instances of one mapped task that have a row each; of more, those that went wrong have. */
const MAPPED_SHOWN = 20;

/** A row for each instance in the order of the tasks, set in by how many tasks come before it at most. */
function instanceTable({ run, tasks, instances }: RunDescription, view: View): string {
  const by = Map.groupBy(instances, ({ task }) => task);
  const depths = depthsOf(tasks);
  const rows = tasks.flatMap((task) => {
    const found = by.get(task.task) ?? [];
    const indent = '  '.repeat(depths.get(task.task) ?? 0);
    if (found.length === 0) return [undecidedRow(`${indent}${task.task}`, run, task, by)];
    if (found.length <= MAPPED_SHOWN) return found.map((one) => instanceRow(one, run, indent, view));
    const odd = found.filter(({ state, lost }) => state === 'failed' || lost).slice(0, MAPPED_SHOWN);
    return [
      summaryRow(task.task, found, indent, view),
      ...odd.map((one) => instanceRow(one, run, `${indent}  `, view)),
    ];
  });
  const headers = ['TASK', 'STATE', 'TRY', 'AGENT', 'TIME', 'TASK ID', 'REASON'];
  return renderTable(headers, rows, view.colours, view.out.columns);
}

/** Needs that are named for a task that waits for more of them. */
const NEEDS_SHOWN = 3;

/** A task that nothing is decided of yet: what it waits for, as far as its run can tell. */
function undecidedRow(
  name: string,
  { state }: Run,
  { needs }: DagTask,
  by: ReadonlyMap<string, readonly RunInstance[]>,
): (string | Cell)[] {
  if (hasRunEnded(state)) return [name, '-', '-', '-', '-', '-', ''];
  const open = needs.filter((need) => {
    const instances = by.get(need) ?? [];
    return instances.length === 0 || instances.some((one) => !hasEnded(one.state));
  });
  const more = open.length > NEEDS_SHOWN ? ` and ${open.length - NEEDS_SHOWN} more` : '';
  const why =
    state === 'queued'
      ? 'its run waits for its turn'
      : open.length > 0
        ? `waits for ${open.slice(0, NEEDS_SHOWN).join(', ')}${more}`
        : '';
  return [name, 'not yet', '-', '-', '-', '-', why];
}

/** What an instance is doing: a lost agent, or a wait for room, matter as much as the state itself. */
function stateOf(instance: RunInstance, { colours }: View): Cell {
  const note =
    instance.lost && !hasEnded(instance.state) ? 'lost' : instance.waitsForRoom ? 'waits for room' : '';
  const text = note === '' ? instance.state : `${instance.state} (${note})`;
  return { text, paint: stateColour(text, colours) };
}

/**
 * From its decision on, its waiting included: that is the time that its run has spent on it. What was cleared in a run that
 * had ended was decided long before, so it counts from when the run went on.
 */
function spentOn({ createdAt, endedAt }: RunInstance, { startedAt }: Run, now: number): number | undefined {
  const decided = createdAt?.getTime();
  const end = endedAt?.getTime() ?? now;
  const wentOn = startedAt?.getTime() ?? 0;
  if (decided === undefined) return undefined;
  return end - (end < wentOn ? decided : Math.max(decided, wentOn));
}

function instanceRow(instance: RunInstance, run: Run, indent: string, view: View): (string | Cell)[] {
  const spent = spentOn(instance, run, view.now);
  return [
    `${indent}${instanceWords(instance)}`,
    stateOf(instance, view),
    instance.tryNumber === 0 ? '-' : String(instance.tryNumber),
    instance.agentId || '-',
    spent === undefined ? '-' : spanWords(spent),
    instance.taskId,
    reasonWords(instance),
  ];
}

function summaryRow(
  task: string,
  instances: readonly RunInstance[],
  indent: string,
  { colours }: View,
): (string | Cell)[] {
  const counts = [...Map.groupBy(instances, ({ state }) => state)].map(
    ([state, some]) => `${some.length} ${state}`,
  );
  const text = counts.join(', ');
  return [
    `${indent}${task}[${instances.length}]`,
    { text, paint: stateColour(text, colours) },
    '-',
    '-',
    '-',
    '-',
    '',
  ];
}

/** How many tasks come before each, in a row, at most. */
function depthsOf(tasks: readonly DagTask[]): Map<string, number> {
  const depths = new Map<string, number>();
  for (const { task, needs } of tasks) {
    depths.set(task, needs.length === 0 ? 0 : 1 + Math.max(...needs.map((need) => depths.get(need) ?? 0)));
  }
  return depths;
}

/** What a call did to instances of a run, or would in a dry run; `done` is the word for it. */
export function chosenView({ run, instances }: ChosenInstances, done: string, view: View): Presentation {
  const rows = instances.map((one) => [
    instanceWords(one),
    one.state ?? 'not yet',
    one.requested ? 'waits for its agent' : done,
    one.taskId || '-',
  ]);
  return {
    data: { run: runShape(run), instances: instances.map(chosenShape) },
    names: instances.map(({ taskId, task }) => taskId || task),
    table: () =>
      `${runLine(run, view.colours)}${rows.length === 0 ? 'no instance is meant\n' : renderTable(['TASK', 'WAS', 'NOW', 'TASK ID'], rows, view.colours, view.out.columns)}`,
  };
}

/** One line of `run watch`. */
export function runChangeView(change: RunChange, view: View): Presentation {
  if (change.kind === 'run') {
    const { run } = change;
    return { ...runView(run, view), data: { kind: 'run', ...runShape(run) } };
  }
  const { instance } = change;
  const state = stateOf(instance, view);
  const about = [
    instance.tryNumber === 0 ? '' : `try ${instance.tryNumber}`,
    instance.agentId === '' ? '' : `on ${instance.agentId}`,
    reasonWords(instance),
  ];
  const rest = about.filter((text) => text !== '').join('  ');
  const words = (state.paint ?? String)(state.text.padEnd(15));
  return {
    data: { kind: 'instance', ...instanceShape(instance) },
    names: [instance.taskId],
    table: () => `  ${instanceWords(instance)}  ${words}  ${rest}`.trimEnd().concat('\n'),
  };
}
