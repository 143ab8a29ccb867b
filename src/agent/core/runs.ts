import type { Epoch, TaskId, Token } from '../../kit/ids.js';
import { invariant } from '../../kit/invariant.js';
import type { Entry, Inventory } from '../../kit/inventory.js';
import type { Effect, RunStopReason } from './events.js';
import type { Permit, StopReason } from './messages.js';

interface Run {
  readonly permit: Permit;
  stopping: boolean;
}

/** The runs that were permitted and whose process groups are not reaped yet. */
export class Runs {
  readonly #runs = new Map<Token, Run>();
  readonly #inventory: Inventory;
  /** Entries that became STOPPING since the last message. */
  #stopped: (Entry & { token: Token })[] = [];

  constructor(inventory: Inventory) {
    this.#inventory = inventory;
  }

  get size(): number {
    return this.#runs.size;
  }

  get anyStopped(): boolean {
    return this.#stopped.length > 0;
  }

  begin(permit: Permit): void {
    this.#runs.set(permit.token, { permit, stopping: false });
  }

  /** Whether the permit still stands in this session and nobody has asked for its end: adopted is not permitted (I3). */
  stands(token: Token, epoch: Epoch | undefined): boolean {
    const run = this.#runs.get(token);
    return run?.stopping === false && run.permit.epoch === epoch;
  }

  end(token: Token): void {
    invariant(this.#runs.delete(token), `the run of token ${token} ended, but was not running`);
  }

  stop(token: Token, reason: StopReason | 'gate' | 'drain', effects: Effect[]): void {
    const run = this.#runs.get(token);
    if (run?.stopping) return;
    this.#show(token, run);
    if (run === undefined) return;
    run.stopping = true;
    const why: RunStopReason = reason === 'unknown' ? 'superseded' : reason;
    effects.push({ kind: 'note', note: { kind: 'stop_told', token, reason } });
    effects.push({ kind: 'stop_run', token, reason: why, graceMs: run.permit.killGraceMs });
  }

  /** Also of a run that has ended and whose report has not been sent yet: the other side counts it as STOPPING (Welcome). */
  #show(token: Token, run: Run | undefined): void {
    if (this.#inventory.phase(token) !== 'running') return;
    const taskId = run?.permit.taskId ?? taskOf(this.#inventory, token);
    const entry = { phase: 'stopping', token, taskId } as const;
    this.#inventory.put(entry);
    this.#stopped.push(entry);
  }

  stopAll(reason: 'drain', effects: Effect[]): void {
    for (const token of this.#runs.keys()) this.stop(token, reason, effects);
  }

  /** P11: single_run work ends with the gate; the guardian beside the runs sees to it as well. */
  stopSingleRuns(effects: Effect[]): void {
    for (const [token, { permit }] of this.#runs) {
      if (permit.partitionPolicy === 'single_run') this.stop(token, 'gate', effects);
    }
  }

  /**
   * The inventory changes that nothing else implies. A run whose report is in this very message is FINISHED by it;
   * STOPPING would be applied after it and undo it.
   */
  takeChanges(): Entry[] {
    const changes = this.#stopped.filter(({ token }) => this.#inventory.phase(token) === 'stopping');
    this.#stopped = [];
    return changes;
  }
}

function taskOf(inventory: Inventory, token: Token): TaskId {
  for (const entry of inventory.runs()) if (entry.token === token) return entry.taskId;
  return '' as TaskId;
}
