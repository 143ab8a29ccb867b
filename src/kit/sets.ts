/** Adds to a set of a map, making the set when it is missing. */
export function add<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}

/** Takes out of a set of a map, dropping the set when it is empty. */
export function drop<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  if (set === undefined) return;
  set.delete(value);
  if (set.size === 0) map.delete(key);
}

/** Puts an element behind all others of its set; nothing happens when it is not in it. */
export function toBack<T>(set: Set<T> | undefined, value: T): void {
  if (set !== undefined && set.size > 1 && set.delete(value)) set.add(value);
}

/** The first elements of a set or of the keys of a map, in the order in which they came in; the rest is not looked at. */
export function first<T>(set: Iterable<T>, most: number): T[] {
  const taken: T[] = [];
  for (const value of set) {
    if (taken.length >= most) break;
    taken.push(value);
  }
  return taken;
}
