import type { Command } from 'commander';
import { type Client, connect, HoldfastError } from '../client/index.js';
import { interrupted, timedOut } from './failure.js';
import { readVariables } from './flags.js';
import type { Presentation } from './present.js';
import { present, presentItem } from './present.js';
import type { CliContext, ClientSettings, CommonFlags, Terminal } from './terminal.js';
import { type Colours, coloursFor } from './words.js';

const CALL_TIMEOUT_MS = 10_000;

/** What a command works with. */
export interface Session {
  readonly terminal: Terminal;
  readonly settings: ClientSettings;
  readonly client: Client;
  /** Colours of standard output. */
  readonly colours: Colours;
  /** How each call is made. */
  readonly call: { readonly signal: AbortSignal; readonly timeoutMs: number };
  show(of: Presentation): Promise<void>;
  showItem(of: Presentation): Promise<void>;
}

/** The flags that every client command has; their values are read by `settings` together with file and environment. */
export function addCommonFlags(
  command: Command,
  options: { connects: boolean } = { connects: true },
): Command {
  command.optionsGroup('Common options:');
  if (options.connects) {
    command.option('--coordinator <HOST:PORT>', 'address of the coordinator [HOLDFAST_COORDINATOR]');
    command.option(
      '--timeout <DURATION>',
      'longest wait: of a call (10s), or of all waiting [HOLDFAST_TIMEOUT]',
    );
  }
  command.option('-o, --output <FORM>', 'table, json, jsonl, yaml or name [HOLDFAST_OUTPUT]');
  command.option('--config <FILE>', 'configuration file [HOLDFAST_CONFIG]');
  return command;
}

/** The common flags given to a command or before its name; what stands nearer to the end wins. */
export function commonFlags(command: Command): CommonFlags {
  const chain: Command[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) chain.unshift(at);
  const merged: Record<string, string> = {};
  for (const { options } of chain.map((link) => ({ options: link.opts() }))) {
    for (const name of ['coordinator', 'output', 'timeout', 'config']) {
      const value: unknown = options[name];
      if (typeof value === 'string') merged[name] = value;
    }
  }
  return merged;
}

/** A command that talks to the coordinator: settings first, then the work, then the end of the connection. */
export function clientAction<Flags>(
  context: CliContext,
  command: Command,
  run: (session: Session, args: readonly string[], flags: Flags) => Promise<void>,
): void {
  addCommonFlags(command);
  command.action(async () => {
    const { terminal } = context;
    readVariables(command, terminal.env);
    const settings = await context.settings(commonFlags(command));
    const timeoutMs = settings.timeoutMs ?? CALL_TIMEOUT_MS;
    // People at a terminal would rather hear at once that nobody is there; submissions are repeated with a word.
    const client = connect(settings.coordinator, { timeoutMs, retry: false });
    const { output } = settings;
    try {
      const session: Session = {
        terminal,
        settings,
        client,
        colours: coloursFor(terminal.out, terminal.env),
        call: { signal: terminal.interrupt, timeoutMs },
        show: (of) => present(terminal.out, output, of),
        showItem: (of) => presentItem(terminal.out, output, of),
      };
      await run(session, command.args, command.opts() as Flags);
    } catch (error) {
      throw wasCancelled(error) && terminal.interrupt.aborted ? interrupted() : error;
    } finally {
      client.close();
    }
  });
}

/** Runs something that waits: it ends with --timeout (exit code 6) or an interrupt (130). */
export async function waiting<T>(
  session: Session,
  what: string,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { terminal, settings } = session;
  const limit = settings.timeoutMs === null ? [] : [AbortSignal.timeout(settings.timeoutMs)];
  try {
    return await run(AbortSignal.any([terminal.interrupt, ...limit]));
  } catch (error) {
    if (!wasCancelled(error)) throw error;
    throw terminal.interrupt.aborted ? interrupted() : timedOut(what);
  }
}

const wasCancelled = (error: unknown): boolean =>
  error instanceof HoldfastError && error.code === 'CANCELLED';

/** Waits, unless the signal aborts first. */
export function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, durationMs);
    signal.addEventListener('abort', done);
  });
}

/** Adds a verb to a noun, such as `list` to `task`. */
export function verb(noun: Command, usageText: string, doc: string): Command {
  return noun.command(usageText).description(doc).allowExcessArguments(false);
}
