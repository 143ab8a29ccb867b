import type { Dag, DagDescription, DagParam, DagSchedule, DagTask } from '../client/index.js';
import { formatDuration } from '../kit/duration.js';
import { dagDescriptionShape, dagShape } from './dag-shapes.js';
import type { Presentation } from './present.js';
import { type Cell, renderFacts, renderTable } from './table.js';
import type { View } from './task-views.js';
import { agoWords, type Colours, instantWords, shorten, spanWords } from './words.js';

/** When a DAG runs, as one would say it. */
function scheduleWords(schedule: DagSchedule): string {
  switch (schedule.kind) {
    case 'none':
      return '-';
    case 'cron':
      return schedule.timezone === 'UTC'
        ? schedule.expression
        : `${schedule.expression} ${schedule.timezone}`;
    case 'interval':
      return `every ${formatDuration(schedule.everyMs)}`;
    case 'assets':
      return `assets ${schedule.condition}`;
  }
}

/** What keeps a DAG from what one would expect of it; most important first. */
function dagState(dag: Dag, colours: Colours): Cell {
  if (!dag.active) return { text: 'gone' };
  if (dag.importError !== undefined) return { text: 'import error', paint: colours.red };
  if (dag.paused) return { text: 'paused', paint: colours.yellow };
  return { text: 'active', paint: colours.green };
}

export function dagListView(dags: readonly Dag[], view: View): Presentation {
  return {
    data: dags.map(dagShape),
    names: dags.map(({ dagId }) => dagId),
    table: () =>
      renderTable(
        ['DAG', 'STATE', 'SCHEDULE', 'NEXT RUN', 'ACTIVE RUNS', 'TASKS', 'BUNDLE', 'DESCRIPTION'],
        dags.map((dag) => [
          dag.dagId,
          dagState(dag, view.colours),
          scheduleWords(dag.schedule),
          instantWords(dag.nextRunAt),
          String(dag.queuedRuns + dag.runningRuns),
          String(dag.taskCount),
          dag.bundle,
          dag.description,
        ]),
        view.colours,
        view.out.columns,
      ),
  };
}

/** A DAG after something was done to it: one line for people. */
export function dagView(dag: Dag, view: View): Presentation {
  const state = dagState(dag, view.colours);
  return {
    data: dagShape(dag),
    names: [dag.dagId],
    table: () => `${dag.dagId}  ${(state.paint ?? String)(state.text)}\n`,
  };
}

export function dagDescriptionView(description: DagDescription, view: View): Presentation {
  const { dag, params, tasks } = description;
  return {
    data: dagDescriptionShape(description),
    names: [dag.dagId],
    table: () =>
      [
        dagFacts(description, view),
        ...(params.length === 0 ? [] : [paramTable(params, view)]),
        taskTable(tasks, view),
      ].join('\n'),
  };
}

function dagFacts(description: DagDescription, view: View): string {
  const { dag, definitionVersion, versions, maxActiveTasks, dagrunTimeoutMs } = description;
  const unheard = dag.bundleUnheardForMs;
  const kept = versions.map((one) => one.definitionVersion).filter((one) => one !== dag.definitionVersion);
  return renderFacts(
    [
      ['dag', dag.dagId],
      ['state', dagState(dag, view.colours)],
      ['description', dag.description],
      ['tags', dag.tags.join(', ')],
      ['schedule', dag.schedule.kind === 'none' ? '' : scheduleWords(dag.schedule)],
      ['next run', dag.nextRunAt === undefined ? '' : instantWords(dag.nextRunAt)],
      ['last run', dag.lastRunAt === undefined ? '' : instantWords(dag.lastRunAt)],
      ['dates', datesWords(dag)],
      ['catchup', dag.catchup ? 'yes' : ''],
      ['runs', `${dag.runningRuns} running, ${dag.queuedRuns} queued, ${dag.maxActiveRuns} at once`],
      ['tasks of a run', maxActiveTasks === 0 ? '' : `${maxActiveTasks} at once`],
      ['run timeout', dagrunTimeoutMs === undefined ? '' : formatDuration(dagrunTimeoutMs)],
      ['assets pending', dag.pendingAssets.map(({ asset, count }) => `${asset} (${count})`).join(', ')],
      ['file', `${dag.bundle}: ${dag.file}`],
      ['bundle', unheard === undefined ? '' : `nobody has been reading it for ${spanWords(unheard)}`],
      [
        'import error',
        dag.importError === undefined
          ? ''
          : {
              text: `${dag.importError.message} (${agoWords(dag.importError.since, view.now)})`,
              paint: view.colours.red,
            },
      ],
      ['version', `${definitionVersion}${kept.length === 0 ? '' : `; also kept: ${kept.join(', ')}`}`],
      ['changed', agoWords(dag.changedAt, view.now)],
    ],
    view.colours,
  );
}

function datesWords({ startDate, endDate }: Dag): string {
  const words = [
    startDate === undefined ? '' : `from ${instantWords(startDate)}`,
    endDate === undefined ? '' : `to ${instantWords(endDate)}`,
  ];
  return words.filter((word) => word !== '').join(' ');
}

function paramTable(params: readonly DagParam[], view: View): string {
  return renderTable(
    ['PARAM', 'TYPE', 'DEFAULT', 'DESCRIPTION'],
    params.map((param) => [
      param.name,
      param.type,
      param.required ? '(required)' : shorten(JSON.stringify(param.default)),
      [param.description, param.oneOf.length === 0 ? '' : `one of ${param.oneOf.map(jsonWords).join(', ')}`]
        .filter((word) => word !== '')
        .join('; '),
    ]),
    view.colours,
    view.out.columns,
  );
}

function workWords({ waitsFor, handler, work }: DagTask): string {
  if (waitsFor === '') return handler || work;
  return work === 'none' ? `waits for ${waitsFor}` : `waits for ${waitsFor}, then ${handler || work}`;
}

const jsonWords = (value: unknown): string => JSON.stringify(value);

function taskTable(tasks: readonly DagTask[], view: View): string {
  return renderTable(
    ['TASK', 'NEEDS', 'RULE', 'QUEUE', 'POOL', 'WORK'],
    tasks.map((task) => [
      `${task.task}${task.mapped ? '[]' : ''}`,
      task.needs.join(',') || '-',
      task.triggerRule,
      task.queue,
      task.pool,
      workWords(task),
    ]),
    view.colours,
    view.out.columns,
  );
}
