import type { Epoch, TaskId, Token } from '../../kit/ids.js';
import type { Inventory } from '../../kit/inventory.js';
import type { Asks } from './asks.js';
import type { Effect } from './events.js';
import type { Instant } from './gate.js';
import type { Permit } from './messages.js';
import { neverStarted, type Reports } from './reports.js';
import type { Runs } from './runs.js';

/** What becomes of permits: started, or void and said to be. */
export class Permits {
  readonly #inventory: Inventory;
  readonly #asks: Asks;
  readonly #runs: Runs;
  readonly #reports: Reports;
  /** Tokens declared never started on this stream: no late permit of it may start them (P13). */
  #voided = new Set<Token>();

  constructor(inventory: Inventory, asks: Asks, runs: Runs, reports: Reports) {
    this.#inventory = inventory;
    this.#asks = asks;
    this.#runs = runs;
    this.#reports = reports;
  }

  newStream(): void {
    this.#voided.clear();
  }

  /** Starts only on a permit of this session, asked for, with the gate open; anything else is void, and said to be. */
  take(permit: Permit, epoch: Epoch, gateOpen: boolean, now: Instant, effects: Effect[]): void {
    // Told before: the same answer again, and no second start.
    if (this.#inventory.phase(permit.token) !== null) return;
    const why = this.#whyVoid(permit, epoch, gateOpen);
    this.#asks.permitted(permit.nonce);
    this.#inventory.permit(permit.nonce, permit.token, permit.taskId);
    if (why !== null) {
      const { taskId, token } = permit;
      effects.push({ kind: 'note', note: { kind: 'permit_void', taskId, token, why } });
      this.#reports.add(neverStarted(token, taskId, why, now));
      return;
    }
    this.#runs.begin(permit);
    effects.push({ kind: 'start', permit });
  }

  #whyVoid(permit: Permit, epoch: Epoch, gateOpen: boolean): string | null {
    if (permit.epoch !== epoch) return 'other_session';
    if (!this.#asks.has(permit.nonce) || this.#voided.has(permit.token)) return 'not_asked';
    return gateOpen ? null : 'gate_closed';
  }

  /** P13: not held means never started, and never will be. True when it is held, which a full inventory has to show. */
  voidToken(token: Token, now: Instant): boolean {
    if (this.#inventory.phase(token) !== null) return true;
    this.#voided.add(token);
    this.#reports.add(neverStarted(token, '' as TaskId, 'void', now));
    return false;
  }
}
