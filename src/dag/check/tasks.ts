import { graphOf, inOrder } from '../../core/dag/graph.js';
import { type DagFault, FAULTS_SOUGHT, faultAt, faultOfName, shown } from '../fault.js';
import { type FileTask, needsOf } from '../format/define.js';
import type { TaskFields } from '../format/schema.js';
import type { Hints } from '../hints.js';

/** What does not go together in one task. Every row that matches is told, at its field. */
const MISFITS: readonly {
  readonly field: keyof TaskFields;
  readonly when: (own: TaskFields, all: TaskFields) => boolean;
  readonly because: string;
}[] = [
  {
    field: 'handler',
    when: (own) => own.command !== undefined && own.handler !== undefined,
    because: 'a task has a command or a handler, never both',
  },
  {
    field: 'input',
    when: (own) => own.input !== undefined && own.handler === undefined,
    because: 'only a handler takes an input; a command has arguments and env',
  },
  {
    field: 'env',
    when: (own) => own.env !== undefined && own.command === undefined,
    because: 'only a command has variables; a handler takes an input',
  },
  {
    field: 'working_directory',
    when: (own) => own.working_directory !== undefined && own.command === undefined,
    because: 'only a command runs in a directory',
  },
  {
    field: 'memory_limit',
    when: (own) => own.memory_limit !== undefined && own.command === undefined,
    because: "only a command has one; a handler has its worker's memory (--handler-memory)",
  },
  {
    field: 'cpu_limit',
    when: (own) => own.cpu_limit !== undefined && own.command === undefined,
    because: 'only a command has one',
  },
  {
    field: 'short_circuit',
    when: (own) => own.short_circuit === true && own.command === undefined && own.handler === undefined,
    because: 'a task without work has no result to decide by; `when` decides without running anything',
  },
  {
    field: 'retry_backoff',
    when: (own, { retry_backoff: { initial = 0, max = Number.MAX_VALUE } = {} }) =>
      own.retry_backoff !== undefined && initial > max,
    because: 'its initial is longer than its max',
  },
];

/** Ids, needs and misfits. `order` is null when there is a fault that leaves none. */
export function checkTasks(
  tasks: readonly FileTask[],
  hints: Hints,
): {
  readonly faults: readonly DagFault[];
  readonly order: readonly FileTask[] | null;
} {
  const misfits = tasks.flatMap(({ path, own, fields }) =>
    MISFITS.filter(({ when }) => when(own, fields)).map(({ field, because }) =>
      faultAt([...path, field], because),
    ),
  );
  const ids = new Map<string, FileTask>();
  const broken: DagFault[] = [];
  for (const task of tasks) {
    if (ids.has(task.taskId)) {
      broken.push(faultAt([...task.path, 'task_id'], `there are two tasks ${shown(task.taskId)}`));
    }
    ids.set(task.taskId, task);
  }
  for (const task of tasks) {
    if (broken.length > FAULTS_SOUGHT) break;
    addFaultsOfNeeds(broken, task, ids, hints);
  }
  if (broken.length > 0) return { faults: [...misfits, ...broken], order: null };
  const graph = graphOf(tasks.map(({ taskId, fields }) => ({ taskId, needs: needsOf(fields) })));
  const sorted = inOrder(graph);
  if (sorted.ok) return { faults: misfits, order: sorted.order.map((id) => ids.get(id) as FileTask) };
  const cycles = sorted.cycles.slice(0, FAULTS_SOUGHT).map((cycle) => faultOfCycle(cycle, ids));
  return { faults: [...misfits, ...cycles], order: null };
}

function addFaultsOfNeeds(
  faults: DagFault[],
  { taskId, path, fields }: FileTask,
  ids: ReadonlyMap<string, FileTask>,
  hints: Hints,
): void {
  const seen = new Set<string>();
  for (const [n, need] of needsOf(fields).entries()) {
    const at = [...path, 'needs', ...(typeof fields.needs === 'string' ? [] : [n])];
    if (!ids.has(need)) {
      faults.push(
        faultAt(
          at,
          `task ${taskId} needs ${shown(need)}, and there is no such task${hints.of(need, ids.keys())}`,
        ),
      );
    } else if (seen.has(need)) faults.push(faultAt(at, `task ${taskId} needs ${need} twice`));
    seen.add(need);
  }
}

/** Task by task: more of them than a line holds are counted. */
function faultOfCycle(cycle: readonly string[], ids: ReadonlyMap<string, FileTask>): DagFault {
  const [first = ''] = cycle;
  const told =
    cycle.length <= CYCLE_TOLD ? cycle : [...cycle.slice(0, CYCLE_TOLD), `${cycle.length - CYCLE_TOLD} more`];
  const path = ids.get(first)?.path ?? [];
  return faultOfName(
    [...path, 'needs'],
    cycle.length === 1
      ? `task ${first} needs itself`
      : `these tasks wait for each other: ${[...told, first].join(' needs ')}`,
  );
}

const CYCLE_TOLD = 20;
