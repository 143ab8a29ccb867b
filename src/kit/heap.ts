import { invariant } from './invariant.js';

/** What a heap holds: it notes where each item stands, so that an item is found without a search. */
export interface Placed {
  /** Its index in the heap; -1 while it is in none. Only the heap sets it. */
  place: number;
}

/** Items of which only the first matters. `isBefore` may change for an item if `moved` is told of it at once. */
export class Heap<Item extends Placed> {
  readonly #items: Item[] = [];
  readonly #isBefore: (a: Item, b: Item) => boolean;

  constructor(isBefore: (a: Item, b: Item) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  first(): Item | undefined {
    return this.#items[0];
  }

  /** Takes an item in, or finds its place anew when it is there already. */
  put(item: Item): void {
    if (item.place < 0) {
      item.place = this.#items.length;
      this.#items.push(item);
    }
    invariant(this.#items[item.place] === item, 'an item is in one heap');
    this.#down(this.#up(item));
  }

  /** Takes an item out; nothing happens when it is in no heap. */
  remove(item: Item): void {
    if (item.place < 0) return;
    invariant(this.#items[item.place] === item, 'an item is in one heap');
    const { place } = item;
    const last = this.#items.pop();
    item.place = -1;
    if (last === undefined || last === item) return;
    this.#set(last, place);
    this.#down(this.#up(last));
  }

  #up(item: Item): Item {
    while (item.place > 0) {
      const parent = this.#items[(item.place - 1) >> 1] as Item;
      if (!this.#isBefore(item, parent)) break;
      this.#swap(item, parent);
    }
    return item;
  }

  #down(item: Item): void {
    for (;;) {
      const left = 2 * item.place + 1;
      const [one, two] = [this.#items[left], this.#items[left + 1]];
      if (one === undefined) return;
      const child = two !== undefined && this.#isBefore(two, one) ? two : one;
      if (!this.#isBefore(child, item)) return;
      this.#swap(child, item);
    }
  }

  #swap(a: Item, b: Item): void {
    const place = a.place;
    this.#set(a, b.place);
    this.#set(b, place);
  }

  #set(item: Item, place: number): void {
    this.#items[place] = item;
    item.place = place;
  }
}
