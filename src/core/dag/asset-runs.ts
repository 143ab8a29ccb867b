import type { Draft } from '../draft.js';
import { createRun, runIdOf } from './runs.js';
import { assetsOf, isRipe, mayCreate } from './state.js';

/** DAGs that one advance makes runs of by their assets; more wait for the next one, which follows at once. */
const DAGS_AT_ONCE = 256;

/**
 * One run for each DAG whose assets have had the events that it waits for. It takes all of them, in the commit that makes
 * it: each is taken once, and those that come while a DAG has all its runs make one run together.
 */
export function createAssetRuns(draft: Draft): void {
  let left = DAGS_AT_ONCE;
  for (const dagId of draft.state.dags.ripe) {
    if (left-- === 0) return;
    draft.dags.looked.add(dagId);
    const dag = draft.dags.dag(dagId);
    if (dag === undefined || !mayCreate(dag) || !isRipe(dag)) continue;
    // The end of a run looks at it again.
    if (draft.dags.activeRuns(dagId) >= dag.maxActiveRuns) continue;
    const named = new Set(assetsOf(dag));
    const consumed = dag.pendingAssets.filter(({ asset }) => named.has(asset));
    const newest = Math.max(...consumed.map(({ last }) => last));
    createRun(draft, dag, {
      type: 'asset_triggered',
      // An event is taken once, so its number tells runs of one moment apart.
      runId: `${runIdOf('asset_triggered', draft.ctx.wall)}_${newest}`,
      logicalDate: null,
      intervalStart: null,
      params: dag.defaultParams,
      consumed,
      backfill: '',
    });
    draft.dags.putDag({ ...dag, pendingAssets: [] });
  }
}
