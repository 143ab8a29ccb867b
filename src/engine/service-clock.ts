import { between, later, type MonoMs, type ServiceMs } from '../kit/time.js';

/**
 * The service clock (P12): a durable counter, advanced by the monotonic time of the coordinator that serves, resumed
 * from where it was last written. It stands still in an outage and knows nothing of the wall clock.
 */
export class ServiceClock {
  readonly start: ServiceMs;
  readonly #startedAt: MonoMs;
  #written: ServiceMs;

  constructor(start: ServiceMs, now: MonoMs) {
    this.start = start;
    this.#startedAt = now;
    this.#written = start;
  }

  at(now: MonoMs): ServiceMs {
    return later(this.start, Math.floor(between(this.#startedAt, now)));
  }

  wrote(service: ServiceMs): void {
    this.#written = service;
  }

  /** Whether so much time has passed since it was last written. */
  wantsWrite(now: MonoMs, afterMs: number): boolean {
    return between(this.#written, this.at(now)) >= afterMs;
  }
}
