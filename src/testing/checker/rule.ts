import type { Book } from './book.js';
import type { Judged } from './events.js';

export type JudgedKind = Judged['kind'];
export type Of<K extends JudgedKind> = Extract<Judged, { kind: K }>;

/** What an event breaks, in words; null when it keeps the promise. */
type Check<K extends JudgedKind> = (event: Of<K>, book: Book) => string | null;

/** One row of the checker's table: a promise, and what of it can be judged when an event of a kind comes. */
export interface Rule {
  /** K1 … K17 of the fault catalogue, or an invariant of the protocol. */
  readonly name: string;
  /** The promise, in a sentence. */
  readonly claim: string;
  /** Judged before the book takes the event in. */
  readonly on: { readonly [K in JudgedKind]?: Check<K> };
}
