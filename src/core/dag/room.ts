import type { TaskId } from '../../kit/ids.js';
import type { Draft } from '../draft.js';
import { move } from '../task.js';
import type { Plan } from './plan.js';
import type { DagRow, RunKey } from './rows.js';
import { type InstanceAt, type RunView, waitsForRoom } from './run-view.js';
import type { DagState } from './state.js';

/** What the choice of instances that may be queued is made on: the state, or a draft over it. */
interface Room {
  readonly pools: Iterable<string>;
  free(pool: string): number;
  /** Runs with instances waiting in a pool. */
  waiting(pool: string): Iterable<readonly [RunKey, Iterable<InstanceAt>]>;
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
    for (const [run, instances] of room.waiting(pool)) {
      const most = left.get(run) ?? room.freeOf(run);
      if (most <= 0) continue;
      const first = [...instances].sort((a, b) => a.rank - b.rank || (a.taskId < b.taskId ? -1 : 1));
      for (const instance of first.slice(0, most)) candidates.push({ run, instance });
    }
    candidates.sort((a, b) => a.instance.rank - b.instance.rank);
    for (const { run, instance } of candidates) {
      if (instance.poolSlots > free) break;
      free -= instance.poolSlots;
      left.set(run, (left.get(run) ?? room.freeOf(run)) - 1);
      chosen.push(instance);
    }
  }
  return chosen;
}

/** Tasks whose rows are needed to let them into the queue now, as far as can be seen before anything is decided. */
export function admissible(state: DagState): TaskId[] {
  const chosen = choose({
    pools: state.waiting.keys(),
    free: (pool) => state.slotsOf(pool) - (state.poolUse.get(pool) ?? 0),
    waiting: (pool) => [...(state.waiting.get(pool) ?? [])].map(([run, all]) => [run, all.values()] as const),
    freeOf: (run) => {
      const view = state.runs.get(run);
      return view === undefined ? 0 : freeOf(view, state.planOf(view.row), state.dags.get(view.row.dagId));
    },
  });
  return chosen.map(({ taskId }) => taskId);
}

/** Queues what has room. False when a row is missing that the next batch will have read. */
export function admit(draft: Draft): boolean {
  const { dags } = draft.state;
  const fresh = [...draft.dags.changes.values()].filter(({ now }) => waitsForRoom(now));
  const pools = new Set([...dags.waiting.keys(), ...fresh.map(({ now }) => now.pool)]);
  const chosen = choose({
    pools,
    free: (pool) => draft.dags.slotsOf(pool) - draft.dags.poolUse(pool),
    waiting: (pool) => {
      const runs = new Map<RunKey, InstanceAt[]>();
      for (const [run, all] of dags.waiting.get(pool) ?? []) {
        runs.set(
          run,
          [...all.values()].filter(({ taskId }) => !draft.dags.changes.has(taskId)),
        );
      }
      for (const { run, now } of fresh) {
        if (now.pool === pool) runs.set(run, [...(runs.get(run) ?? []), now]);
      }
      return runs;
    },
    freeOf: (run) => {
      const view = draft.dags.peek(run);
      return view === undefined ? 0 : freeOf(view, draft.dags.plan(view.row), draft.dags.dag(view.row.dagId));
    },
  });
  let complete = true;
  for (const { taskId } of chosen) {
    const task = draft.task(taskId);
    if (task === undefined) {
      complete = false;
      continue;
    }
    draft.put(move(task, 'queueTask', { queuedSince: draft.ctx.service, queuedMs: 0 }), { event: 'queued' });
  }
  return complete;
}

/** A run that is not running, or whose DAG is paused, lets nothing into the queue. */
function freeOf(view: RunView, plan: Plan | undefined, dag: DagRow | undefined): number {
  if (view.row.state !== 'running' || plan === undefined || dag?.paused === true) return 0;
  return plan.definition.maxActiveTasks - view.active;
}
