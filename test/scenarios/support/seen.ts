import type { Token } from '../../../src/kit/ids.js';

/** A run of a task, or a wait for one, as somebody beside the agents saw it. */
export interface Seen {
  readonly task: string;
  readonly agentId: string;
  readonly token: Token;
  /** Milliseconds after midnight. */
  readonly from: number;
  /** Null while it goes on. */
  to: number | null;
}

/** Tasks that were run, or waited for, twice at once. */
export function overlaps(seen: readonly Seen[]): string[] {
  const found = new Set<string>();
  for (const [at, one] of seen.entries()) {
    const others = seen.slice(at + 1).filter(({ task }) => task === one.task);
    if (others.some(({ from }) => one.to === null || from < one.to)) found.add(one.task);
  }
  return [...found];
}
