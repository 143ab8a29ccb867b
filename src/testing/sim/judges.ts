import type { Policy } from '../../core/policy.js';
import type { AgentId, Token } from '../../kit/ids.js';
import type { Puts } from '../../store/store.js';
import { Checker, CLOCK_BOUND, type Violation } from '../checker/index.js';
import { Answers } from './answers.js';
import { DagsJudge } from './dags/judge.js';
import { DagRows } from './dags/rows.js';
import type { DagWorkload } from './dags/workload.js';
import type { EventQueue } from './events.js';
import type { Rewound } from './past.js';
import { RowsAuditor } from './rows-auditor.js';
import { StormAudit } from './storms.js';

/** What the auditor knows of the world that it watches. */
export interface Watched {
  readonly events: EventQueue;
  readonly slots: ReadonlyMap<AgentId, number>;
  readonly policy: Policy;
  /** By how much the rates of the world's clocks differ, as a share. */
  readonly clockError: number;
  /** The store may lose commits: what is told is kept, to be judged anew. */
  readonly losesCommits: boolean;
  /** Null in worlds without DAGs. */
  readonly dags: DagWorkload | null;
  /** Keep the story, not only its hash. */
  readonly trace: boolean;
}

/** What the judges know of the world. */
export interface Judged {
  readonly slots: ReadonlyMap<AgentId, number>;
  readonly policy: Policy;
  /** See the checker's settings. */
  readonly clockError: number;
  readonly now: () => number;
  /** Tokens of runs that their agents have begun to end. */
  readonly ending: ReadonlySet<Token>;
  readonly dags: DagWorkload | null;
  readonly broken: (found: Omit<Violation, 'at'>) => void;
}

const NO_ROWS = new DagRows();

/** Everyone who judges one history: the checker what is seen from outside, the others what only the simulator can see. */
export class Judges {
  readonly rows: RowsAuditor;
  readonly answers: Answers;
  readonly checker: Checker;
  #broken: Judged['broken'];
  readonly #dags: DagsJudge | null;
  /** Null where clocks differ so much that nobody can say who failed within a lease. */
  readonly #storms: StormAudit | null;
  readonly #now: () => number;
  /** Who held the bundles that the newest commit has changed, before it. */
  readonly #heldBefore = new Map<string, string | null>();

  constructor(judged: Judged) {
    const { slots, policy, clockError, now, ending } = judged;
    const broken: Judged['broken'] = (found) => this.#broken(found);
    this.#broken = judged.broken;
    this.rows = new RowsAuditor(slots, policy.poisonLimit, broken);
    const leaseMs = 3 * policy.heartbeatIntervalMs;
    const areClocksBounded = clockError <= CLOCK_BOUND;
    this.#storms = areClocksBounded ? new StormAudit(leaseMs, policy.stormBrake) : null;
    this.#now = now;
    const { sessions } = this.rows;
    const own = { sessions, now, areClocksBounded, leaseMs, broken };
    this.#dags = judged.dags && new DagsJudge({ workload: judged.dags, ...own });
    this.answers = new Answers(this.rows, now, ending, broken);
    this.checker = new Checker({
      ...{ heartbeatMs: policy.heartbeatIntervalMs, leaseMs: 3 * policy.heartbeatIntervalMs },
      ...{ slackMs: 0, clockStepMs: 0, endsAreSeen: true, faultsAreTold: false },
      slotsOf: (agentId) => slots.get(agentId as AgentId) ?? 0,
      queuedTimeoutMs: policy.queuedTimeoutMs,
      queuedTimeoutWaits: policy.queuedTimeoutWaitsForAgent,
      poisonLimit: policy.poisonLimit,
      clockError,
    });
  }

  /** Begins with what is left of a history after lost commits (P18). All of it was judged when it happened. */
  static after({ commits, events }: Rewound, judged: Judged): Judges {
    const judges = new Judges({ ...judged, broken: () => {} });
    for (const event of events) judges.checker.take(event);
    for (const puts of commits) judges.#replay(puts);
    judges.answers.known();
    judges.#broken = judged.broken;
    return judges;
  }

  /** The rows of DAGs as the disk has them; empty in worlds without. */
  get dags(): DagRows {
    return this.#dags?.rows ?? NO_ROWS;
  }

  started(state: Parameters<DagsJudge['started']>[0]): void {
    this.answers.known();
    this.#dags?.started(state);
    this.#storms?.begunAnew(this.#now(), this.rows.sessions.values());
  }

  /** P17: only its holder's snapshots come into force, be it that its hold ends in the same commit. */
  inForce({ bundle, agentId }: { readonly bundle: string; readonly agentId: AgentId }): void {
    const holder = this.dags.bundles.get(bundle)?.agentId;
    const what = `a snapshot of ${agentId} is in force, and ${holder} holds ${bundle}`;
    if (holder !== agentId && this.#heldBefore.get(bundle) !== agentId) this.#broken({ rule: 'P17', what });
  }

  /** The rows of a commit that was decided then, once its history was told. */
  committed(puts: Puts, decidedAt = this.#now()): void {
    for (const fault of this.#storms?.faultsOf(puts, this.rows.tasks, decidedAt) ?? []) this.#broken(fault);
    this.#heldBefore.clear();
    for (const { bundle } of puts.dags?.bundles ?? [])
      this.#heldBefore.set(bundle, this.dags.bundles.get(bundle)?.agentId ?? null);
    this.rows.committed(puts);
    this.#dags?.committed(puts);
  }

  #replay(puts: Puts): void {
    for (const row of puts.history) {
      this.rows.history(row);
      this.answers.committed(row);
    }
    this.committed(puts);
  }
}
