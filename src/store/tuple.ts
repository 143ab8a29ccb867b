import { StoreError } from './store.js';

/**
 * Reads one stored JSON array front to back and checks the type of every value it hands out: what a disk or another
 * program spoiled is noticed here, not three decisions later. Throws StoreError `corrupt`.
 */
export class TupleReader {
  readonly #values: readonly unknown[];
  readonly #what: string;
  #next = 0;

  /** `what` names the row for the error message. */
  constructor(stored: unknown, what: string) {
    this.#what = what;
    const values = typeof stored === 'string' ? this.#parse(stored) : stored;
    if (!Array.isArray(values)) throw this.#spoiled('is no list');
    this.#values = values;
  }

  text(): string {
    const value = this.#take();
    if (typeof value !== 'string') throw this.#spoiled('should be text');
    return value;
  }

  /** For a field that older rows do not have: those end before it. */
  textOr(fallback: string): string {
    return this.isOver() ? fallback : this.text();
  }

  number(): number {
    const value = this.#take();
    if (typeof value !== 'number') throw this.#spoiled('should be a number');
    return value;
  }

  numberOrNull(): number | null {
    return this.#isNull() ? null : this.number();
  }

  /** For a field that older rows do not have: those end before it. */
  numberOrNone(): number | null {
    return this.isOver() ? null : this.numberOrNull();
  }

  /** For a value that this row does not have: null, or missing in older rows. */
  none(): null {
    if (this.isOver() || this.#isNull()) return null;
    this.#take();
    throw this.#spoiled('should be null');
  }

  flag(): boolean {
    const value = this.#take();
    if (typeof value !== 'boolean') throw this.#spoiled('should be true or false');
    return value;
  }

  /** 64-bit integers are stored as decimal text, because JSON numbers are exact only up to 2^53. */
  bigint(): bigint {
    const digits = this.text();
    if (!/^-?\d{1,20}$/.test(digits)) throw this.#spoiled('should be an integer');
    return BigInt(digits);
  }

  /** One of the words that `words` has as keys. */
  word<Word extends string>(words: Readonly<Record<Word, true>>): Word {
    const value = this.text();
    if (!Object.hasOwn(words, value)) throw this.#spoiled(`may not be ${JSON.stringify(value)}`);
    return value as Word;
  }

  texts(): string[] {
    const value = this.#take();
    if (!Array.isArray(value) || value.some((each) => typeof each !== 'string')) {
      throw this.#spoiled('should be a list of texts');
    }
    return value as string[];
  }

  /** For a field that older rows do not have: those end before it. */
  textsOr(fallback: string[]): string[] {
    return this.isOver() ? fallback : this.texts();
  }

  textMap(): Record<string, string> {
    const value = this.#take();
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.#spoiled('should be a map of texts');
    }
    for (const each of Object.values(value)) {
      if (typeof each !== 'string') throw this.#spoiled('should be a map of texts');
    }
    return value as Record<string, string>;
  }

  tuple<T>(decode: (reader: TupleReader) => T): T {
    return decode(new TupleReader(this.#take(), this.#what));
  }

  tupleOrNull<T>(decode: (reader: TupleReader) => T): T | null {
    return this.#isNull() ? null : this.tuple(decode);
  }

  /** For a field that older rows do not have: those end before it. */
  tupleOrNone<T>(decode: (reader: TupleReader) => T): T | null {
    return this.isOver() ? null : this.tupleOrNull(decode);
  }

  tuples<T>(decode: (reader: TupleReader) => T): T[] {
    const value = this.#take();
    if (!Array.isArray(value)) throw this.#spoiled('should be a list');
    return value.map((each) => decode(new TupleReader(each, this.#what)));
  }

  /** For a field that older rows do not have: those end before it. */
  tuplesOr<T>(fallback: T[], decode: (reader: TupleReader) => T): T[] {
    return this.isOver() ? fallback : this.tuples(decode);
  }

  /** Whether every value is taken: older rows, and those with nothing more to say, end early. */
  isOver(): boolean {
    return this.#next >= this.#values.length;
  }

  #take(): unknown {
    return this.#values[this.#next++];
  }

  /** Whether the next value is null; if so, it is taken. */
  #isNull(): boolean {
    if (this.#values[this.#next] !== null) return false;
    this.#next++;
    return true;
  }

  #parse(stored: string): unknown {
    try {
      return JSON.parse(stored);
    } catch (cause) {
      throw this.#spoiled('is no JSON', cause);
    }
  }

  #spoiled(how: string, cause?: unknown): StoreError {
    const place = this.#next === 0 ? '' : `, value ${this.#next - 1},`;
    return new StoreError('corrupt', `${this.#what}${place} ${how}, so the stored row cannot be trusted`, {
      cause,
    });
  }
}
