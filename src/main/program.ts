import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import {
  addCommonFlags,
  addCompletion,
  buildProgram,
  type CliContext,
  coloursFor,
  commonFlags,
  EXIT,
  present,
  renderTable,
  runProgram,
  type Terminal,
} from '../cli/index.js';
import { type Config, misspeltVariables, type Sources } from '../config/resolve.js';
import { AGENT_KEYS, DEV_KEYS, SERVER_KEYS, type SettingKey } from '../config/settings.js';
import { SECOND } from '../kit/time.js';
import { addConformance } from './conformance.js';
import { addDagFiles } from './dag/commands.js';
import { dataFolder } from './paths.js';
import { addSettingFlags, clientSettings, givenFlags, readSettings } from './settings.js';
import { openTerminal } from './terminal.js';

/** Runs the program with the arguments after its name, and sets the exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const interrupt = new AbortController();
  const context: CliContext = {
    terminal: openTerminal(interrupt.signal),
    version: readVersion(),
    settings: (flags) => clientSettings(flags),
  };
  // Plain commands end at Ctrl-C; those that start something replace this by their own order of ending.
  const onInterrupt = (): void => {
    if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
    interrupt.abort();
  };
  process.on('SIGINT', onInterrupt);
  const start: Starter = async (run) => {
    process.off('SIGINT', onInterrupt);
    hideSqliteWarning();
    process.exitCode = await run();
  };
  const program = assemble(context, start);
  await addCompletion(program, argv);
  const code = await runProgram(program, context, argv);
  if (code !== EXIT.ok) process.exitCode = code;
  process.off('SIGINT', onInterrupt);
  // Whatever still keeps the process alive now is a leak, and must not keep a script waiting.
  setTimeout(() => process.exit(), LINGER_MS).unref();
  // Taking the environment down, Node waits without end, and at full speed, for the shutdown of an HTTP/2 session whose
  // peer was killed (seen with agents in Go). Nothing is left to be done here, so it may end without that.
  process.once('beforeExit', () => process.exit());
}

const LINGER_MS = 1_000;

function assemble(context: CliContext, start: Starter): Command {
  return buildProgram(context, (root, { agent, server }) => {
    addServerStart(server, context.terminal, start);
    addServerCheck(server, context.terminal);
    addAgentStart(agent, context.terminal, start);
    addDev(root, context.terminal, start);
    addConfig(root, context.terminal);
    addDagFiles(root, context);
    addConformance(root, context);
  });
}

/** The program to be looked at, not run: the reference is written from it. */
export function describeProgram(): Command {
  const terminal = openTerminal(new AbortController().signal);
  return assemble(
    { terminal, version: readVersion(), settings: (flags) => clientSettings(flags) },
    async () => {},
  );
}

type Starter = (run: () => Promise<number>) => Promise<void>;

const readVersion = (): string => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
};

/** A command that starts something: its flags are settings. */
function starting(
  command: Command,
  keys: readonly SettingKey[],
  terminal: Terminal,
  run: (read: () => Promise<Config>) => Promise<void>,
  defaults: Sources['defaults'] = {},
  badConfiguration: number = EXIT.usage,
): void {
  addSettingFlags(command, keys, defaults);
  command.allowExcessArguments(false).action(async () => {
    const { config } = commonFlags(command);
    for (const { variable, meant } of misspeltVariables(terminal.env)) {
      terminal.err.print(`warning: ${variable} is not a setting (did you mean ${meant}?)\n`);
    }
    const given = givenFlags(command, keys);
    await run(() => readSettings(given, config, defaults, badConfiguration));
  });
}

function addServerStart(noun: Command, terminal: Terminal, start: Starter): void {
  const command = noun.command('start').description('start a coordinator; its pid is that of this program');
  command.option('--restore <FILE>', 'begin with this backup; refused when the database is there already');
  const run = async (read: () => Promise<Config>): Promise<void> => {
    const config = await read();
    const { restore } = command.opts<{ restore?: string }>();
    const { runServer } = await import('./server.js');
    await start(() => runServer(config, read, restore ?? null));
  };
  starting(command, SERVER_KEYS, terminal, run);
}

function addServerCheck(noun: Command, terminal: Terminal): void {
  const command = noun
    .command('check')
    .description(
      "read a stopped coordinator's database, or a backup, through; exit code 1 when something is wrong",
    )
    .argument('[FILE]', 'database file; without one the database of HOLDFAST_STORE')
    .allowExcessArguments(false);
  addCommonFlags(command, { connects: false }).action(async (given: string | undefined) => {
    hideSqliteWarning();
    const config = await readSettings({}, commonFlags(command).config);
    const { checkStored } = await import('./check.js');
    const { file, tasks, findings, more } = await checkStored(given, config);
    await present(terminal.out, (commonFlags(command).output as 'table') ?? config.get('output'), {
      data: { file, tasks, findings, more },
      names: findings,
      table: () =>
        [
          ...findings,
          ...(more ? ['there is more'] : []),
          `${tasks} tasks read, ${findings.length === 0 ? 'all is well' : 'restore a backup, and keep this file as it is'}`,
        ]
          .map((line) => `${line}\n`)
          .join(''),
    });
    if (findings.length > 0) process.exitCode = EXIT.unexpected;
  });
}

function addAgentStart(noun: Command, terminal: Terminal, start: Starter): void {
  const command = noun.command('start').description('start an agent; its pid is that of this program');
  const run = async (read: () => Promise<Config>): Promise<void> => {
    const config = await read();
    const { runAgent } = await import('./agent.js');
    await start(() => runAgent(config, read));
  };
  starting(command, AGENT_KEYS, terminal, run, {}, EXIT.badConfiguration);
}

// More than a small machine has: commands of a trial mostly wait.
const DEV_SLOTS = 8;

function addDev(program: Command, terminal: Terminal, start: Starter): void {
  const command = program
    .command('dev')
    .description('a coordinator and its agents with one command, to try things');
  const run = async (read: () => Promise<Config>): Promise<void> => {
    const config = await read();
    const { runDev } = await import('./dev.js');
    await start(() => runDev(config));
  };
  starting(command, DEV_KEYS, terminal, run, {
    // A file of its own, so that a trial never meets the data, or the lock, of a real coordinator.
    'server.dbFile': resolve(dataFolder(process.env, homedir()), 'dev.db'),
    'agent.slots': DEV_SLOTS,
    'agent.drainTimeout': 10 * SECOND,
  });
}

function addConfig(program: Command, terminal: Terminal): void {
  const noun = program.command('config').description('see the configuration').helpCommand(false);
  const command = noun.command('show').description('every setting with its value');
  command.option('--origin', 'where each value comes from, as well').allowExcessArguments(false);
  addCommonFlags(command).action(async () => {
    const flags = commonFlags(command);
    const given = Object.entries(flags).filter(([name, value]) => name !== 'config' && value !== undefined);
    const config = await readSettings(Object.fromEntries(given), flags.config);
    const origin = command.opts().origin === true;
    const entries = config.entries();
    const words = (of: (typeof entries)[number]['origin']): string =>
      of.kind === 'default' ? 'default' : `${of.kind} ${of.name}`;
    await present(terminal.out, config.get('output'), {
      data: entries.map(({ key, text, origin: from }) => ({
        key,
        value: text,
        ...(origin ? { origin: from.kind, from: from.name || null } : {}),
      })),
      names: entries.map(({ key }) => key),
      table: () =>
        renderTable(
          origin ? ['KEY', 'VALUE', 'ORIGIN'] : ['KEY', 'VALUE'],
          entries.map(({ key, text, origin: from }) => [key, text ?? '-', ...(origin ? [words(from)] : [])]),
          coloursFor(terminal.out, terminal.env),
          terminal.out.columns,
        ),
    });
  });
}

/** The store's driver is built into Node and works; that its interface is called experimental helps nobody here. */
function hideSqliteWarning(): void {
  const warn = process.emitWarning.bind(process) as (...args: unknown[]) => void;
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]): void => {
    if (!String(warning).includes('SQLite is an experimental feature')) warn(warning, ...rest);
  }) as typeof process.emitWarning;
}
