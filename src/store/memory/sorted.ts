/** Values in the order of `compare`, which never calls two of them equal. Adding at the end is the fast case. */
export class Sorted<Value> {
  readonly #values: Value[] = [];
  readonly #compare: (a: Value, b: Value) => number;

  constructor(compare: (a: Value, b: Value) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#values.length;
  }

  first(): Value | undefined {
    return this.#values[0];
  }

  at(place: number): Value | undefined {
    return this.#values[place];
  }

  add(value: Value): void {
    const last = this.#values.at(-1);
    if (last === undefined || this.#compare(last, value) < 0) this.#values.push(value);
    else this.#values.splice(this.placeOf(value), 0, value);
  }

  remove(value: Value): void {
    const place = this.placeOf(value);
    const found = this.#values[place];
    if (found === undefined || this.#compare(found, value) !== 0) return;
    if (place === 0) this.#values.shift();
    else this.#values.splice(place, 1);
  }

  /** How many values come before this one. */
  placeOf(value: Value): number {
    let low = 0;
    let high = this.#values.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#values[middle] as Value, value) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** How many values come before this one or are it. */
  placeAfter(value: Value): number {
    const place = this.placeOf(value);
    const found = this.#values[place];
    return found !== undefined && this.#compare(found, value) === 0 ? place + 1 : place;
  }

  slice(from: number, to?: number): Value[] {
    return this.#values.slice(from, to);
  }
}

/** By code unit, which for ids and lanes (ASCII) is the order of every other store too. */
export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
