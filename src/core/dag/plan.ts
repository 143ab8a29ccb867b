import { invariant } from '../../kit/invariant.js';
import type { DagDefinition, Json, TaskDefinition } from './definition.js';
import { textsWithin } from './fill.js';
import { allUpstream, type Graph, graphOf } from './graph.js';
import { planKey } from './state.js';
import { parseTemplate, pathsOf } from './template.js';

/** A definition with what is asked of it again and again, computed once. */
export interface Plan {
  /** See planKey. */
  readonly key: string;
  readonly definition: DagDefinition;
  /** In the order of the definition: the needs of each come before it. */
  readonly tasks: readonly TaskDefinition[];
  readonly placeOf: ReadonlyMap<string, number>;
  readonly graph: Graph;
  /** Tasks that no other needs: they decide how the run ends. */
  readonly leaves: readonly string[];
  /** By task: those whose results it asks for, short circuits before it included. */
  readonly results: ReadonlyMap<string, readonly string[]>;
  /** By task: the short circuits before it. */
  readonly circuits: ReadonlyMap<string, readonly string[]>;
}

export function planOf(definition: DagDefinition, definitionVersion: number): Plan {
  const { tasks } = definition;
  const graph = graphOf(tasks);
  const circuits = circuitsOf(tasks, graph);
  return {
    key: planKey(definition.dagId, definitionVersion),
    definition,
    tasks,
    placeOf: new Map(tasks.map(({ taskId }, place) => [taskId, place])),
    graph,
    leaves: tasks
      .filter(({ taskId }) => (graph.downstream.get(taskId) ?? []).length === 0)
      .map((t) => t.taskId),
    results: new Map(
      tasks.map((task) => [
        task.taskId,
        [...new Set([...resultsNamedBy(task), ...(circuits.get(task.taskId) ?? [])])],
      ]),
    ),
    circuits,
  };
}

export function taskOf(plan: Plan, taskId: string): TaskDefinition {
  const task = plan.tasks[plan.placeOf.get(taskId) ?? -1];
  invariant(task !== undefined, `DAG ${plan.definition.dagId} has a task ${taskId}`);
  return task;
}

function circuitsOf(tasks: readonly TaskDefinition[], graph: Graph): Map<string, readonly string[]> {
  const circuits = tasks.filter(({ shortCircuit }) => shortCircuit).map(({ taskId }) => taskId);
  if (circuits.length === 0) return new Map();
  return new Map(
    tasks.map(({ taskId }) => {
      const upstream = allUpstream(graph, taskId);
      return [taskId, circuits.filter((circuit) => upstream.has(circuit))];
    }),
  );
}

/** Tasks whose results some template of the task names. */
function resultsNamedBy(task: TaskDefinition): string[] {
  const names: string[] = [];
  for (const text of templatesOf(task)) {
    const parsed = parseTemplate(text);
    if (!parsed.ok) continue;
    for (const { head } of pathsOf(parsed.template)) {
      const [first] = head.steps;
      if (head.root === 'results' && typeof first === 'string') names.push(first);
    }
  }
  return names;
}

/** Every text of a task that is a template. */
export function templatesOf({ work, when, expand, wait }: TaskDefinition): string[] {
  const texts = [when, expand].filter((text) => text !== '');
  if (wait !== null) texts.push(...within(wait.input));
  if (work.kind === 'command') texts.push(...work.argv, ...Object.values(work.env), work.workingDirectory);
  if (work.kind === 'handler') texts.push(...within(work.input));
  return texts.filter((text) => text.includes('{{'));
}

function within(input: Json): string[] {
  return textsWithin(input).map(({ text }) => text);
}
