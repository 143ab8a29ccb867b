import type { CallChoices } from './channel.js';

/** How a list is read. */
export interface PageChoices extends CallChoices {
  /** At most so many entries. Default all. */
  readonly limit?: number | undefined;
}

const PAGE = 100;

/** Reads a list page by page, as its entries are asked for. */
export async function* pagesOf<T>(
  limit: number | undefined,
  read: (page: { readonly pageSize: number; readonly pageToken: string }) => Promise<{
    readonly items: readonly T[];
    readonly nextPageToken: string;
  }>,
): AsyncGenerator<T, void, undefined> {
  let left = limit ?? Number.POSITIVE_INFINITY;
  let pageToken = '';
  while (left > 0) {
    const { items, nextPageToken } = await read({ pageSize: Math.min(left, PAGE), pageToken });
    yield* items.slice(0, left);
    left -= items.length;
    pageToken = nextPageToken;
    if (pageToken === '') return;
  }
}
