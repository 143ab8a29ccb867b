import { LIMITS } from '../wire/limits.js';

/** Bytes in flight at first, and at least. */
const START_BYTES = 64 * 1024;
const LEAST_BYTES = 16 * 1024;
/**
 * An acknowledgement that takes longer means that output queues up in front of the next heartbeat, in milliseconds; so
 * does one that takes so much longer than the fastest, on a link that could be faster.
 */
const SLOW_MS = 200;
const QUEUE_MS = 25;

/**
 * How much output may be under way: little on a slow link, and little in a queue on a fast one, so that a heartbeat never
 * waits behind it for long. Grows by what is acknowledged in time, shrinks by a quarter for what is not.
 */
export class SendWindow {
  readonly #most: number;
  #bytes = START_BYTES;
  #inFlight = 0;
  #fastestMs = Number.POSITIVE_INFINITY;

  constructor(mostBytes: number) {
    this.#most = mostBytes;
  }

  get open(): boolean {
    return this.#inFlight < this.#bytes;
  }

  /** Bytes of one chunk: few on a slow link, so that a heartbeat does not wait behind much; many cost less each. */
  get chunkBytes(): number {
    return Math.min(LIMITS.logChunkBytes, Math.max(LEAST_BYTES, Math.floor(this.#bytes / 4)));
  }

  /** A new stream: nothing is under way, and nothing is known of the link. */
  reset(): void {
    this.#bytes = START_BYTES;
    this.#inFlight = 0;
    this.#fastestMs = Number.POSITIVE_INFINITY;
  }

  sent(bytes: number): void {
    this.#inFlight += bytes;
  }

  acknowledged(bytes: number, tookMs: number): void {
    this.#inFlight = Math.max(0, this.#inFlight - bytes);
    this.#fastestMs = Math.min(this.#fastestMs, tookMs);
    if (tookMs > Math.min(SLOW_MS, this.#fastestMs + QUEUE_MS))
      this.#bytes = Math.max(LEAST_BYTES, this.#bytes * 0.75);
    else this.#bytes = Math.min(this.#most, this.#bytes + bytes);
  }
}
