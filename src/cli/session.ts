import { type Command, Option } from 'commander';
import { type Client, connect, HoldfastError } from '../client/index.js';
import { interrupted, timedOut } from './failure.js';
import { readVariables } from './flags.js';
import type { Presentation } from './present.js';
import { present, presentItem } from './present.js';
import type { CliContext, ClientSettings, CommonFlags, Terminal } from './terminal.js';
import { type Colours, coloursFor } from './words.js';

/** The program itself, above all of its commands. */
export const ROOT = 'holdfast';
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

/** Flags of TLS, what they are, and the settings that they stand for. */
const TLS_FLAGS: readonly (readonly [string, string, keyof CommonFlags])[] = [
  ['--tls', 'speak TLS to the coordinator; implied by the flags below [HOLDFAST_TLS]', 'tls.enabled'],
  ['--no-tls', 'speak plaintext, whatever file and environment say', 'tls.enabled'],
  ['--tls-ca <FILE>', "authorities of the coordinator's certificate [HOLDFAST_TLS_CA]", 'tls.ca'],
  ['--tls-client-cert <FILE>', 'certificate of the caller [HOLDFAST_TLS_CLIENT_CERT]', 'tls.clientCert'],
  ['--tls-client-key <FILE>', 'its private key [HOLDFAST_TLS_CLIENT_KEY]', 'tls.clientKey'],
  [
    '--tls-server-name <NAME>',
    "name in the coordinator's certificate [HOLDFAST_TLS_SERVER_NAME]",
    'tls.serverName',
  ],
];

/** Taken before and after the command's name, shown once: mostly they come from a file or the environment. */
function addTlsFlags(command: Command): void {
  const isRoot = command.name() === ROOT;
  for (const [flags, doc] of TLS_FLAGS) command.addOption(new Option(flags, doc).hideHelp(!isRoot));
}

/** The flags that every client command has; their values are read by `settings` together with file and environment. */
export function addCommonFlags(
  command: Command,
  options: { connects: boolean; tls?: boolean } = { connects: true },
): Command {
  command.optionsGroup('Common options:');
  if (options.connects) {
    command.option('--coordinator <HOST:PORT>', 'address of the coordinator [HOLDFAST_COORDINATOR]');
    command.option(
      '--timeout <DURATION>',
      'longest wait: of a call (10s), or of all waiting [HOLDFAST_TIMEOUT]',
    );
  }
  if (options.tls ?? options.connects) addTlsFlags(command);
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
    for (const [flags, , key] of TLS_FLAGS) {
      const value: unknown = options[new Option(flags).attributeName()];
      if (typeof value === 'boolean' || typeof value === 'string') merged[key] = String(value);
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
    const tls = (await settings.tls()) ?? undefined;
    const client = connect(settings.coordinator, { timeoutMs, retry: false, tls });
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
