import { describe, expect, test } from '@jest/globals';
import type { DagDefinition } from '../../../src/core/dag/definition.js';
import type { BundleRow } from '../../../src/core/dag/rows.js';
import type { SessionRow } from '../../../src/core/rows.js';
import type { Epoch } from '../../../src/kit/ids.js';
import type { WallMs } from '../../../src/kit/time.js';
import { Bundle } from '../../../src/testing/sim/dags/bundle.js';
import { BundleJudge } from '../../../src/testing/sim/dags/bundle-judge.js';
import { DagRows } from '../../../src/testing/sim/dags/rows.js';
import { bundle, dag, dagPuts } from '../../store/dag-rows.js';
import { puts, session } from '../../store/rows.js';

const FIRST = 1n as Epoch;
const SECOND = 2n as Epoch;
const defined = (description: string) => ({ dagId: 'd', description }) as DagDefinition;
const version = (definitionVersion: number) => ({
  ...{ dagId: 'd', definitionVersion, hash: `hash ${definitionVersion}`, createdAt: 0 as WallMs },
  definition: JSON.stringify(defined(`version ${definitionVersion}`)),
});
const row = (definitionVersion: number) => dag('d', { file: 'd.yaml', definitionVersion });

/** A bundle whose processors have read two states of one file, the first of them in force; two sessions may hold it. */
class Story {
  readonly found: string[] = [];
  readonly rows = new DagRows();
  readonly sessions = new Map<Epoch, SessionRow>();
  readonly hashes: string[];
  readonly #judge: BundleJudge;

  constructor() {
    const files = new Bundle('main', { files: new Map() });
    this.hashes = [1, 2].map((n) => {
      files.content = { files: new Map([['d.yaml', defined(`version ${n}`)]]) };
      return files.snapshot().hash;
    });
    const { sessions } = this;
    const broken = ({ rule, what }: { rule: string; what: string }) =>
      void this.found.push(`${rule}: ${what}`);
    this.#judge = new BundleJudge(this.rows, { sessions, broken, workload: { bundle: () => files } });
    this.commit({ version: 1, row: { epoch: FIRST, sequence: 1n, ...this.snapshot(1) } }, [
      holder(FIRST),
      holder(SECOND),
    ]);
  }

  snapshot(n: 1 | 2): Partial<BundleRow> {
    return { receivedAt: n as WallMs, hash: this.hashes[n - 1] as string };
  }

  /** The bundle's row, a version of its DAG when there is a new one, and sessions that begin or end. */
  commit(of: { version: number | null; row: Partial<BundleRow> }, sessions: SessionRow[] = []): string[] {
    const dags = of.version === null ? {} : { dags: [row(of.version)], versions: [version(of.version)] };
    const commit = puts({ sessions, dags: dagPuts({ bundles: [bundle('main', of.row)], ...dags }) });
    for (const one of sessions) this.sessions.set(one.epoch, one);
    const judge = this.#judge.begin(commit);
    this.rows.committed(commit);
    judge();
    return this.found;
  }
}

const holder = (epoch: Epoch, changes: Partial<SessionRow> = {}) =>
  session(epoch, { kind: 'dag_processor', bundles: ['main'], ...changes });
const ENDED = holder(FIRST, { state: 'failed' });
const GONE_ON = { epoch: SECOND, sequence: 0n };

describe('the simulator', () => {
  test('takes a snapshot for what it is when the hold that it came under ends in the same commit', () => {
    const story = new Story();
    expect(story.commit({ version: 2, row: { ...GONE_ON, ...story.snapshot(2) } }, [ENDED])).toEqual([]);
  });

  test('sees what such a snapshot does not say', () => {
    const story = new Story();
    const found = story.commit(
      { version: 2, row: { ...GONE_ON, ...story.snapshot(1), receivedAt: 3 as WallMs } },
      [ENDED],
    );
    expect(found).toEqual(['K13: DAG d is not what its file says']);
  });

  test('sees a DAG that changes with its bundle’s holder alone, and one that changes with nothing', () => {
    const moved = new Story();
    const change = [expect.stringMatching(/^K13: DAG d was .* without a snapshot$/)];
    expect(moved.commit({ version: 2, row: { ...GONE_ON, ...moved.snapshot(1) } }, [ENDED])).toEqual(change);
    const still = new Story();
    expect(still.commit({ version: 2, row: { epoch: FIRST, sequence: 1n, ...still.snapshot(1) } })).toEqual(
      change,
    );
  });

  test('sees a snapshot of a hold that had ended before, and one that is no newer', () => {
    const found = [
      'P17: main has another snapshot, and none that is newer',
      expect.stringMatching(/^K13: DAG d was .* without a snapshot$/),
    ];
    const late = new Story();
    late.commit({ version: null, row: { epoch: FIRST, sequence: 1n, ...late.snapshot(1) } }, [ENDED]);
    expect(late.commit({ version: 2, row: { ...GONE_ON, ...late.snapshot(2) } })).toEqual(found);
    const again = new Story();
    expect(again.commit({ version: 2, row: { epoch: FIRST, sequence: 1n, ...again.snapshot(2) } })).toEqual(
      found,
    );
  });
});
