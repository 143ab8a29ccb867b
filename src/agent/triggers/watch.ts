import { AsyncResource, createHook, executionAsyncResource } from 'node:async_hooks';
import type { AgentClock } from '../clock.js';
import { GATE_CLOSED_CODE, type ThreadState } from './protocol.js';

const OWNER = Symbol('trigger');

type Owned = { [OWNER]?: number };

/**
 * Knows in the thread whose callback runs, and looks at the gate before each of them: a process that was stopped for a
 * while, or a machine that slept, goes on with whatever is due, and what is due then is no trigger's to do any more (I8).
 */
export class Watch {
  readonly #state: ThreadState;
  readonly #clock: AgentClock;
  /** Before the first trigger there is nothing that a closed gate forbids. */
  #isArmed = false;

  constructor(state: ThreadState, clock: AgentClock) {
    this.#state = state;
    this.#clock = clock;
    createHook({
      init: (_asyncId, _type, _triggerAsyncId, resource: Owned) => {
        const owner = this.owner;
        if (owner !== 0) resource[OWNER] = owner;
      },
      before: () => this.#before(),
      after: () => this.#state.leave(),
    }).enable();
  }

  /** The trigger whose callback runs now; 0 for none. */
  get owner(): number {
    return (executionAsyncResource() as Owned)[OWNER] ?? 0;
  }

  /** The trigger that something belongs to; 0 for none. */
  ownerOf(resource: object): number {
    return (resource as Owned)[OWNER] ?? 0;
  }

  /** Runs something as this trigger, with all that comes of it. */
  run(n: number, task: () => void): void {
    this.#isArmed = true;
    const resource: AsyncResource & Owned = new AsyncResource('holdfast-trigger');
    resource[OWNER] = n;
    resource.runInAsyncScope(task);
  }

  #before(): void {
    if (!this.#isArmed) return;
    if (!this.#state.isOpen(this.#clock)) process.exit(GATE_CLOSED_CODE);
    const { owner } = this;
    if (owner !== 0) this.#state.enter(owner);
  }
}
