import { wantedBy } from '../core/dag/advance.js';
import type { DagCall } from '../core/dag/calls.js';
import type { DagDefinition } from '../core/dag/definition.js';
import type { LoadedDags } from '../core/dag/draft.js';
import { type Plan, planOf } from '../core/dag/plan.js';
import { admissible } from '../core/dag/room.js';
import { type DagRow, type RunKey, type RunRow, runKeyOf } from '../core/dag/rows.js';
import { runIdOf } from '../core/dag/runs.js';
import { planKey } from '../core/dag/state.js';
import { FIRE_STEP } from '../core/dag/trigger-events.js';
import type { Input } from '../core/inputs.js';
import type { TaskRow } from '../core/rows.js';
import type { State } from '../core/state.js';
import type { TaskId } from '../kit/ids.js';
import { invariant } from '../kit/invariant.js';
import type { WallMs } from '../kit/time.js';
import type { Store } from '../store/store.js';

type Pinned = Pick<DagRow, 'dagId' | 'definitionVersion'>;

/** Names of the rows of DAGs that a batch decides on and memory does not have. */
class WantedOfDags {
  readonly pinned = new Map<string, Pinned>();
  readonly runs = new Set<RunKey>();
  readonly instances = new Set<RunKey>();
  readonly tasks: TaskId[] = [];

  plan(pinned: Pinned | undefined): void {
    if (pinned !== undefined) this.pinned.set(planKey(pinned.dagId, pinned.definitionVersion), pinned);
  }
}

/** What is read of DAGs, and the tasks that must be read for them. */
export interface ReadOfDags {
  readonly dags: LoadedDags;
  readonly tasks: readonly TaskId[];
}

/** Reads definitions first, because they say which tasks' rows are needed. */
export async function loadDags(
  store: Store,
  state: State,
  inputs: readonly Input[],
  wall: WallMs,
): Promise<ReadOfDags> {
  const wanted = new WantedOfDags();
  const advancing: RunKey[] = [];
  for (const input of inputs) {
    if (input.kind === 'dag') wantCall(state, input.call, wall, wanted);
    if (input.kind === 'advance') advancing.push(...input.runs);
  }
  for (const run of advancing) wanted.plan(state.dags.runs.get(run)?.row);
  const plans = await readPlans(store, state, wanted);
  const runs = new Map<RunKey, RunRow>();
  if (wanted.runs.size > 0) for (const row of await store.readRuns([...wanted.runs])) runs.set(row.run, row);
  for (const row of runs.values()) wanted.plan(row);
  const instances = new Map<RunKey, TaskRow[]>();
  for (const run of wanted.instances) instances.set(run, await store.readInstances(run));
  const tasks: TaskId[] = [...wanted.tasks];
  for (const run of advancing) {
    const view = state.dags.runs.get(run);
    const plan =
      view && (state.dags.planOf(view.row) ?? plans.get(planKey(view.row.dagId, view.row.definitionVersion)));
    if (view !== undefined && plan !== undefined) tasks.push(...wantedBy(view, plan));
  }
  if (inputs.some(({ kind }) => kind === 'advance'))
    tasks.push(...admissible(state.dags), ...dueTasks(state));
  return { dags: { plans, runs, instances }, tasks };
}

/** Tasks that the core itself resumes next. */
function dueTasks({ dags: { triggers } }: State): TaskId[] {
  return [...triggers.due].slice(0, FIRE_STEP).flatMap((triggerId) => triggers.get(triggerId)?.taskId ?? []);
}

async function readPlans(store: Store, state: State, wanted: WantedOfDags): Promise<Map<string, Plan>> {
  const missing = [...wanted.pinned.values()].filter((pinned) => state.dags.planOf(pinned) === undefined);
  const plans = new Map<string, Plan>();
  if (missing.length === 0) return plans;
  for (const row of await store.readDagVersions(missing)) {
    const plan = planOf(JSON.parse(row.definition) as DagDefinition, row.definitionVersion);
    plans.set(plan.key, plan);
  }
  invariant(plans.size === missing.length, 'a definition that is pinned is never removed');
  return plans;
}

function wantCall(state: State, call: DagCall, wall: WallMs, wanted: WantedOfDags): void {
  switch (call.action) {
    case 'trigger': {
      wanted.plan(state.dags.dags.get(call.dagId));
      const runId = call.runId === '' ? runIdOf('manual', call.logicalDate ?? wall) : call.runId;
      wanted.runs.add(runKeyOf(call.dagId, runId));
      return;
    }
    case 'fire_trigger': {
      const trigger = state.dags.triggers.get(call.triggerId);
      if (trigger !== undefined) wanted.tasks.push(trigger.taskId);
      return;
    }
    case 'pause':
    case 'set_pool':
      return;
  }
}
