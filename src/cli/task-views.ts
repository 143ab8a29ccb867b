import { type Explanation, hasEnded, type InstanceName, type Task } from '../client/index.js';
import { formatBytes } from '../kit/amount.js';
import { formatDuration } from '../kit/duration.js';
import type { Presentation } from './present.js';
import { explanationShape, resultShape, taskShape } from './shapes.js';
import { type Cell, renderFacts, renderTable } from './table.js';
import type { Sink } from './terminal.js';
import { agoWords, type Colours, commandWords, spanWords, stateColour } from './words.js';

/** What a view needs besides its data. */
export interface View {
  readonly out: Sink;
  readonly colours: Colours;
  /** Now, by the wall clock. */
  readonly now: number;
}

/** A task's state for people: a lost agent and a waiting cancel matter as much as the state itself. */
export function stateWords(task: Task): string {
  const held = task.lost && task.lost.heldForMs > 0 ? `, held ${spanWords(task.lost.heldForMs)}` : '';
  const notes = [task.lost === undefined ? '' : `lost${held}`, task.cancelRequested ? 'cancelling' : ''];
  const said = notes.filter((note) => note !== '' && !hasEnded(task.state)).join(', ');
  return said === '' ? task.state : `${task.state} (${said})`;
}

const stateCell = (task: Task, colours: Colours): Cell => {
  const text = stateWords(task);
  return { text, paint: stateColour(text, colours) };
};

export function taskListView(tasks: readonly Task[], view: View): Presentation {
  return {
    data: tasks.map((task) => taskShape(task, true)),
    names: tasks.map((task) => task.taskId),
    table: () =>
      renderTable(
        ['TASK', 'STATE', 'QUEUE', 'TRY', 'AGENT', 'SUBMITTED', 'WORK'],
        tasks.map((task) => [
          task.taskId,
          stateCell(task, view.colours),
          task.queue,
          String(task.tryNumber),
          task.agentId || '-',
          agoWords(task.submittedAt, view.now),
          workWords(task),
        ]),
        view.colours,
        view.out.columns,
      ),
  };
}

export function taskView(task: Task, view: View): Presentation {
  return {
    data: taskShape(task, true),
    names: [task.taskId],
    table: () => taskFacts(task, view) + (task.history.length === 0 ? '' : `\n${historyTable(task, view)}`),
  };
}

function taskFacts(task: Task, view: View): string {
  const { spec } = task;
  const { result } = resultShape(task);
  const held =
    task.lost && task.lost.heldForMs > 0 ? `, held for ${spanWords(task.lost.heldForMs)} more` : '';
  const times = [
    ['execution', spec.executionTimeoutMs],
    ['queued', spec.queuedTimeoutMs],
  ] as const;
  return renderFacts(
    [
      ['task', task.taskId],
      ['instance', task.instance === undefined ? '' : instanceNameWords(task.instance)],
      ['state', stateCell(task, view.colours)],
      ['reason', [task.reason, task.message].filter((text) => text !== '').join(': ')],
      ['queue', task.queue],
      ['command', spec.command === undefined ? '' : commandWords(spec.command)],
      ['limits', limitWords(spec)],
      ['handler', spec.handler ?? ''],
      ['input', inputWords(spec)],
      ['agent', task.agentId],
      ['progress', progressWords(task, view)],
      ['try', `${task.tryNumber} of ${(spec.retries ?? 0) + 1 + task.lostTries}`],
      ['token', task.fencingToken === 0n ? '' : String(task.fencingToken)],
      [
        'lost',
        task.lost === undefined ? '' : `${agoWords(task.lost.at, view.now)} with ${task.lost.agentId}${held}`,
      ],
      ['partition policy', spec.partitionPolicy ?? ''],
      ['priority', spec.priority ? String(spec.priority) : ''],
      [
        'timeouts',
        times.flatMap(([name, ms]) => (ms === undefined ? [] : [`${name} ${formatDuration(ms)}`])).join(', '),
      ],
      [
        'labels',
        Object.entries(spec.requiredLabels ?? {})
          .map(([name, value]) => `${name}=${value}`)
          .join(','),
      ],
      ['concurrency', spec.concurrencyKey ? `${spec.concurrencyLimit ?? 1} of ${spec.concurrencyKey}` : ''],
      ['start after', spec.startAfter?.toISOString() ?? ''],
      ['start before', spec.startBefore?.toISOString() ?? ''],
      ['idempotency key', spec.idempotencyKey ?? ''],
      ['submitted', agoWords(task.submittedAt, view.now)],
      ['ended', task.endedAt === undefined ? '' : agoWords(task.endedAt, view.now)],
      ['exit code', task.exitCode === undefined ? '' : String(task.exitCode)],
      ['result', typeof result === 'string' ? result : result === null ? '' : JSON.stringify(result)],
    ],
    view.colours,
  );
}

/** `daily/scheduled__2026-01-01T00:00:00.000Z report[3]`. */
export const instanceNameWords = ({ dagId, runId, task, mapIndex }: InstanceName): string =>
  `${dagId}/${runId} ${task}${mapIndex === undefined ? '' : `[${mapIndex}]`}`;

/** What a task does, in one cell; of a DAG run it is its place there that people know it by. */
function workWords({ instance, spec: { command, handler } }: Task): string {
  if (instance !== undefined) {
    const { dagId, runId, task, mapIndex } = instance;
    return `${task}${mapIndex === undefined ? '' : `[${mapIndex}]`} of ${dagId}/${runId}`;
  }
  return command === undefined ? `handler ${handler}` : commandWords(command);
}

const limitWords = ({ memoryLimitBytes: memory, cpuLimitMillis: cpu }: Task['spec']): string =>
  [memory === undefined ? '' : `memory ${formatBytes(memory)}`, cpu === undefined ? '' : `CPU ${cpu / 1_000}`]
    .filter((text) => text !== '')
    .join(', ');

const INPUT_SHOWN = 200;

function inputWords({ input, inputType }: Task['spec']): string {
  if (input === undefined) return '';
  if (ArrayBuffer.isView(input)) return `${input.byteLength} bytes of ${inputType ?? 'unknown type'}`;
  const text = JSON.stringify(input);
  return text.length > INPUT_SHOWN ? `${text.slice(0, INPUT_SHOWN)}…` : text;
}

function progressWords({ progress }: Task, { now }: View): string {
  if (progress === undefined) return '';
  const percent = progress.fraction === undefined ? '' : `${Math.round(progress.fraction * 100)} %`;
  const said = [percent, progress.message].filter((text) => text !== '').join(', ');
  return `${said} (${agoWords(progress.at, now)})`;
}

function historyTable(task: Task, view: View): string {
  const first = task.history[0]?.at?.getTime();
  return renderTable(
    ['WHEN', 'EVENT', 'TRY', 'AGENT', 'TOKEN', 'REASON'],
    task.history.map((event) => [
      event.at === undefined || first === undefined ? '-' : `+${spanWords(event.at.getTime() - first)}`,
      event.event,
      event.tryNumber === 0 ? '-' : String(event.tryNumber),
      event.agentId || '-',
      event.fencingToken === 0n ? '-' : String(event.fencingToken),
      [event.reason, event.message].filter((text) => text !== '').join(': '),
    ]),
    view.colours,
    view.out.columns,
  );
}

/** One line of `task watch`. */
export function changeView(task: Task, view: View): Presentation {
  const words = stateWords(task);
  const about = [
    task.tryNumber === 0 ? '' : `try ${task.tryNumber}`,
    task.agentId === '' ? '' : `on ${task.agentId}`,
    task.progress === undefined ? '' : progressWords(task, view),
    [task.reason, task.message].filter((text) => text !== '').join(': '),
  ];
  const rest = about.filter((text) => text !== '').join('  ');
  return {
    data: { ...taskShape(task, false), ...resultShape(task) },
    names: [task.taskId],
    table: () =>
      `${task.taskId}  ${stateColour(words, view.colours)(words.padEnd(15))}  ${rest}`.trimEnd().concat('\n'),
  };
}

export function explanationView(explanation: Explanation, view: View): Presentation {
  const { colours } = view;
  const { task } = explanation;
  const findings = explanation.findings.flatMap((finding) => [
    `  - ${finding.message} ${colours.dim(`[${finding.code}]`)}`,
    ...(finding.try === '' ? [] : [`    try: ${finding.try}`]),
  ]);
  const next = explanation.next.map(
    (step) => `  - in ${spanWords(step.inMs)}: ${step.message} ${colours.dim(`[${step.code}]`)}`,
  );
  const words = stateWords(task);
  return {
    data: explanationShape(explanation),
    names: [task.taskId],
    table: () =>
      [
        ...(task.taskId === '' ? [] : [`${task.taskId}  ${stateColour(words, colours)(words)}`]),
        ...(task.instance === undefined ? [] : [`instance ${instanceNameWords(task.instance)}`]),
        explanation.summary,
        ...(findings.length === 0 ? [] : ['', colours.bold('What blocks it'), ...findings]),
        ...(next.length === 0 ? [] : ['', colours.bold('What happens next'), ...next]),
        ...(explanation.guarantee === ''
          ? []
          : ['', `${colours.bold('Guarantee')}: ${explanation.guarantee}`]),
      ]
        .join('\n')
        .concat('\n'),
  };
}
