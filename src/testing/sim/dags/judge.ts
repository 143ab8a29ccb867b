import type { DagState } from '../../../core/dag/state.js';
import type { SessionRow } from '../../../core/rows.js';
import type { Epoch } from '../../../kit/ids.js';
import type { Puts } from '../../../store/store.js';
import type { Violation } from '../../checker/index.js';
import { AssetJudge } from './asset-judge.js';
import { BundleJudge } from './bundle-judge.js';
import { InstanceJudge } from './instance-judge.js';
import { DagRows } from './rows.js';
import { RunJudge } from './run-judge.js';
import { TriggerJudge } from './trigger-judge.js';
import { UnrunJudge } from './unrun-judge.js';
import type { DagWorkload } from './workload.js';

export type Broken = (found: Omit<Violation, 'at'>) => void;

/** What the judges of DAGs know of the world. */
export interface DagsJudged {
  readonly workload: DagWorkload;
  readonly sessions: ReadonlyMap<Epoch, SessionRow>;
  readonly now: () => number;
  /** The clocks differ by no more than the model allows. */
  readonly areClocksBounded: boolean;
  readonly leaseMs: number;
  readonly broken: Broken;
}

/** Judges the rows of DAGs behind every commit: what was there before it, what it puts, and what is there then. */
export class DagsJudge {
  readonly rows = new DagRows();
  readonly #judged: DagsJudged;
  readonly #bundles: BundleJudge;
  readonly #runs: RunJudge;
  readonly #instances: InstanceJudge;
  readonly #unrun: UnrunJudge;
  readonly #triggers: TriggerJudge;
  readonly #assets: AssetJudge;

  constructor(judged: DagsJudged) {
    this.#judged = judged;
    this.#bundles = new BundleJudge(this.rows, judged);
    this.#runs = new RunJudge(this.rows, judged.broken);
    this.#instances = new InstanceJudge(this.rows, judged.broken);
    this.#unrun = new UnrunJudge(this.rows, judged.broken);
    this.#triggers = new TriggerJudge(this.rows, judged);
    this.#assets = new AssetJudge(this.rows, judged.broken);
  }

  get #all() {
    return [this.#bundles, this.#runs, this.#instances, this.#unrun, this.#triggers, this.#assets];
  }

  /** A coordinator has started: what it has in memory is what the disk has, every DAG and every run of it (I9). */
  started({ dags, runs }: Pick<DagState, 'dags' | 'runs'>): void {
    const { broken } = this.#judged;
    for (const { dagId, version } of this.rows.dags.values())
      if (dags.get(dagId)?.version !== version)
        broken({ rule: 'K13', what: `after a restart DAG ${dagId} is not what it was` });
    for (const { run } of this.rows.active)
      if (!runs.has(run)) broken({ rule: 'K13', what: `after a restart run ${run} is forgotten` });
  }

  committed(puts: Puts): void {
    const judgements = this.#all.map((judge) => judge.begin(puts));
    this.rows.committed(puts);
    for (const judge of judgements) judge();
  }
}
