import type { BackfillRow } from '../core/dag/rows.js';
import { type DagStart, turnOf } from '../core/dag/state.js';
import type { Policy } from '../core/policy.js';
import { laneKeyParts } from '../core/rows.js';
import { State } from '../core/state.js';
import type { MonoMs } from '../kit/time.js';
import type { Store } from '../store/store.js';

/** Reads what a starting coordinator keeps in memory; every live session gets a full new term (P7). */
export async function startState(store: Store, policy: Policy, now: MonoMs): Promise<{ state: State }> {
  const { counters, agents, sessions, openTasks, queues, ...loaded } = await store.load();
  const backfills = [...loaded.dags.backfills, ...(await endedBackfills(store, loaded.dags))];
  const dags = { ...loaded.dags, backfills, newestEvent: await store.newestAssetEvent() };
  const counted = await store.readLanes();
  const lanes = counted.map(({ lane, waiting }) => ({ key: lane, waiting, ...laneKeyParts(lane) }));
  const state = new State(policy, { counters, agents, sessions, openTasks, lanes, queues, dags }, now);
  return { state };
}

/** Backfills that have ended, and of which runs go on, done again. */
async function endedBackfills(
  store: Store,
  { runs, backfills }: Pick<DagStart, 'runs' | 'backfills'>,
): Promise<BackfillRow[]> {
  const known = new Set(['', ...backfills.map(({ backfill }) => backfill)]);
  const missing = new Set(runs.map(turnOf).filter((backfill) => !known.has(backfill)));
  return missing.size === 0 ? [] : store.readBackfills([...missing]);
}
