import { invariant } from '../../kit/invariant.js';

/** What of a task the graph is made of. */
export interface GraphTask {
  readonly taskId: string;
  readonly needs: readonly string[];
}

/** The tasks of one DAG and who waits for whom. Every step of it is linear in tasks and needs together. */
export interface Graph {
  /** By task, in the order given. */
  readonly needs: ReadonlyMap<string, readonly string[]>;
  /** The tasks that need it, in the order given. */
  readonly downstream: ReadonlyMap<string, readonly string[]>;
}

/** Ids are unique and needs are known: whoever reads a file has checked that. */
export function graphOf(tasks: readonly GraphTask[]): Graph {
  const needs = new Map<string, readonly string[]>();
  const downstream = new Map<string, string[]>();
  for (const task of tasks) {
    invariant(!needs.has(task.taskId), 'a task id is unique within its DAG');
    needs.set(task.taskId, task.needs);
    downstream.set(task.taskId, []);
  }
  for (const task of tasks) {
    for (const need of task.needs) {
      const waiting = downstream.get(need);
      invariant(waiting !== undefined, 'a need is a task of the same DAG');
      waiting.push(task.taskId);
    }
  }
  return { needs, downstream };
}

export type Ordered =
  | { readonly ok: true; readonly order: readonly string[] }
  /** At least one; in each every task needs the next, and the last the first. No task is in two of them. */
  | { readonly ok: false; readonly cycles: readonly (readonly string[])[] };

/** Every task behind its needs; among those that are free at once, in the order given. */
export function inOrder(graph: Graph): Ordered {
  const open = new Map<string, number>();
  const order: string[] = [];
  for (const [task, needs] of graph.needs) {
    open.set(task, needs.length);
    if (needs.length === 0) order.push(task);
  }
  for (let next = 0; next < order.length; next++) {
    for (const waiting of graph.downstream.get(order[next] as string) ?? []) {
      const left = (open.get(waiting) ?? 0) - 1;
      open.set(waiting, left);
      if (left === 0) order.push(waiting);
    }
  }
  if (order.length === graph.needs.size) return { ok: true, order };
  return { ok: false, cycles: findCycles(graph, open) };
}

/**
 * Among the tasks that never got free each has a need that did not either, so walking from need to need comes back to
 * where a walk was: to this one's, which is a cycle, or to an earlier one's. Recursion would be shorter, and would overflow
 * on a long chain.
 */
function findCycles(graph: Graph, open: ReadonlyMap<string, number>): readonly (readonly string[])[] {
  const stuck = (task: string): boolean => (open.get(task) ?? 0) > 0;
  const seen = new Set<string>();
  const cycles: string[][] = [];
  for (const first of open.keys()) {
    if (!stuck(first) || seen.has(first)) continue;
    const placeOf = new Map<string, number>();
    const walk: string[] = [];
    let at = first;
    while (!seen.has(at)) {
      seen.add(at);
      placeOf.set(at, walk.length);
      walk.push(at);
      at = stuckNeed(graph, at, stuck);
    }
    const place = placeOf.get(at);
    if (place !== undefined) cycles.push(walk.slice(place));
  }
  invariant(cycles.length > 0, 'of tasks that are stuck some wait for each other');
  return cycles;
}

/** Itself first: behind another need, a task that needs itself would not be told. */
function stuckNeed(graph: Graph, task: string, stuck: (task: string) => boolean): string {
  const needs = graph.needs.get(task) ?? [];
  const found = needs.includes(task) ? task : needs.find(stuck);
  invariant(found !== undefined, 'a task that is stuck has a need that is stuck');
  return found;
}

/** Everything that comes before a task, directly or not; without itself. */
export function allUpstream(graph: Graph, task: string): ReadonlySet<string> {
  return reach(graph.needs, [task]);
}

/** Everything that waits for one of the tasks, directly or not; without themselves, unless one waits for another. */
export function allDownstream(graph: Graph, ...tasks: readonly string[]): ReadonlySet<string> {
  return reach(graph.downstream, tasks);
}

function reach(edges: ReadonlyMap<string, readonly string[]>, from: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const rest = [...from];
  for (let at = rest.pop(); at !== undefined; at = rest.pop()) {
    for (const next of edges.get(at) ?? []) {
      if (found.has(next)) continue;
      found.add(next);
      rest.push(next);
    }
  }
  return found;
}

/**
 * Whether `task` comes before `of`, asked often: one bit for each pair of tasks (12 MiB for 10,000), where walking
 * anew for each question would cost a minute for a long chain whose every task asks for the first.
 */
export function ancestry(graph: Graph, order: readonly string[]): (task: string, of: string) => boolean {
  const placeOf = new Map(order.map((task, place) => [task, place]));
  const words = Math.ceil(order.length / 32);
  const bits = new Uint32Array(words * order.length);
  for (const [place, task] of order.entries()) {
    const row = place * words;
    for (const need of graph.needs.get(task) ?? []) {
      const needed = placeOf.get(need) ?? 0;
      for (let w = 0; w < words; w++) bits[row + w] = (bits[row + w] ?? 0) | (bits[needed * words + w] ?? 0);
      bits[row + (needed >> 5)] = (bits[row + (needed >> 5)] ?? 0) | (1 << (needed & 31));
    }
  }
  return (task, of) => {
    const [before, place] = [placeOf.get(task), placeOf.get(of)];
    if (before === undefined || place === undefined) return false;
    return (((bits[place * words + (before >> 5)] ?? 0) >>> (before & 31)) & 1) === 1;
  };
}
