import type { Random } from '../../../kit/random.js';

/** Draws of what a world of DAGs is made of. */
export class Chance {
  readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  is(share: number): boolean {
    return this.random() < share;
  }

  below(n: number): number {
    return Math.floor(this.random() * n);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}
