import type { Policy } from '../../core/policy.js';
import type { AgentId, Token } from '../../kit/ids.js';
import type { Puts } from '../../store/store.js';
import { Checker, type Violation } from '../checker/index.js';
import { Answers } from './answers.js';
import type { Rewound } from './past.js';
import { RowsAuditor } from './rows-auditor.js';

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

  #replay(puts: Puts): void {
    for (const row of puts.history) {
      this.rows.history(row);
      this.answers.committed(row);
    }
    this.rows.committed(puts);
  }
}
