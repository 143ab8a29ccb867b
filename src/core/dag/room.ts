import type { TaskId } from '../../kit/ids.js';
import type { Draft } from '../draft.js';
import { stillHeld } from '../requests.js';
import { move } from '../task.js';
import { INSTANCES_AT_ONCE } from './pending.js';
import type { Plan } from './plan.js';
import type { DagRow, RunKey } from './rows.js';
import { type InstanceAt, type RunView, waitsForRoom } from './run-view.js';
import type { DagState } from './state.js';
import { byRank } from './wait-list.js';

/** What the choice of instances that may be queued is made on: the state, or a draft over it. */
interface Room {
  readonly pools: Iterable<string>;
  free(pool: string): number;
  /** Runs with instances waiting in a pool. */
  waiting(pool: string): Iterable<RunKey>;
  /** The first instances of a run that wait in a pool, lowest rank first, `most` at most. */
  first(pool: string, run: RunKey, most: number): InstanceAt[];
  /** How many more instances of a run may be queued or running. */
  freeOf(run: RunKey): number;
}

/**
 * Instances that have room in their pool and their run, lowest rank first: a pool's slots go to whoever comes first of all
 * runs, and one that needs more slots than are free keeps those behind it waiting, or it might never get them.
 */
function choose(room: Room): InstanceAt[] {
  const chosen: InstanceAt[] = [];
  const left = new Map<RunKey, number>();
  for (const pool of room.pools) {
    let free = room.free(pool);
    if (free <= 0) continue;
    const candidates: { run: RunKey; instance: InstanceAt }[] = [];
    for (const run of room.waiting(pool)) {
      const most = Math.min(left.get(run) ?? room.freeOf(run), free);
      if (most <= 0) continue;
      for (const instance of room.first(pool, run, most)) candidates.push({ run, instance });
    }
    candidates.sort((a, b) => byRank(a.instance, b.instance));
    for (const { run, instance } of candidates) {
      if (instance.poolSlots > free) break;
      free -= instance.poolSlots;
      left.set(run, (left.get(run) ?? room.freeOf(run)) - 1);
      chosen.push(instance);
    }
  }
  return chosen;
}

function take(instances: Iterable<InstanceAt>, most: number, passOver: ReadonlyMap<TaskId, unknown>) {
  const taken: InstanceAt[] = [];
  for (const instance of instances) {
    if (taken.length >= most) break;
    if (!passOver.has(instance.taskId)) taken.push(instance);
  }
  return taken;
}

const NOBODY: ReadonlyMap<TaskId, unknown> = new Map();

/** Tasks whose rows are needed to let them into the queue now, as far as can be seen before anything is decided. */
export function admissible(state: DagState): TaskId[] {
  const chosen = choose({
    pools: state.waiting.keys(),
    free: (pool) => state.slotsOf(pool) - (state.poolUse.get(pool) ?? 0),
    waiting: (pool) => state.waiting.get(pool)?.keys() ?? [],
    first: (pool, run, most) => take(state.waiting.get(pool)?.get(run)?.inOrder() ?? [], most, NOBODY),
    freeOf: (run) => {
      const view = state.runs.get(run);
      return view === undefined ? 0 : freeOf(view, state.planOf(view.row), state.dags.get(view.row.dagId));
    },
  });
  return chosen.slice(0, INSTANCES_AT_ONCE).map(({ taskId }) => taskId);
}

/** Instances that this draft makes wait, by pool and run, lowest rank first. */
function freshOf(draft: Draft): Map<string, Map<RunKey, InstanceAt[]>> {
  const fresh = new Map<string, Map<RunKey, InstanceAt[]>>();
  for (const { run, now } of draft.dags.changes.values()) {
    if (!waitsForRoom(now)) continue;
    const runs = fresh.get(now.pool) ?? new Map<RunKey, InstanceAt[]>();
    const instances = runs.get(run) ?? [];
    instances.push(now);
    fresh.set(now.pool, runs.set(run, instances));
  }
  for (const runs of fresh.values()) for (const instances of runs.values()) instances.sort(byRank);
  return fresh;
}

/** Queues what has room. False when a row is missing that the next batch will have read. */
export function admit(draft: Draft): boolean {
  const { dags } = draft.state;
  const fresh = freshOf(draft);
  const chosen = choose({
    pools: new Set([...dags.waiting.keys(), ...fresh.keys()]),
    free: (pool) => draft.dags.slotsOf(pool) - draft.dags.poolUse(pool),
    waiting: (pool) =>
      new Set([...(dags.waiting.get(pool)?.keys() ?? []), ...(fresh.get(pool)?.keys() ?? [])]),
    first: (pool, run, most) => {
      const old = take(dags.waiting.get(pool)?.get(run)?.inOrder() ?? [], most, draft.dags.changes);
      const now = (fresh.get(pool)?.get(run) ?? []).slice(0, most);
      return now.length === 0 ? old : [...old, ...now].sort(byRank).slice(0, most);
    },
    freeOf: (run) => {
      const view = draft.dags.peek(run);
      return view === undefined ? 0 : freeOf(view, draft.dags.plan(view.row), draft.dags.dag(view.row.dagId));
    },
  });
  let complete = true;
  const { service } = draft.ctx;
  for (const { taskId } of chosen) {
    const task = draft.task(taskId);
    // Not read, or more than a commit should hold: the next one goes on.
    if (task === undefined || (draft.dags.room === 0 && !draft.dags.changes.has(taskId))) {
      complete = false;
      continue;
    }
    const change = { queuedSince: service, queuedMs: 0, notBefore: stillHeld(task, service) };
    draft.put(move(task, 'queueTask', change), { event: 'queued' });
  }
  return complete;
}

/** A run that is not running, or whose DAG is paused, lets nothing into the queue. */
function freeOf(view: RunView, plan: Plan | undefined, dag: DagRow | undefined): number {
  if (view.row.state !== 'running' || plan === undefined || dag?.paused === true) return 0;
  // It may be about to be cleared.
  if (view.row.sweeps.length > 0) return 0;
  return plan.definition.maxActiveTasks - view.active;
}
