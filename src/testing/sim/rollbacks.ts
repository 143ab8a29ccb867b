import type { HistoryRow } from '../../core/rows.js';
import type { Token } from '../../kit/ids.js';
import type { Violation } from '../checker/index.js';
import type { Past, SeenRun } from './past.js';

type Broken = (found: Omit<Violation, 'at'>) => void;

/** What is left of a lease when a gate that was open at its beginning has closed. */
const AFTER_GATE = 1 / 6;

/**
 * What docs/safety.md promises beyond the store's own history after lost commits (P18): from the notice on no token is
 * drawn twice, and no single_run is started beside a run that the store has forgotten.
 */
export class Rollbacks {
  readonly #past: Past;
  readonly #leaseMs: number;
  /** Else nothing is promised of when a run is gone. */
  readonly #areClocksBounded: boolean;
  readonly #broken: Broken;
  /** Nobody has noticed yet. A restore says it itself. */
  #isUnnoticed = false;
  /** Permitted while nobody knew: these promises are not given for them. */
  readonly #blind = new Set<Token>();

  constructor(past: Past, leaseMs: number, areClocksBounded: boolean, broken: Broken) {
    this.#past = past;
    this.#leaseMs = leaseMs;
    this.#areClocksBounded = areClocksBounded;
    this.#broken = broken;
  }

  happened(isRestore: boolean): void {
    this.#isUnnoticed = !isRestore;
  }

  noticed(): void {
    this.#isUnnoticed = false;
  }

  permitted(row: HistoryRow): void {
    const { token, taskId } = row;
    const { highestToken } = this.#past;
    if (this.#isUnnoticed) this.#blind.add(token);
    else {
      this.#blind.delete(token);
      const what = `token ${token} was drawn after ${highestToken}, though the loss was noticed`;
      if (token <= highestToken) this.#broken({ rule: 'P18', taskId, what });
    }
    this.#past.permitted(row);
  }

  started({ permit, agentId }: SeenRun): void {
    const { token, taskId, partitionPolicy } = permit;
    if (partitionPolicy !== 'single_run' || !this.#areClocksBounded || this.#blind.has(token)) return;
    for (const stranger of this.#past.strangers) {
      const { permit: other, host, suspends } = stranger;
      const isExcused = host.suspended || host.suspends !== suspends;
      const mayOutlive = other.killGraceMs >= this.#leaseMs * AFTER_GATE;
      if (other.taskId !== taskId || isExcused || mayOutlive) continue;
      const what = `token ${token} was started on ${agentId} beside token ${other.token}, which the store had forgotten`;
      this.#broken({ rule: 'P18', taskId, agentId, what });
    }
  }
}
