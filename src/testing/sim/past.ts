import type { Permit } from '../../agent/core/messages.js';
import type { HistoryRow } from '../../core/rows.js';
import type { AgentId, Token } from '../../kit/ids.js';
import type { Puts } from '../../store/store.js';
import type { HistoryEvent } from '../checker/index.js';

/** What may stand still with a run in it. */
export interface Standstill {
  /** It does, for longer than the model allows. */
  readonly suspended: boolean;
  /** How often it did: what was alive then is out of the model of bounded pauses. */
  readonly suspends: number;
}

/** A run as its machine saw it. */
export interface SeenRun {
  readonly agentId: AgentId;
  readonly permit: Permit;
  readonly host: Standstill;
  readonly suspends: number;
  /** By its own last word; undefined while it lives. */
  code: number | null | undefined;
  /** Its permit is among lost commits and was not taken back: no history knows of it. */
  isLost: boolean;
}

interface Told {
  readonly event: HistoryEvent;
  /** The commit that it is about; what the disk forgets, the judge must forget. */
  readonly commit: number | null;
  /** The run that it is about: what is told of a run counts as long as its permit does. */
  readonly run: SeenRun | null;
}

/** What a history is made of when it begins anew at an earlier commit. */
export interface Rewound {
  readonly commits: readonly Puts[];
  readonly events: readonly HistoryEvent[];
}

/**
 * What was told so far, so that a store which loses its newest commits (P18) is judged by what it still has: the judge
 * starts again from a history in which the lost commits never happened. Runs whose permits were among them are alive all
 * the same; they are left out until the coordinator takes them back.
 */
export class Past {
  /** Of every permit that was ever committed, in lost commits too. */
  highestToken = 0n as Token;
  #commits: Puts[] = [];
  #told: Told[] = [];
  #committing = false;
  readonly #runs = new Map<string, SeenRun>();
  /** Permits of lost commits: another agent may be given the same number before the loss is noticed. */
  readonly #lost = new Set<string>();

  /** How many commits the history has. */
  get commits(): number {
    return this.#commits.length;
  }

  begin(puts: Puts): void {
    this.#commits.push(puts);
    this.#committing = true;
  }

  end(): void {
    this.#committing = false;
  }

  note(event: HistoryEvent, run: SeenRun | null): void {
    const commit = this.#committing && run === null ? this.#commits.length : null;
    this.#told.push({ event, commit, run });
  }

  started(run: SeenRun): SeenRun {
    const key = runKey(run.permit.token, run.agentId);
    run.isLost = this.#lost.has(key);
    this.#runs.set(key, run);
    return run;
  }

  run(token: Token, agentId: AgentId): SeenRun | null {
    return this.#runs.get(runKey(token, agentId)) ?? null;
  }

  /** Runs that no history knows of. */
  get strangers(): SeenRun[] {
    return [...this.#runs.values()].filter(({ isLost, code }) => isLost && code === undefined);
  }

  /** The number is given to this agent anew: a run that had it before is no run of this permit. */
  permitted({ token, agentId }: Pick<HistoryRow, 'token' | 'agentId'>): void {
    if (token > this.highestToken) this.highestToken = token;
    this.#lost.delete(runKey(token, agentId));
  }

  /** The permit is in the history again; the run that was begun with it before, if any. */
  regained({ token, agentId }: Pick<HistoryRow, 'token' | 'agentId'>): SeenRun | null {
    const key = runKey(token, agentId);
    const run = this.#lost.delete(key) ? (this.#runs.get(key) ?? null) : null;
    if (run !== null) run.isLost = false;
    return run;
  }

  /** Forgets all but the first `kept` commits. */
  rewind(kept: number): Rewound {
    for (const { history } of this.#commits.slice(kept)) {
      for (const { event, token, agentId } of history) {
        if (event !== 'permitted' && event !== 'regained') continue;
        const key = runKey(token, agentId);
        this.#lost.add(key);
        const run = this.#runs.get(key);
        if (run !== undefined) run.isLost = true;
      }
    }
    this.#commits = this.#commits.slice(0, kept);
    this.#told = this.#told.filter(
      ({ event, commit, run }) => stands(event) && (commit ?? 0) <= kept && run?.isLost !== true,
    );
    return { commits: this.#commits, events: this.#told.map(({ event }) => event) };
  }
}

/** What was heard counts from the restart again; what was acknowledged and told was judged when it left. */
function stands({ kind }: HistoryEvent): boolean {
  return kind !== 'heard' && kind !== 'acknowledged' && kind !== 'permit_told';
}

/** One number may be drawn for two agents before lost commits are noticed. */
export function runKey(token: bigint, agentId: string): string {
  return `${token}/${agentId}`;
}
