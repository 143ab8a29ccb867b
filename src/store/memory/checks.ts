import { StoreError } from '../store.js';

/** Throws StoreError `conflict` unless the row follows the stored one; version 1 follows none. */
export function checkVersion(what: string, version: number, stored: number | undefined): void {
  if ((stored ?? 0) !== version - 1) {
    throw conflict(what, `it is not stored with version ${version - 1}`);
  }
}

/** Throws StoreError `conflict` when two rows have one key, or one has a key that is stored. */
export function unique<Row, Key>(
  what: string,
  rows: readonly Row[],
  keyOf: (row: Row) => Key,
  stored?: ReadonlyMap<Key, unknown>,
): void {
  if (rows.length === 0) return;
  const seen = new Set<Key>();
  for (const row of rows) {
    const key = keyOf(row);
    if (seen.has(key) || stored?.has(key)) throw conflict(`${what} ${String(key)}`, 'it is there already');
    seen.add(key);
  }
}

export const conflict = (what: string, because: string): StoreError =>
  new StoreError('conflict', `${what} is not written, because ${because}; read again and decide again`);
