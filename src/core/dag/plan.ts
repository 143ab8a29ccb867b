import { invariant } from '../../kit/invariant.js';
import type { DagDefinition, Json, TaskDefinition } from './definition.js';
import { textsWithin } from './fill.js';
import { allDownstream, allUpstream, type Graph, graphOf } from './graph.js';
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
  readonly results: NamesByTask;
  /** By task: the short circuits before it. */
  readonly circuits: NamesByTask;
}

/** Names that are found when they are first asked for: reading every template of 10,000 tasks takes a fifth of a second. */
export interface NamesByTask {
  get(taskId: string): readonly string[];
}

export function planOf(definition: DagDefinition, definitionVersion: number): Plan {
  const { tasks } = definition;
  const graph = graphOf(tasks);
  const placeOf = new Map(tasks.map(({ taskId }, place) => [taskId, place]));
  const circuits = circuitsOf(tasks, graph);
  return {
    key: planKey(definition.dagId, definitionVersion),
    definition,
    tasks,
    placeOf,
    graph,
    leaves: tasks
      .filter(({ taskId }) => (graph.downstream.get(taskId) ?? []).length === 0)
      .map((t) => t.taskId),
    results: namesByTask((taskId) => {
      const task = tasks[placeOf.get(taskId) ?? -1];
      const named = task === undefined ? [] : resultsNamedBy(task);
      return [...new Set([...named, ...circuits.get(taskId)])];
    }),
    circuits,
  };
}

export function taskOf(plan: Plan, taskId: string): TaskDefinition {
  const task = plan.tasks[plan.placeOf.get(taskId) ?? -1];
  invariant(task !== undefined, `DAG ${plan.definition.dagId} has a task ${taskId}`);
  return task;
}

function namesByTask(namesOf: (taskId: string) => readonly string[]): NamesByTask {
  const found = new Map<string, readonly string[]>();
  return {
    get(taskId) {
      const names = found.get(taskId) ?? namesOf(taskId);
      found.set(taskId, names);
      return names;
    },
  };
}

/** Short circuits whose whole downstream is remembered; beyond, upstream is walked for each task. */
const CIRCUITS_FOLLOWED = 16;

function circuitsOf(tasks: readonly TaskDefinition[], graph: Graph): NamesByTask {
  const circuits = tasks.filter(({ shortCircuit }) => shortCircuit).map(({ taskId }) => taskId);
  if (circuits.length === 0) return { get: () => [] };
  if (circuits.length > CIRCUITS_FOLLOWED) {
    return namesByTask((taskId) => {
      const upstream = allUpstream(graph, taskId);
      return circuits.filter((circuit) => upstream.has(circuit));
    });
  }
  const behind = new Map<string, ReadonlySet<string>>();
  const isBehind = (taskId: string, circuit: string) => {
    const all = behind.get(circuit) ?? allDownstream(graph, circuit);
    behind.set(circuit, all);
    return all.has(taskId);
  };
  return namesByTask((taskId) => circuits.filter((circuit) => isBehind(taskId, circuit)));
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
