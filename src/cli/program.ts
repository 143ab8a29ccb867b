import { Command, CommanderError } from 'commander';
import { addAgent } from './agent.js';
import { addBackfill } from './backfill.js';
import { addDag } from './dag.js';
import { describeFailure, EXIT, type Failure, toFailure, usage } from './failure.js';
import { plainRule } from './flags.js';
import { addHealth } from './health.js';
import { addQueue } from './queue.js';
import { addRun } from './run.js';
import { addServer } from './server.js';
import { addCommonFlags, commonFlags, ROOT, verb } from './session.js';
import { addAsset, addBundle, addPool, addTrigger } from './shared.js';
import { addTask } from './task.js';
import type { CliContext } from './terminal.js';
import { coloursFor, shorten } from './words.js';

/** The program's commands; `extend` adds those that start something. */
export function buildProgram(
  context: CliContext,
  extend: (program: Command, nouns: { readonly agent: Command; readonly server: Command }) => void = () => {},
): Command {
  const { terminal, version } = context;
  const program = new Command(ROOT)
    .description(
      'Remote execution over one gRPC stream per agent: nothing starts without a durable confirmation.',
    )
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out.print(text),
      writeErr: (text) => terminal.err.print(text),
      // Said by runProgram, in the form of every other failure.
      outputError: () => {},
      getOutHelpWidth: () => terminal.out.columns ?? 100,
      getErrHelpWidth: () => terminal.err.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  addCommonFlags(program);
  program.version(version, '-V, --version', 'print the version');
  const agent = addAgent(program, context);
  addTask(program, context);
  addQueue(program, context);
  addDag(program, context);
  addRun(program, context);
  addBackfill(program, context);
  addAsset(program, context);
  addTrigger(program, context);
  addPool(program, context);
  addBundle(program, context);
  const server = addServer(program, context);
  addHealth(program, context);
  addVersion(program, context);
  extend(program, { agent, server });
  for (const command of everyCommand(program)) {
    if (command.commands.length > 0) command.helpCommand(false);
  }
  program.addHelpText('after', EPILOGUE);
  return program;
}

const EPILOGUE = `
See it work:   holdfast dev, then in another terminal
               holdfast task submit --wait -- echo hello
Variables:     named in brackets behind their flags: HOLDFAST_ and the flag, as in HOLDFAST_DB_FILE for --db-file; where
               a name is taken, one more word: HOLDFAST_TASK_QUEUED_TIMEOUT for --queued-timeout of task submit
Exit codes:    0 ok, 1 unexpected, 2 usage or configuration, 3 the awaited task or run failed, 4 not found,
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
      // A noun without its verb: the help that was printed is the answer.
      if (error.code.startsWith('commander.help')) return EXIT.usage;
    }
    const failure = error instanceof CommanderError ? misused(program, argv, error) : toFailure(error);
    terminal.err.print(describeFailure(failure, coloursFor(terminal.err, terminal.env)));
    return failure.exitCode;
  }
}

/** The words of commander in the form of every other failure. */
function misused(program: Command, argv: readonly string[], error: CommanderError): Failure {
  const { name, takesCommand } = commandOf(program, argv);
  const help = `${name} --help shows what is possible`;
  const [said = '', hint = ''] = error.message.replace(/^error: /, '').split('\n');
  const meant = /Did you mean (.*)\?/.exec(hint)?.[1];
  const suggestion = meant === undefined ? help : `${meant}; ${help}`;
  const [, flags, value, rule] = /^option '(.*?)' argument '(.*)' is invalid\. (.*)$/s.exec(said) ?? [];
  if (flags !== undefined && rule !== undefined) {
    const flag = /--[\w-]+/.exec(flags)?.[0] ?? flags;
    return usage(`${flag} cannot be ${shorten(JSON.stringify(value))}`, plainRule(rule), help);
  }
  const [, given, argument, itsRule] =
    /^command-argument value '(.*)' is invalid for argument '(.*?)'\. (.*)$/s.exec(said) ?? [];
  if (argument !== undefined && itsRule !== undefined) {
    return usage(`${argument} cannot be ${shorten(JSON.stringify(given))}`, plainRule(itsRule), help);
  }
  switch (error.code) {
    case 'commander.unknownOption': {
      const because = `${name} has no such option`;
      if (!takesCommand) return usage(said, because, suggestion);
      return usage(said, because, `${suggestion}; put -- before the command: ${name} -- COMMAND [ARG ...]`);
    }
    case 'commander.unknownCommand':
      return usage(said, `${name} has no such command`, suggestion);
    case 'commander.missingArgument':
      return usage(said, `${name} cannot do without it`, help);
    case 'commander.optionMissingArgument':
      return usage(said, 'the option needs a value', help);
    case 'commander.excessArguments':
      return usage(
        said.replace(/\. Expected .*$/s, ''),
        said.replace(/^.*?\. Expected/s, 'it expects').replace(/\.$/, ''),
        help,
      );
    default:
      return usage(said, 'it is not a way to call this program', help);
  }
}

/** The command that the arguments lead to, by its whole name. */
function commandOf(program: Command, argv: readonly string[]): { name: string; takesCommand: boolean } {
  const end = argv.indexOf('--');
  let at = program;
  const names = [program.name()];
  for (const word of end < 0 ? argv : argv.slice(0, end)) {
    const next = at.commands.find((command) => command.name() === word);
    if (next === undefined) continue;
    at = next;
    names.push(word);
  }
  return { name: names.join(' '), takesCommand: at.name() === 'submit' };
}
