import type { Ack, Beat, Hello, Verdict } from '../../../src/agent/core/messages.js';
import { Held, type PhaseName } from '../../wire/support/inventory.js';

type Effect =
  | { readonly kind: 'acknowledgement'; readonly token: string }
  | { readonly kind: 'permit'; readonly nonce: string; readonly token: string; readonly taskId: string }
  | { readonly kind: 'refusal'; readonly nonce: string };

type Entry = Hello['inventory'][number];

const nameOf = (phase: Entry['phase']): PhaseName => `INVENTORY_PHASE_${phase.toUpperCase()}` as PhaseName;

/**
 * The agent's inventory as the coordinator keeps it: the rules of the comment on Heartbeat in agent_service.proto, line
 * by line. What the coordinator says has its effect once a heartbeat names that message, or a later one, as applied.
 */
export class Mirror {
  readonly held = new Held();
  #waiting: { readonly number: number; readonly effect: Effect }[] = [];

  /** A Hello replaces everything. */
  hello(hello: Hello): void {
    this.#waiting = [];
    this.#replace(hello.inventory);
  }

  /** RECORDED and NEVER_START remove the entry, STOP makes it STOPPING. */
  welcome(verdicts: readonly Verdict[]): void {
    for (const verdict of verdicts) {
      if (verdict.kind === 'recorded') this.held.dropToken(String(verdict.token));
      if (verdict.kind === 'never_start') this.held.dropNonce(String(verdict.nonce));
      if (verdict.kind === 'stop') {
        const token = String(verdict.token);
        const entry = this.held.entries.find((held) => held.token === token);
        if (entry) this.held.put(token, 'INVENTORY_PHASE_STOPPING', entry.taskId);
      }
    }
  }

  told({ number, acknowledgements, permits, refusals }: Ack): void {
    const wait = (effect: Effect) => this.#waiting.push({ number, effect });
    for (const { token } of acknowledgements) wait({ kind: 'acknowledgement', token: String(token) });
    for (const { nonce, token, taskId } of permits)
      wait({ kind: 'permit', nonce: String(nonce), token: String(token), taskId });
    for (const { nonce } of refusals) wait({ kind: 'refusal', nonce: String(nonce) });
  }

  /** First the effects of what was applied, in order, then those of the heartbeat itself, in the order of its parts. */
  beat(beat: Beat): void {
    for (const { number, effect } of this.#waiting) if (number <= beat.applied) this.#take(effect);
    this.#waiting = this.#waiting.filter(({ number }) => number > beat.applied);
    for (const { token, kind, taskId } of beat.reports) {
      const phase = kind === 'never_started' ? 'void' : kind === 'lost' ? 'lost' : 'finished';
      this.held.put(String(token), nameOf(phase), taskId);
    }
    for (const change of beat.inventoryChanges) this.#put(change);
    for (const { nonce, taskId } of beat.startRequests) this.held.ask(String(nonce), taskId);
    if (beat.fullInventory !== null) this.#replace(beat.fullInventory);
  }

  #take(effect: Effect): void {
    switch (effect.kind) {
      case 'acknowledgement':
        return this.held.dropToken(effect.token);
      case 'permit':
        return this.held.permit(effect.nonce, effect.token, effect.taskId);
      case 'refusal':
        return this.held.dropNonce(effect.nonce);
    }
  }

  #replace(entries: readonly Entry[]): void {
    for (const { token, nonce } of this.held.entries) {
      this.held.dropToken(token);
      this.held.dropNonce(nonce);
    }
    for (const entry of entries) this.#put(entry);
  }

  #put(entry: Entry): void {
    if (entry.phase === 'asked') this.held.ask(String(entry.nonce), entry.taskId);
    else this.held.put(String(entry.token), nameOf(entry.phase), entry.taskId);
  }
}
