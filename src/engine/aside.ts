import { ackAside } from '../core/ack-aside.js';
import type { Draft } from '../core/draft.js';
import type { Frame } from '../core/frames.js';
import type { Input } from '../core/inputs.js';
import { ackQuiet } from '../core/quiet-beat.js';
import type { State } from '../core/state.js';
import type { StreamId } from '../kit/ids.js';
import { LazyMap } from '../kit/lazy.js';
import { between, type MonoMs } from '../kit/time.js';
import type { Store } from '../store/store.js';

/** A batch that takes longer has its heartbeats acknowledged by themselves: long for a disk, short beside a lease. */
const PATIENCE_MS = 400;

/** One batch on its way through the store, and what is told to agents while it is. */
export class Aside {
  readonly #store: Pick<Store, 'isOwned'>;
  readonly #begun: MonoMs;
  readonly #inputs: readonly Input[];
  /** Newest heartbeat acknowledged so, by stream. */
  readonly #told = new LazyMap<StreamId, number>();
  /** What was decided, once it is. */
  pending: Draft | null = null;

  constructor(store: Pick<Store, 'isOwned'>, begun: MonoMs, inputs: readonly Input[]) {
    this.#store = store;
    this.#begun = begun;
    this.#inputs = inputs;
  }

  /** Acknowledgements of the newest heartbeats of the batch and of those that arrived since; none before it takes long. */
  frames(state: State, arrived: readonly Input[], now: MonoMs): Frame[] {
    // A store that may be another's by now gives no leave to speak (P18).
    if (between(this.#begun, now) < PATIENCE_MS || this.#store.isOwned?.() === false) return [];
    const newest = new Map<StreamId, number>();
    for (const inputs of [this.#inputs, arrived])
      for (const input of inputs) if (input.kind === 'heartbeat') newest.set(input.streamId, input.beat.seq);
    const frames: Frame[] = [];
    for (const [streamId, seq] of newest) {
      if (seq <= (this.#told.get(streamId) ?? 0)) continue;
      const frame = ackAside(state, this.pending, streamId, seq);
      if (frame === null) continue;
      this.#told.set(streamId, seq);
      frames.push(frame);
    }
    return frames;
  }
}

/** The answer of a heartbeat that needs no batch, while none is under way; null for everything else. */
export function answerAtOnce(store: Pick<Store, 'isOwned'>, state: State, input: Input): Frame | null {
  if (input.kind !== 'heartbeat' || store.isOwned?.() === false) return null;
  return ackQuiet(state, input);
}
