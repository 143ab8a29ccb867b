import type { AssetCondition, DagDefinition, Schedule } from '../../core/dag/definition.js';
import { allDownstream, allUpstream, type Graph } from '../../core/dag/graph.js';
import { assetsOf } from '../../core/dag/state.js';
import { nearest } from '../../kit/suggest.js';
import { TRIGGER_KINDS } from '../../kit/trigger-kinds.js';

/** What is allowed and hardly ever meant. */
export interface DagWarning {
  readonly dagId: string;
  readonly message: string;
}

/** Of DAGs that are in force together; each by itself is right. */
export function warningsOf(dags: readonly DagDefinition[]): readonly DagWarning[] {
  return [...assetLoops(dags), ...dags.flatMap(misspeltWaits)];
}

/**
 * DAGs whose runs, by the assets that they update, make runs of themselves: one run of them is enough for runs without end,
 * as fast as they can be made. Where one of them waits for another asset too, that sets the pace, and all is well.
 */
function assetLoops(dags: readonly DagDefinition[]): readonly DagWarning[] {
  const fed = feedingEachOther(dags);
  const graph = assetGraph(fed);
  const loops = new Map<string, readonly string[]>();
  return fed.flatMap(({ dagId }) => {
    const loop = loops.get(dagId) ?? loopOf(graph, dagId);
    // Its loop is theirs: asking again for each of thousands would take minutes.
    for (const other of loop) loops.set(other, loop);
    if (loop.length === 0) return [];
    const others = loop.filter((other) => other !== dagId);
    const more = others.length > NAMES ? ` and ${others.length - NAMES} more` : '';
    const how = others.length === 0 ? 'it updates' : `it, ${others.slice(0, NAMES).join(', ')}${more} update`;
    const message = `its runs make runs of itself without end: ${how} what its schedule waits for`;
    return [{ dagId, message }];
  });
}

/** Those that come behind a DAG and before it, itself included; none when it does not come behind itself. */
function loopOf(graph: Graph, dagId: string): readonly string[] {
  const behind = allDownstream(graph, dagId);
  if (!behind.has(dagId)) return [];
  const before = allUpstream(graph, dagId);
  return [...behind].filter((other) => before.has(other));
}

/** DAGs that a warning names. */
const NAMES = 5;

/** The DAGs whose schedules wait for nothing but what these DAGs update: whoever needs more is left out, and who needs those. */
function feedingEachOther(dags: readonly DagDefinition[]): readonly DagDefinition[] {
  const fed = new Set(dags.filter(({ schedule }) => schedule.kind === 'assets'));
  const updating = new Map<string, number>();
  for (const dag of fed) {
    for (const asset of updatedBy(dag)) updating.set(asset, (updating.get(asset) ?? 0) + 1);
  }
  const waiting = Map.groupBy(
    [...fed].flatMap((dag) => assetsOf(dag).map((asset) => ({ asset, dag }))),
    ({ asset }) => asset,
  );
  const isUpdated = (asset: string) => (updating.get(asset) ?? 0) > 0;
  const rest = [...fed];
  for (let dag = rest.pop(); dag !== undefined; dag = rest.pop()) {
    if (!fed.has(dag) || isMet(dag.schedule, isUpdated)) continue;
    fed.delete(dag);
    for (const asset of updatedBy(dag)) {
      updating.set(asset, (updating.get(asset) ?? 0) - 1);
      if (!isUpdated(asset)) rest.push(...(waiting.get(asset) ?? []).map((one) => one.dag));
    }
  }
  return [...fed];
}

const updatedBy = ({ tasks }: DagDefinition): ReadonlySet<string> =>
  new Set(tasks.flatMap(({ outlets }) => outlets));

function isMet(schedule: Schedule, isUpdated: (asset: string) => boolean): boolean {
  if (schedule.kind !== 'assets') return false;
  const holds = (condition: AssetCondition): boolean => {
    if (condition.kind === 'asset') return isUpdated(condition.asset);
    return condition.kind === 'all' ? condition.of.every(holds) : condition.of.some(holds);
  };
  return holds(schedule.condition);
}

/** A DAG needs those that update what its schedule waits for. */
function assetGraph(dags: readonly DagDefinition[]): Graph {
  const waiting = new Map<string, string[]>();
  for (const dag of dags) {
    for (const asset of assetsOf(dag)) waiting.set(asset, [...(waiting.get(asset) ?? []), dag.dagId]);
  }
  const downstream = new Map<string, readonly string[]>();
  const needs = new Map<string, string[]>(dags.map(({ dagId }) => [dagId, []]));
  for (const dag of dags) {
    const { dagId } = dag;
    const behind = new Set([...updatedBy(dag)].flatMap((asset) => waiting.get(asset) ?? []));
    downstream.set(dagId, [...behind]);
    for (const other of behind) needs.get(other)?.push(dagId);
  }
  return { needs, downstream };
}

/** Kinds of triggers of one's own may be called anything; one that nearly has the name of a built-in one was meant to be that. */
function misspeltWaits({ dagId, tasks }: DagDefinition): readonly DagWarning[] {
  const builtIn = Object.keys(TRIGGER_KINDS);
  return tasks.flatMap(({ taskId, wait }) => {
    if (wait === null || builtIn.includes(wait.kind)) return [];
    const near = nearest(wait.kind, builtIn);
    if (near === undefined) return [];
    return [
      {
        dagId,
        message: `task ${taskId} waits for ${wait.kind}, which is no built-in kind (did you mean ${near}?)`,
      },
    ];
  });
}
