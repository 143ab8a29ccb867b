import type { Command } from 'commander';
import { flag, wholeNumber } from './flags.js';
import type { Presentation } from './present.js';
import type { Session } from './session.js';
import type { View } from './task-views.js';

/** Entries of a table that nobody limited. */
const SHOWN = 50;

/** What the views of a command are made with. */
export const viewOf = (session: Session): View => ({
  out: session.terminal.out,
  colours: session.colours,
  now: session.terminal.now(),
});

/** The flag that `showList` reads. */
export function addLimit(command: Command): void {
  flag(command, '--limit <N>', `at most so many (default: ${SHOWN} in a table, else all)`, {
    parse: wholeNumber(1, 10_000_000),
    variable: 'HOLDFAST_LIST_LIMIT',
  });
}

/** Shows a list that may be longer than memory: forms without a frame go out as they come. */
export async function showList<T>(
  session: Session,
  limit: number | undefined,
  read: (choices: Session['call'] & { readonly limit: number | undefined }) => AsyncIterable<T>,
  view: (items: readonly T[]) => Presentation,
): Promise<void> {
  const { output } = session.settings;
  const most = limit ?? (output === 'table' ? SHOWN : undefined);
  const items: T[] = [];
  for await (const item of read({ ...session.call, limit: most })) {
    if (output === 'jsonl' || output === 'name') await session.show(view([item]));
    else items.push(item);
  }
  if (output === 'jsonl' || output === 'name') return;
  await session.show(view(items));
  if (output === 'table' && limit === undefined && items.length === most) {
    session.terminal.err.print(`only the first ${most} are shown; ask for more with --limit\n`);
  }
}
