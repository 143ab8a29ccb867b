import type { AgentClock } from '../clock.js';
import type { TriggerOutcome, TriggerStart } from '../core/messages.js';
import type { GateEnd } from '../runner/guardian.js';

/** What the thread of the triggers is started with. */
export interface ThreadArguments {
  /** URL of the module with the user's own triggers; null for the built-in ones only. */
  readonly module: string | null;
  /** See ThreadState. */
  readonly state: SharedArrayBuffer;
}

/** From the agent to the thread. */
export type ThreadOrder =
  /** `n` names the trigger in the shared state; never used twice in one thread. */
  | { readonly kind: 'start'; readonly n: number; readonly trigger: TriggerStart }
  | { readonly kind: 'stop'; readonly triggerId: string };

/** From the thread to the agent: `loaded` or `unusable` first. */
export type ThreadWord =
  | { readonly kind: 'loaded'; readonly kinds: readonly string[] }
  | { readonly kind: 'unusable'; readonly text: string }
  | { readonly kind: 'fired'; readonly outcome: TriggerOutcome };

/** The thread has seen for itself that the gate is closed. */
export const GATE_CLOSED_CODE = 10;

/**
 * What agent and thread share without messages, because neither can be asked to wait for the other: until when the gate
 * is open, and what the thread is doing now.
 */
export class ThreadState {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: BigInt64Array;

  constructor(buffer = new SharedArrayBuffer(CELLS * 8)) {
    this.buffer = buffer;
    this.#cells = new BigInt64Array(buffer);
  }

  /** The gate is open until then, by whichever clock comes first (P2). */
  openUntil({ monoMs, wallMs, bootMs }: GateEnd): void {
    Atomics.store(this.#cells, GATE_MONO, BigInt(Math.floor(monoMs)));
    Atomics.store(this.#cells, GATE_WALL, BigInt(Math.floor(wallMs)));
    Atomics.store(this.#cells, GATE_BOOT, BigInt(Math.floor(bootMs)));
  }

  close(): void {
    this.openUntil({ monoMs: 0, wallMs: 0, bootMs: 0 });
  }

  isOpen(clock: Pick<AgentClock, 'monoMs' | 'wallMs' | 'bootMs'>): boolean {
    const isBefore = (now: number, cell: number) => now < Number(Atomics.load(this.#cells, cell));
    return (
      isBefore(clock.monoMs(), GATE_MONO) &&
      isBefore(clock.wallMs(), GATE_WALL) &&
      isBefore(clock.bootMs(), GATE_BOOT)
    );
  }

  /** A callback of this trigger begins. */
  enter(n: number): void {
    Atomics.store(this.#cells, CURRENT, BigInt(n));
    Atomics.add(this.#cells, TURN, 1n);
  }

  leave(): void {
    Atomics.store(this.#cells, CURRENT, 0n);
  }

  /** The trigger that the thread is busy with, and which of its callbacks that is; null while it is with none. */
  get busy(): { readonly n: number; readonly turn: bigint } | null {
    const n = Number(Atomics.load(this.#cells, CURRENT));
    return n === 0 ? null : { n, turn: Atomics.load(this.#cells, TURN) };
  }
}

const [GATE_MONO, GATE_WALL, GATE_BOOT, CURRENT, TURN] = [0, 1, 2, 3, 4] as const;
const CELLS = 5;
