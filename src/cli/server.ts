import { resolve } from 'node:path';
import type { Command } from 'commander';
import { formatDuration } from '../kit/duration.js';
import { clientAction, verb } from './session.js';
import type { CliContext } from './terminal.js';

/** `holdfast server …`, all but what runs without a coordinator; returns the noun so that the composition can add that. */
export function addServer(program: Command, context: CliContext): Command {
  const noun = program
    .command('server')
    .description('run a coordinator, back it up, check it')
    .helpCommand(false);
  const backup = verb(noun, 'backup', 'copy the database of the running coordinator to a new file').argument(
    '<FILE>',
    "on the coordinator's machine; relative to here",
  );
  clientAction(context, backup, async (session, [file = '']) => {
    // The time of one call is for answers; a copy takes as long as the database is large.
    const { timeoutMs } = session.settings;
    const { signal } = session.call;
    const choices = timeoutMs === null ? { signal } : { signal, timeoutMs };
    const made = await session.client.backUp(resolve(file), choices);
    await session.showItem({
      data: { ...made },
      names: [made.file],
      table: () => `${made.file}: ${made.pages} pages in ${formatDuration(made.elapsedMs)}\n`,
    });
  });
  return noun;
}
