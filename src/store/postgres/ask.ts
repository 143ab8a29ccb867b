import type { Columns, Param } from './driver.js';

/** Asks the database; what is asked again with other parameters is prepared once. Throws StoreError. */
export type Ask = (text: string, params?: readonly Param[]) => Promise<readonly Columns[]>;

/** How a reader asks: for the next decision, for people, and for what may take long at a start. */
export interface Asks {
  readonly soon: Ask;
  readonly leisurely: Ask;
}

/** Terms of a WHERE that all must hold; `?` in them stands for the next parameter. */
export class Where {
  readonly params: Param[] = [];
  readonly #terms: string[] = [];

  and(term: string, ...values: readonly Param[]): void {
    let used = 0;
    this.#terms.push(term.replaceAll('?', () => `$${this.params.length + ++used}`));
    this.params.push(...values);
  }

  /** The place of the parameter behind all of these. */
  get next(): string {
    return `$${this.params.length + 1}`;
  }

  get text(): string {
    return this.#terms.length === 0 ? '' : `WHERE ${this.#terms.join(' AND ')}`;
  }
}
