import type { Nonce, TaskId } from '../../kit/ids.js';
import type { Inventory } from '../../kit/inventory.js';
import type { MonoMs } from '../../kit/time.js';
import type { StartRequest } from './messages.js';

interface Ask {
  readonly request: StartRequest;
  sentAt: MonoMs | null;
}

/** Offers, and the start requests that they lead to. A request is open until it is answered or ruled on. */
export class Asks {
  readonly #offers = new Set<TaskId>();
  readonly #asks = new Map<Nonce, Ask>();
  readonly #inventory: Inventory;
  #nextNonce = 1n;

  constructor(inventory: Inventory) {
    this.#inventory = inventory;
  }

  offer(taskId: TaskId): void {
    this.#offers.add(taskId);
  }

  withdraw(taskId: TaskId): void {
    this.#offers.delete(taskId);
  }

  /** A new stream, a closed gate for good: what was offered is offered no more. */
  dropOffers(): void {
    this.#offers.clear();
  }

  has(nonce: Nonce): boolean {
    return this.#asks.has(nonce);
  }

  /** Asks for offered tasks while there are free slots; each request reserves one. */
  ask(freeSlots: () => number): void {
    for (const taskId of this.#offers) {
      if (freeSlots() <= 0) return;
      this.#offers.delete(taskId);
      const nonce = this.#nextNonce++ as Nonce;
      this.#asks.set(nonce, { request: { nonce, taskId }, sentAt: null });
      this.#inventory.put({ phase: 'asked', nonce, taskId });
    }
  }

  /** Answered by a permit: the inventory has its token instead. */
  permitted(nonce: Nonce): void {
    this.#asks.delete(nonce);
  }

  /** Refused, or never to be started. */
  close(nonce: Nonce): void {
    this.#asks.delete(nonce);
    this.#inventory.dropNonce(nonce);
  }

  /** Requests that are new, or were not answered for an interval. */
  take(now: MonoMs, heartbeatMs: number): StartRequest[] {
    const taken: StartRequest[] = [];
    for (const ask of this.#asks.values()) {
      if (ask.sentAt !== null && (now as number) - (ask.sentAt as number) < heartbeatMs) continue;
      ask.sentAt = now;
      taken.push(ask.request);
    }
    return taken;
  }
}
