import type { AssetCondition, DagDefinition, Schedule, TaskDefinition } from '../core/dag/definition.js';
import { formatDuration } from '../kit/duration.js';

/** Deeper tasks stand as far to the right as these: a long chain would leave the screen. */
const DEEPEST = 24;

/**
 * The tasks of a DAG as a tree: each stands under that of its needs which comes last, and names the others. A graph with
 * crossing lines would say the same, and be legible for small ones only.
 */
export function drawDag(definition: DagDefinition): string {
  const { tasks } = definition;
  const levels = levelsOf(tasks);
  const children = new Map<string, TaskDefinition[]>();
  for (const task of tasks) {
    const parent = parentOf(task, levels);
    children.set(parent, [...(children.get(parent) ?? []), task]);
  }
  const lines = [`${definition.dagId}  ${scheduleText(definition.schedule)}`];
  // A stack instead of recursion: 10,000 tasks in a chain are a DAG too.
  const rest = branches(children.get('') ?? [], '', 0);
  for (let at = rest.pop(); at !== undefined; at = rest.pop()) {
    const { task, indent, last, depth } = at;
    lines.push(`${indent}${last ? '└─ ' : '├─ '}${describe(task, parentOf(task, levels))}`);
    const inner = depth < DEEPEST ? `${indent}${last ? '   ' : '│  '}` : indent;
    rest.push(...branches(children.get(task.taskId) ?? [], inner, depth + 1));
  }
  return `${lines.join('\n')}\n`;
}

interface Branch {
  readonly task: TaskDefinition;
  readonly indent: string;
  readonly last: boolean;
  readonly depth: number;
}

/** In the order in which a stack gives them back. */
const branches = (tasks: readonly TaskDefinition[], indent: string, depth: number): Branch[] =>
  tasks.map((task, n) => ({ task, indent, depth, last: n === tasks.length - 1 })).reverse();

/** How many tasks come before each, along the longest way. Needs stand before their tasks. */
function levelsOf(tasks: readonly TaskDefinition[]): ReadonlyMap<string, number> {
  const levels = new Map<string, number>();
  for (const { taskId, needs } of tasks) {
    levels.set(
      taskId,
      needs.reduce((level, need) => Math.max(level, (levels.get(need) ?? 0) + 1), 0),
    );
  }
  return levels;
}

function parentOf({ needs }: TaskDefinition, levels: ReadonlyMap<string, number>): string {
  let parent = '';
  for (const need of needs)
    if (parent === '' || (levels.get(need) ?? 0) > (levels.get(parent) ?? 0)) parent = need;
  return parent;
}

function describe(task: TaskDefinition, parent: string): string {
  const others = task.needs.filter((need) => need !== parent);
  const parts = [
    others.length === 0 ? '' : `after ${others.join(', ')} too`,
    task.work.kind === 'handler' ? `handler ${task.work.name}` : '',
    task.work.kind === 'none' && task.wait === null ? 'no work' : '',
    task.expand === '' ? '' : `one for each of ${task.expand}`,
    task.wait === null ? '' : `waits for ${task.wait.kind}`,
    task.when === '' ? '' : `when ${task.when}`,
    task.shortCircuit ? 'short circuit' : '',
    task.triggerRule === 'all_success' ? '' : task.triggerRule,
    task.outlets.length === 0 ? '' : `updates ${task.outlets.join(', ')}`,
  ].filter((part) => part !== '');
  return parts.length === 0 ? task.taskId : `${task.taskId}  (${parts.join('; ')})`;
}

/** A schedule in words. */
export function scheduleText(schedule: Schedule): string {
  switch (schedule.kind) {
    case 'none':
      return 'by hand';
    case 'cron':
      return `${schedule.expression} in ${schedule.timezone}`;
    case 'interval':
      return `every ${formatDuration(schedule.everyMs)}`;
    case 'assets':
      return `after ${conditionText(schedule.condition)}`;
  }
}

function conditionText(condition: AssetCondition): string {
  if (condition.kind === 'asset') return condition.asset;
  const word = condition.kind === 'all' ? ' and ' : ' or ';
  return `(${condition.of.map(conditionText).join(word)})`;
}
