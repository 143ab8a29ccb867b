/** What a run that was slow leaves of itself after each that was quick. */
const FORGET = 0.9;

/**
 * How long the runs of each handler take, as far as that was seen: the slow ones count, and are forgotten slowly. A handler
 * that is not known, or whose last run left something to see to, takes for ever.
 */
export class Paces {
  readonly #ms = new Map<string, number>();

  /** In milliseconds. */
  of(handler: string): number {
    return this.#ms.get(handler) ?? Number.POSITIVE_INFINITY;
  }

  took(handler: string, ms: number, isNoisy: boolean): void {
    if (isNoisy) this.#ms.delete(handler);
    else this.#ms.set(handler, Math.max(ms, FORGET * (this.#ms.get(handler) ?? 0)));
  }
}
