import type { StreamId } from '../kit/ids.js';
import { LazyMap } from '../kit/lazy.js';
import type { Ack } from './frames.js';

/** An acknowledgement in the making; its number is drawn when it is sent. */
export type AckParts = {
  -readonly [K in keyof Omit<Ack, 'number' | 'received'>]: Ack[K] extends readonly (infer T)[] ? T[] : Ack[K];
};

function emptyParts(): AckParts {
  return {
    stops: [],
    cancellations: [],
    acknowledgements: [],
    permits: [],
    refusals: [],
    voidTokens: [],
    offers: [],
    withdrawals: [],
    directive: null,
    sendFullInventory: false,
    triggerStarts: [],
    triggerStops: [],
    triggerAcks: [],
  };
}

/** Most heartbeats need no more than their number back: one for all of these, frozen because it is shared. */
export const NOTHING_MORE: AckParts = emptyParts();
Object.freeze(NOTHING_MORE);
for (const list of Object.values(NOTHING_MORE)) Object.freeze(list);

/** What a batch says on each stream: one acknowledgement, whatever it is made of. */
export class Acks implements Iterable<[StreamId, AckParts]> {
  readonly #parts = new LazyMap<StreamId, AckParts>();

  /** A heartbeat is acknowledged, with whatever else there is to say. */
  acknowledge(streamId: StreamId): void {
    if (!this.#parts.has(streamId)) this.#parts.set(streamId, NOTHING_MORE);
  }

  /** What is said on a stream, to be added to. */
  say(streamId: StreamId): AckParts {
    const said = this.#parts.get(streamId);
    if (said !== undefined && said !== NOTHING_MORE) return said;
    const parts = emptyParts();
    this.#parts.set(streamId, parts);
    return parts;
  }

  values(): IterableIterator<AckParts> {
    return this.#parts.values();
  }

  [Symbol.iterator](): IterableIterator<[StreamId, AckParts]> {
    return this.#parts.entries();
  }
}
