/** Bytes in flight at first, at least, and at most. */
const START_BYTES = 64 * 1024;
const LEAST_BYTES = 16 * 1024;
/** An acknowledgement that takes longer means that output queues up in front of the next heartbeat, in milliseconds. */
const TARGET_MS = 200;

/**
 * How much output may be under way: on a slow link little, so that a heartbeat never waits behind it for long. Grows by
 * what is acknowledged in time, shrinks by a quarter for what is not.
 */
export class SendWindow {
  readonly #most: number;
  #bytes = START_BYTES;
  #inFlight = 0;

  constructor(mostBytes: number) {
    this.#most = mostBytes;
  }

  get open(): boolean {
    return this.#inFlight < this.#bytes;
  }

  /** A new stream: nothing is under way, and nothing is known of the link. */
  reset(): void {
    this.#bytes = START_BYTES;
    this.#inFlight = 0;
  }

  sent(bytes: number): void {
    this.#inFlight += bytes;
  }

  acknowledged(bytes: number, tookMs: number): void {
    this.#inFlight = Math.max(0, this.#inFlight - bytes);
    if (tookMs > TARGET_MS) this.#bytes = Math.max(LEAST_BYTES, this.#bytes * 0.75);
    else this.#bytes = Math.min(this.#most, this.#bytes + bytes);
  }
}
