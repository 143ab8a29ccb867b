import type { WallMs } from '../kit/time.js';
import { Fault } from './fault.js';

const PAGE = 100;
const PAGE_LIMIT = 1_000;
/** Pages that are gathered before what lies beyond the first is let go. */
const SORTED_AT = 4;

/** What a request says of the page that it wants. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** Entries of one page. */
export function sizeOf({ pageSize }: Pick<PageRequest, 'pageSize'>): number {
  return Math.min(pageSize === 0 ? PAGE : pageSize, PAGE_LIMIT);
}

/**
 * One page of what is in memory in the order of its keys. The token is the last key: what comes and goes moves nothing.
 * Of 100,000 items a page looks at each once and sorts few: a call must not hold up the heartbeats that wait behind it.
 */
export function pageOf<T>(
  items: Iterable<T>,
  keyOf: (item: T) => string,
  request: PageRequest,
): { readonly page: readonly T[]; readonly nextPageToken: string } {
  const size = sizeOf(request);
  const first: T[] = [];
  const order = (a: T, b: T): number => (keyOf(a) < keyOf(b) ? -1 : 1);
  let bound: string | null = null;
  for (const item of items) {
    const key = keyOf(item);
    if (key <= request.pageToken || (bound !== null && key >= bound)) continue;
    first.push(item);
    if (first.length < SORTED_AT * size) continue;
    first.sort(order).length = size + 1;
    bound = keyOf(first[size] as T);
  }
  return cut(first.sort(order), keyOf, size);
}

/** A page of `size` of what was read one entry beyond it. */
export function cut<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  size: number,
): { readonly page: readonly T[]; readonly nextPageToken: string } {
  const page = items.slice(0, size);
  const last = page.at(-1);
  return { page, nextPageToken: items.length > size && last !== undefined ? keyOf(last) : '' };
}

/** A place in a list by when things were created, then by their name, as a token; the name may hold anything. */
export function placeToken(createdAt: WallMs, name: string): string {
  return `${createdAt} ${name}`;
}

/** The place that a token names; null for the first page. Throws Fault INVALID_REQUEST. */
export function placeOf(token: string): { readonly createdAt: WallMs; readonly name: string } | null {
  if (token === '') return null;
  const [, at, name] = /^(\d{1,15}) (.+)$/s.exec(token) ?? [];
  if (at === undefined || name === undefined) throw badToken(token);
  return { createdAt: Number(at) as WallMs, name };
}

/** The number that a token names; null for the first page. Throws Fault INVALID_REQUEST. */
export function numberOf(token: string): number | null {
  if (token === '') return null;
  if (!/^\d{1,15}$/.test(token)) throw badToken(token);
  return Number(token);
}

export function badToken(token: string): Fault {
  return new Fault(
    'INVALID_REQUEST',
    `page_token ${JSON.stringify(token.slice(0, 140))} leads nowhere`,
    'it was not given by this list',
    'begin with the first page',
  );
}
