import type { Command } from 'commander';
import { verb } from './session.js';

/**
 * `completion SHELL` prints a script for the shell, which then asks `complete -- WORDS` at each press of Tab. The
 * library that does both is loaded for these two only.
 */
export async function addCompletion(program: Command, argv: readonly string[]): Promise<void> {
  const asked = argv[0] === 'completion' || argv[0] === 'complete';
  if (asked) {
    const { default: tab } = await import('@bomb.sh/tab/commander');
    tab(program, { completionCommandName: 'completion' });
    return;
  }
  verb(program, 'completion', 'a script for bash, zsh, fish or powershell').argument(
    '<SHELL>',
    'name of the shell',
  );
}
