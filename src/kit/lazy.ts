/**
 * A map that is made by its first entry; before, it looks into an empty one that all of them share. A batch has some thirty
 * collections and writes a few of them, and an empty map costs almost 200 bytes.
 */
export class LazyMap<K, V> implements ReadonlyMap<K, V> {
  #entries: Map<K, V> = NO_ENTRIES;

  set(key: K, value: V): this {
    if (this.#entries === NO_ENTRIES) this.#entries = new Map();
    this.#entries.set(key, value);
    return this;
  }

  delete(key: K): boolean {
    return this.#entries.delete(key);
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: K): V | undefined {
    return this.#entries.get(key);
  }

  has(key: K): boolean {
    return this.#entries.has(key);
  }

  keys(): MapIterator<K> {
    return this.#entries.keys();
  }

  values(): MapIterator<V> {
    return this.#entries.values();
  }

  entries(): MapIterator<[K, V]> {
    return this.#entries.entries();
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.#entries.entries();
  }

  forEach(told: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this.#entries) told(value, key, this);
  }
}

/** A set that is made by its first element, as a LazyMap by its first entry. */
export class LazySet<T> implements Iterable<T> {
  #elements: Set<T> = NO_ELEMENTS;

  add(value: T): this {
    if (this.#elements === NO_ELEMENTS) this.#elements = new Set();
    this.#elements.add(value);
    return this;
  }

  get size(): number {
    return this.#elements.size;
  }

  has(value: T): boolean {
    return this.#elements.has(value);
  }

  [Symbol.iterator](): SetIterator<T> {
    return this.#elements.values();
  }
}

// Shared by all, and never written to.
const NO_ENTRIES = new Map<never, never>();
const NO_ELEMENTS = new Set<never>();
