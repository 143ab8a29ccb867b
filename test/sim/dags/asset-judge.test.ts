import { describe, expect, test } from '@jest/globals';
import type { DagRow, PendingAsset } from '../../../src/core/dag/rows.js';
import { AssetJudge } from '../../../src/testing/sim/dags/asset-judge.js';
import { DagRows } from '../../../src/testing/sim/dags/rows.js';
import { assetEvent, dag, dagPuts, run } from '../../store/dag-rows.js';
import { puts } from '../../store/rows.js';

const either = { kind: 'any' as const, of: ['a', 'b'].map((asset) => ({ kind: 'asset' as const, asset })) };
const waiting = (pendingAssets: PendingAsset[], changes: Partial<DagRow> = {}) =>
  dag('d', { schedule: { kind: 'assets', condition: either }, pendingAssets, ...changes });
const pending = (asset: string, first: number, last = first, count = last - first + 1): PendingAsset => ({
  ...{ asset, count, first, last },
});
const GONE = { active: false };

/** Event 1 of `a` waits; then 2 of `a`, 3 of `b` and 4 of `a` happen in one commit. */
function foundAfter(now: DagRow, consumed: PendingAsset[] = []): number {
  const rows = new DagRows();
  const found: string[] = [];
  const judge = new AssetJudge(rows, ({ what }) => void found.push(what));
  const commit = (...changes: Parameters<typeof dagPuts>) => {
    const one = puts({ dags: dagPuts(...changes) });
    const judged = judge.begin(one);
    rows.committed(one);
    judged();
  };
  commit({ dags: [waiting([pending('a', 1)])], assetEvents: [assetEvent(1, 'a')] });
  commit({
    dags: [now],
    runs: consumed.length > 0 ? [run('d', 1, { consumed })] : [],
    assetEvents: [assetEvent(2, 'a'), assetEvent(3, 'b'), assetEvent(4, 'a')],
  });
  return found.length;
}

describe('the simulator', () => {
  test('wants every event of an asset to wait for a run of each DAG that names it, or to be taken by one', () => {
    expect(foundAfter(waiting([pending('a', 1, 4, 3), pending('b', 3)]))).toBe(0);
    expect(foundAfter(waiting([]), [pending('a', 1, 4, 3), pending('b', 3)])).toBe(0);
    expect(foundAfter(waiting([pending('a', 1, 2), pending('b', 3)]))).toBe(1);
    expect(foundAfter(waiting([pending('a', 1, 4, 3)]))).toBe(1);
    expect(foundAfter(waiting([]))).toBe(1);
    // As many, and not the same.
    expect(foundAfter(waiting([pending('a', 1, 5, 3), pending('b', 3)]))).toBe(1);
  });

  test('wants a DAG that goes in the very commit to have what had happened until then, and nothing else', () => {
    expect(foundAfter(waiting([pending('a', 1)], GONE))).toBe(0);
    expect(foundAfter(waiting([pending('a', 1, 2)], GONE))).toBe(0);
    expect(foundAfter(waiting([pending('a', 1, 2), pending('b', 3)], GONE))).toBe(0);
    expect(foundAfter(waiting([pending('a', 1, 4, 3), pending('b', 3)], GONE))).toBe(0);
    // The third without the second, the fourth without the third, and less than there was.
    expect(foundAfter(waiting([pending('a', 1), pending('b', 3)], GONE))).toBe(1);
    expect(foundAfter(waiting([pending('a', 1, 4, 3)], GONE))).toBe(1);
    expect(foundAfter(waiting([], GONE))).toBe(1);
  });
});
