import type { AssetEventRow, DagRow, PendingAsset } from '../../../core/dag/rows.js';
import { assetsOf } from '../../../core/dag/state.js';
import type { Puts } from '../../../store/store.js';
import type { Broken } from './judge.js';
import type { DagRows } from './rows.js';

/** Events of assets: each waits for a run of every DAG whose schedule names its asset, and is taken by one. */
export class AssetJudge {
  readonly #rows: DagRows;
  readonly #broken: Broken;
  /** Number of the last event that a run has taken, by DAG and asset. */
  readonly #taken = new Map<string, number>();
  #newest = 0;

  constructor(rows: DagRows, broken: Broken) {
    this.#rows = rows;
    this.#broken = broken;
  }

  begin({ dags }: Puts): () => void {
    if (dags === null) return () => {};
    const before = new Map(this.#rows.dags);
    const isNew = (run: (typeof dags.runs)[number]) => !this.#rows.runs.has(run.run);
    const made = dags.runs.filter((run) => run.consumed.length > 0 && isNew(run));
    return () => {
      for (const { n, asset } of dags.assetEvents) {
        if (n <= this.#newest) this.#fault(`event ${n} of ${asset} comes after ${this.#newest}`);
        this.#newest = Math.max(this.#newest, n);
      }
      for (const { dagId, consumed } of made) for (const one of consumed) this.#take(dagId, one);
      for (const dag of before.values()) {
        const now = this.#rows.dags.get(dag.dagId);
        if (now === undefined || !dag.active || now.definitionVersion !== dag.definitionVersion) continue;
        const consumed = made.filter(({ dagId }) => dagId === dag.dagId).flatMap((run) => run.consumed);
        const has = [...now.pendingAssets, ...consumed];
        // One that goes in this very commit has had what came before it went: of all its assets, up to one moment.
        const moments = now.active
          ? [dags.assetEvents.length]
          : [...dags.assetEvents.keys(), dags.assetEvents.length];
        const holds = moments.some((moment) => {
          const events = dags.assetEvents.slice(0, moment);
          return assetsOf(dag).every((asset) =>
            isSame(asset, has, [...dag.pendingAssets, ...events.map(asPending)]),
          );
        });
        if (!holds)
          this.#fault(
            `of events ${dags.assetEvents.map(({ n, asset }) => `${n} (${asset})`).join()} DAG ${dag.dagId} has ${told(dag)} and then ${told(now)}`,
          );
      }
    };
  }

  #fault(what: string): void {
    this.#broken({ rule: 'asset', what });
  }

  #take(dagId: string, { asset, first, last }: PendingAsset): void {
    const key = `${dagId} ${asset}`;
    const before = this.#taken.get(key) ?? 0;
    if (first <= before) this.#fault(`event ${first} of ${asset} is taken by DAG ${dagId} after ${before}`);
    this.#taken.set(key, last);
  }
}

/** Whether as many events of an asset are there as should be, up to the same one. */
function isSame(asset: string, found: readonly PendingAsset[], wanted: readonly PendingAsset[]): boolean {
  const [a, b] = [found, wanted].map((pending) => pending.filter((one) => one.asset === asset));
  const count = (pending: readonly PendingAsset[] = []) => pending.reduce((sum, one) => sum + one.count, 0);
  const last = (pending: readonly PendingAsset[] = []) => Math.max(0, ...pending.map((one) => one.last));
  return count(a) === count(b) && last(a) === last(b);
}

const asPending = ({ asset, n }: AssetEventRow): PendingAsset => ({ asset, count: 1, first: n, last: n });

const told = ({ pendingAssets }: DagRow): string => JSON.stringify(pendingAssets);
