import { didYouMean } from '../kit/suggest.js';

/** Pairs of letters that are compared for one DAG: some 30 suggestions among 10,000 short names, or 0.2 s. */
const PAIRS = 20_000_000;
/** Longer ones were not misspelt. */
const LONGEST = 128;

/**
 * ` (did you mean x?)` for the faults of one DAG. Comparing names costs the product of their lengths, and both the names
 * and the number of faults are the writer's: so there is as much of it as a person can use, and no more.
 */
export class Hints {
  #pairs = PAIRS;

  /** Nothing once there was enough. */
  of(word: string, candidates: Iterable<string>): string {
    if (word.length > LONGEST) return '';
    const known: string[] = [];
    for (const candidate of candidates) {
      this.#pairs -= word.length * candidate.length;
      if (this.#pairs < 0) return '';
      known.push(candidate);
    }
    return didYouMean(word, known);
  }
}
