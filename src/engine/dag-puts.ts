import type { DagDraft } from '../core/dag/draft.js';
import type { DagPuts } from '../store/dags.js';

/** What a draft makes durable of DAGs; null when that is nothing. */
export function dagPutsOf(draft: DagDraft | null): DagPuts | null {
  if (draft === null || !draft.writes) return null;
  return {
    dags: [...draft.dags.values()],
    versions: draft.versions,
    runs: [...draft.runs.values()],
    pools: [...draft.pools.values()],
    poolRemovals: [...draft.poolRemovals].map(([pool, version]) => ({ pool, version })),
    assets: [...draft.assets.values()],
    assetEvents: draft.assetEvents,
    triggers: [...draft.triggers.values()],
    triggerRemovals: [...draft.triggerRemovals].map(([triggerId, version]) => ({ triggerId, version })),
    bundles: [...draft.bundles.values()],
    backfills: [...draft.backfills.values()],
    backfillRemovals: [...draft.backfillRemovals].map(([backfill, version]) => ({ backfill, version })),
    runRemovals: [...draft.runRemovals].map(([run, version]) => ({ run, version })),
    versionRemovals: draft.versionRemovals,
    assetEventsUpTo: draft.eventsUpTo,
  };
}
