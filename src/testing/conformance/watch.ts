import { Deviation } from './case.js';
import { after, monoMs } from './clock.js';

/** Something that changes, and tells who waits for it to look again. */
export class Watched {
  readonly #waiting = new Map<() => void, (error: Error) => void>();
  #over: Deviation | null = null;

  /** Something has changed. */
  changed(): void {
    for (const look of [...this.#waiting.keys()]) look();
  }

  /**
   * The first value that `look` finds, now or after a change. Throws what `look` throws, and Deviation with `expected`
   * when nothing is found within `withinMs`.
   */
  until<T>(expected: string, withinMs: number, look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        this.#waiting.delete(again);
        timer.cancel();
        reject(error);
      };
      const again = (): void => {
        try {
          const found = look();
          if (found === undefined) return;
          this.#waiting.delete(again);
          timer.cancel();
          resolve(found);
        } catch (error) {
          fail(error as Error);
        }
      };
      const began = monoMs();
      const timer = after(withinMs, () => {
        const seconds = ((monoMs() - began) / 1_000).toFixed(1);
        fail(new Deviation(`expected ${expected}, and waited ${seconds} s for it`));
      });
      if (this.#over !== null) return fail(this.#over);
      this.#waiting.set(again, fail);
      again();
    });
  }

  /** Whoever waits, and whoever will, waits in vain: `why` is what was expected. */
  close(why: string): void {
    this.#over = new Deviation(why);
    for (const fail of [...this.#waiting.values()]) fail(this.#over);
  }
}
