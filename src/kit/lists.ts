const NONE: readonly never[] = Object.freeze([]);

/** Each element as `of` has it. Most lists of a message are empty, and one empty list is enough for all of these. */
export function mapped<From, To>(list: readonly From[], of: (from: From) => To): readonly To[] {
  return list.length === 0 ? NONE : list.map((from) => of(from));
}

const NO_TEXTS: Readonly<Record<string, string>> = Object.freeze({});

/** A map of texts as an object; empty ones share one, as lists do. */
export function recordOf(map: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  return map.size === 0 ? NO_TEXTS : Object.fromEntries(map);
}
