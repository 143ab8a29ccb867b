import type { Policy } from '../../core/policy.js';
import type { AgentId, Token } from '../../kit/ids.js';
import type { Puts } from '../../store/store.js';
import { Checker, type Violation } from '../checker/index.js';
import { Answers } from './answers.js';
import { DagRows } from './dags/rows.js';
import type { EventQueue } from './events.js';
import type { Rewound } from './past.js';
import { RowsAuditor } from './rows-auditor.js';

/** What the auditor knows of the world that it watches. */
export interface Watched {
  readonly events: EventQueue;
  readonly slots: ReadonlyMap<AgentId, number>;
  readonly policy: Policy;
  /** By how much the rates of the world's clocks differ, as a share. */
  readonly clockError: number;
  /** The store may lose commits: what is told is kept, to be judged anew. */
  readonly losesCommits: boolean;
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
  readonly broken: (found: Omit<Violation, 'at'>) => void;
}

/** Everyone who judges one history: the checker what is seen from outside, the others what only the simulator can see. */
export class Judges {
  readonly rows: RowsAuditor;
  readonly answers: Answers;
  readonly checker: Checker;
  readonly dags = new DagRows();

  constructor({ slots, policy, clockError, now, ending, broken }: Judged) {
    this.rows = new RowsAuditor(slots, policy.poisonLimit, broken);
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
    judges.rows.broken = judged.broken;
    judges.answers.broken = judged.broken;
    return judges;
  }

  /** The rows of a commit, once its history was told. */
  committed(puts: Puts): void {
    this.rows.committed(puts);
    this.dags.committed(puts);
  }

  #replay(puts: Puts): void {
    for (const row of puts.history) {
      this.rows.history(row);
      this.answers.committed(row);
    }
    this.committed(puts);
  }
}
