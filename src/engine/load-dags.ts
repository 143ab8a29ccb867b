import { backfillInstants, dueBackfills, isToBeRerun } from '../core/dag/backfill.js';
import type { DagCall } from '../core/dag/calls.js';
import { rowsForCall } from '../core/dag/clear.js';
import type { DagDefinition } from '../core/dag/definition.js';
import type { DueRun } from '../core/dag/inputs.js';
import { INSTANCES_AT_ONCE, wantedBy } from '../core/dag/pending.js';
import { type Plan, planOf } from '../core/dag/plan.js';
import { admissible } from '../core/dag/room.js';
import {
  type AssetEventRow,
  type BackfillRow,
  type DagRow,
  instantKeyOf,
  type RunInstant,
  type RunKey,
  type RunRow,
  runKeyOf,
} from '../core/dag/rows.js';
import { runIdOf } from '../core/dag/runs.js';
import { ALL_RUNS_A_TICK, dueRuns } from '../core/dag/schedule.js';
import { planKey } from '../core/dag/state.js';
import type { AssetInput } from '../core/dag/trigger-book.js';
import { FIRE_STEP } from '../core/dag/trigger-events.js';
import type { Context, Input } from '../core/inputs.js';
import type { TaskRow } from '../core/rows.js';
import type { State } from '../core/state.js';
import type { TaskId } from '../kit/ids.js';
import { invariant } from '../kit/invariant.js';
import { LazyMap } from '../kit/lazy.js';
import { first } from '../kit/sets.js';
import type { Store } from '../store/store.js';

type Pinned = Pick<DagRow, 'dagId' | 'definitionVersion'>;
type Clocks = Pick<Context, 'wall' | 'timetable'>;
/** Lets everything else have its turn of the loop. */
export type Rest = () => Promise<void>;

/** Instances of a run that are read in one turn. */
const ROWS_A_TURN = 1_000;

/** What is read of DAGs, and the tasks that must be read for them. */
export interface ReadOfDags {
  readonly plans: LazyMap<string, Plan>;
  readonly runs: LazyMap<RunKey, RunRow>;
  readonly instants: ReadonlyMap<string, RunKey>;
  readonly instances: LazyMap<RunKey, TaskRow[]>;
  readonly backfills: LazyMap<string, BackfillRow>;
  readonly assetEvents: LazyMap<number, AssetEventRow>;
  readonly due: readonly DueRun[];
  readonly tasks: readonly TaskId[];
}

/** Reads the rows of DAGs that a batch decides on and memory does not have. */
class Reading {
  readonly plans = new LazyMap<string, Plan>();
  readonly runs = new LazyMap<RunKey, RunRow>();
  readonly instants = new LazyMap<string, RunKey>();
  readonly instances = new LazyMap<RunKey, TaskRow[]>();
  readonly backfills = new LazyMap<string, BackfillRow>();
  readonly assetEvents = new LazyMap<number, AssetEventRow>();
  readonly tasks: TaskId[] = [];
  readonly #store: Store;
  readonly #state: State;
  readonly #rest: Rest;

  constructor(store: Store, state: State, rest: Rest) {
    this.#store = store;
    this.#state = state;
    this.#rest = rest;
  }

  task(taskId: TaskId | undefined): void {
    if (taskId !== undefined) this.tasks.push(taskId);
  }

  async readPlans(pinned: Iterable<Pinned | undefined>): Promise<void> {
    const missing = new Map<string, Pinned>();
    for (const one of pinned) {
      if (one === undefined || this.plan(one) !== undefined) continue;
      missing.set(planKey(one.dagId, one.definitionVersion), one);
    }
    if (missing.size === 0) return;
    for (const row of await this.#store.readDagVersions([...missing.values()])) {
      const plan = planOf(JSON.parse(row.definition) as DagDefinition, row.definitionVersion);
      this.plans.set(plan.key, plan);
    }
    for (const key of missing.keys())
      invariant(this.plans.has(key), 'a definition that is pinned is never removed');
  }

  plan(pinned: Pinned): Plan | undefined {
    const { dagId, definitionVersion } = pinned;
    return this.#state.dags.planOf(pinned) ?? this.plans.get(planKey(dagId, definitionVersion));
  }

  async readRuns(keys: Iterable<RunKey>): Promise<void> {
    const missing = [...keys].filter((run) => !this.#state.dags.runs.has(run) && !this.runs.has(run));
    if (missing.length === 0) return;
    for (const row of await this.#store.readRuns(missing)) {
      this.runs.set(row.run, row);
      // Done again, it waits for a turn of its backfill, which may have ended.
      await this.readBackfill(row.backfill);
    }
  }

  async readInstants(instants: readonly RunInstant[]): Promise<void> {
    if (instants.length === 0) return;
    for (const row of await this.#store.readRunsOfInstants(instants)) {
      invariant(row.logicalDate !== null, 'a run of an instant has a logical date');
      this.instants.set(instantKeyOf({ dagId: row.dagId, at: row.logicalDate }), row.run);
      if (!this.#state.dags.runs.has(row.run)) this.runs.set(row.run, row);
    }
  }

  row(run: RunKey): RunRow | undefined {
    return this.#state.dags.runs.get(run)?.row ?? this.runs.get(run);
  }

  async readInstances(run: RunKey): Promise<void> {
    if (this.instances.has(run)) return;
    const rows: TaskRow[] = [];
    for (let page = ROWS_A_TURN; page === ROWS_A_TURN; ) {
      if (rows.length > 0) await this.#rest();
      const found = await this.#store.readInstances(run, rows.at(-1)?.taskId ?? null, ROWS_A_TURN);
      rows.push(...found);
      page = found.length;
    }
    this.instances.set(run, rows);
  }

  async readNewestEvent(asset: string): Promise<void> {
    const n = this.#state.dags.assets.get(asset)?.lastEvent ?? 0;
    if (n === 0 || this.assetEvents.has(n)) return;
    for (const row of await this.#store.readAssetEvents(asset, n, n, 1)) this.assetEvents.set(n, row);
  }

  async readBackfill(backfill: string): Promise<void> {
    if (backfill === '' || this.#state.dags.backfills.has(backfill)) return;
    for (const row of await this.#store.readBackfills([backfill])) this.backfills.set(row.backfill, row);
  }
}

/** Inputs that DAGs are read for, whatever tasks they name. */
const ASKING: ReadonlySet<Input['kind']> = new Set(['dag', 'tick', 'advance']);

/** Reads definitions first, because they say which tasks' rows are needed; waits for nothing when no input asks. */
export function loadDags(
  ...[store, state, inputs, clocks, rest]: Parameters<typeof readDags>
): ReadOfDags | Promise<ReadOfDags> {
  if (inputs.some(({ kind }) => ASKING.has(kind))) return readDags(store, state, inputs, clocks, rest);
  return readBy(new Reading(store, state, rest), []);
}

async function readDags(
  store: Store,
  state: State,
  inputs: readonly Input[],
  clocks: Clocks,
  rest: Rest,
): Promise<ReadOfDags> {
  const reading = new Reading(store, state, rest);
  for (const input of inputs) if (input.kind === 'dag') await loadCall(state, input.call, clocks, reading);
  const due = inputs.some(({ kind }) => kind === 'tick') ? await loadDue(state, clocks, reading) : [];
  await loadAdvances(state, inputs, reading);
  return readBy(reading, due);
}

function readBy(reading: Reading, due: readonly DueRun[]): ReadOfDags {
  const { plans, runs, instants, instances, backfills, assetEvents, tasks } = reading;
  return { plans, runs, instants, instances, backfills, assetEvents, due, tasks };
}

/** What the advance of runs decides on: definitions, then the rows that those ask for. */
async function loadAdvances(state: State, inputs: readonly Input[], reading: Reading): Promise<void> {
  const advances = inputs.filter((input) => input.kind === 'advance');
  if (advances.length === 0) return;
  const views = advances.flatMap(({ runs }) => runs).map((run) => state.dags.runs.get(run));
  await reading.readPlans(views.map((view) => view?.row));
  for (const view of views) {
    const plan = view && reading.plan(view.row);
    const room = INSTANCES_AT_ONCE - reading.tasks.length;
    if (view === undefined || plan === undefined || room <= 0) continue;
    const known = (taskId: TaskId) => state.knownTask(taskId);
    for (const taskId of wantedBy(view, plan, known, room)) reading.task(taskId);
  }
  for (const taskId of admissible(state.dags)) reading.task(taskId);
  // Those that the core itself resumes next.
  const { triggers } = state.dags;
  for (const triggerId of first(triggers.due, FIRE_STEP)) {
    const trigger = triggers.get(triggerId);
    reading.task(trigger?.taskId);
    if (trigger !== undefined) await reading.readNewestEvent((JSON.parse(trigger.input) as AssetInput).asset);
  }
}

/** Runs whose instants have come, and whether somebody was first with a run of the instant. */
async function loadDue(state: State, clocks: Clocks, reading: Reading): Promise<DueRun[]> {
  const due = [...dueRuns(state.dags, clocks), ...dueBackfills(state.dags, clocks)];
  await reading.readInstants(due);
  for (const one of due) {
    const key = one.backfill === '' ? undefined : reading.instants.get(instantKeyOf(one));
    const run = key && reading.runs.get(key);
    if (run === undefined || !isToBeRerun(state.dags, one, run)) continue;
    await reading.readPlans([run]);
    await reading.readInstances(run.run);
  }
  return due;
}

/** Whether a tick has left runs to the next one. */
export function leavesDue({ due }: Pick<ReadOfDags, 'due'>): boolean {
  return due.length >= ALL_RUNS_A_TICK;
}

async function loadCall(state: State, call: DagCall, clocks: Clocks, reading: Reading): Promise<void> {
  switch (call.action) {
    case 'trigger': {
      const at = call.logicalDate ?? clocks.wall;
      await reading.readRuns([runKeyOf(call.dagId, call.runId === '' ? runIdOf('manual', at) : call.runId)]);
      await reading.readInstants([{ dagId: call.dagId, at }]);
      return reading.readPlans([state.dags.dags.get(call.dagId)]);
    }
    case 'fire_trigger':
      reading.task(state.dags.triggers.get(call.triggerId)?.taskId);
      return;
    case 'end_run':
      await reading.readRuns([call.run]);
      return reading.readPlans([reading.row(call.run)]);
    case 'clear':
    case 'mark': {
      await reading.readRuns([call.run]);
      await reading.readPlans([reading.row(call.run)]);
      const view = state.dags.runs.get(call.run);
      const plan = view && reading.plan(view.row);
      if (view === undefined || plan === undefined) return reading.readInstances(call.run);
      for (const taskId of rowsForCall(view, plan, call)) reading.task(taskId);
      return;
    }
    case 'backfill': {
      const dag = state.dags.dags.get(call.dagId);
      await reading.readBackfill(call.backfill);
      await reading.readPlans([dag]);
      if (dag === undefined) return;
      const instants = backfillInstants(clocks.timetable, dag, call);
      return reading.readInstants(instants.map((at) => ({ dagId: dag.dagId, at })));
    }
    case 'steer_backfill':
      return reading.readBackfill(call.backfill);
    case 'pause':
    case 'set_pool':
    case 'delete_pool':
    case 'emit_asset':
      return;
  }
}

/**
 * What is read of the runs of instances that a batch may end, or have done again: definitions, because a success
 * updates the assets that they name, and the whole of an ended run that is to go on.
 */
export async function loadRunsOf(
  store: Store,
  state: State,
  ends: readonly TaskRow[],
  again: readonly TaskRow[],
  read: ReadOfDags,
  rest: Rest,
): Promise<void> {
  const reading = new Reading(store, state, rest);
  await reading.readRuns(again.flatMap(({ instance }) => (instance === null ? [] : [instance.run])));
  for (const run of reading.runs.keys()) await reading.readInstances(run);
  const runs = [...ends, ...again].flatMap(({ instance }) => (instance === null ? [] : [instance.run]));
  await reading.readPlans(new Set(runs.map((run) => reading.row(run))));
  for (const [key, plan] of reading.plans) read.plans.set(key, plan);
  for (const [run, row] of reading.runs) read.runs.set(run, row);
  for (const [name, row] of reading.backfills) read.backfills.set(name, row);
  for (const [run, rows] of reading.instances) read.instances.set(run, rows);
}
