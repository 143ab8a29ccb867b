import { Command, CommanderError } from 'commander';
import { addAgent } from './agent.js';
import { describeFailure, EXIT, type Failure, toFailure } from './failure.js';
import { addHealth } from './health.js';
import { addCommonFlags, commonFlags, verb } from './session.js';
import { addTask } from './task.js';
import type { CliContext } from './terminal.js';
import { coloursFor } from './words.js';

/** The program's commands; `extend` adds those that start something. */
export function buildProgram(
  context: CliContext,
  extend: (program: Command, agent: Command) => void = () => {},
): Command {
  const { terminal, version } = context;
  const program = new Command('holdfast')
    .description('Remote execution over one gRPC stream per agent: no task ever runs twice at once.')
    .enablePositionalOptions()
    .showHelpAfterError('(add --help to see what is possible)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out.print(text),
      writeErr: (text) => terminal.err.print(text),
      getOutHelpWidth: () => terminal.out.columns ?? 100,
      getErrHelpWidth: () => terminal.err.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  addCommonFlags(program);
  program.version(version, '-V, --version', 'print the version');
  const agent = addAgent(program, context);
  addTask(program, context);
  addHealth(program, context);
  addVersion(program, context);
  extend(program, agent);
  for (const command of everyCommand(program)) {
    if (command.commands.length > 0) command.helpCommand(false);
  }
  program.addHelpText('after', EPILOGUE);
  return program;
}

const EPILOGUE = `
See it work:   holdfast dev, then in another terminal
               holdfast task submit --wait -- echo hello
Every flag has a variable: --queued-timeout is HOLDFAST_QUEUED_TIMEOUT.
Exit codes:    0 ok, 1 unexpected, 2 usage or configuration, 3 the awaited task failed, 4 not found,
               5 conflict, 6 timed out waiting, 69 coordinator unreachable, 77 denied, 130 interrupted`;

const everyCommand = (command: Command): Command[] =>
  command.commands.flatMap((sub) => [sub, ...everyCommand(sub)]);

function addVersion(program: Command, context: CliContext): void {
  const command = addCommonFlags(verb(program, 'version', 'version of this program'), { connects: false });
  command.action(async () => {
    const { terminal, version } = context;
    const { output } = await context.settings(commonFlags(command));
    const { present } = await import('./present.js');
    const node = process.version;
    const platform = `${process.platform} ${process.arch}`;
    await present(terminal.out, output, {
      data: { version, node, platform },
      names: [version],
      table: () => `holdfast ${version} (node ${node}, ${platform})\n`,
    });
  });
}

/** Runs the program with the arguments after its name; returns the exit code, and never throws. */
export async function runProgram(
  program: Command,
  context: CliContext,
  argv: readonly string[],
): Promise<number> {
  const { terminal } = context;
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      if (argv.includes('submit') && error.code === 'commander.unknownOption') {
        terminal.err.print('  try: put -- before the command: holdfast task submit -- COMMAND [ARG ...]\n');
      }
      return EXIT.usage;
    }
    const failure: Failure = toFailure(error);
    terminal.err.print(describeFailure(failure, coloursFor(terminal.err, terminal.env)));
    return failure.exitCode;
  }
}
