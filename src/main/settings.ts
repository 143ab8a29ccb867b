import { availableParallelism, homedir } from 'node:os';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type ClientSettings, type CommonFlags, EXIT, Failure } from '../cli/index.js';
import { ConfigError } from '../config/problem.js';
import { type Config, resolveConfig, type Sources } from '../config/resolve.js';
import type { Setting } from '../config/setting.js';
import { SETTINGS, type SettingKey } from '../config/settings.js';
import { variableOf } from '../kit/variable.js';
import { dataFolder, hostAgentId } from './paths.js';
import { clientTlsOf } from './tls.js';

type Flags = Partial<Record<SettingKey, string | string[]>>;

/** Adds the flags of these settings to a command that starts something, with its own defaults where it has some. */
export function addSettingFlags(
  command: Command,
  keys: readonly SettingKey[],
  defaults: Sources['defaults'] = {},
): void {
  for (const key of keys) {
    const of = SETTINGS[key] as Setting<unknown>;
    const value = of.kind.placeholder === 'true|false' ? '[true|false]' : `<${of.kind.placeholder}>`;
    const preset: unknown = defaults[key] ?? of.fallback;
    const shown = preset === null ? (of.otherwise ?? '') : of.kind.show(preset);
    const fallback = shown === '' ? '' : ` (default: ${shown})`;
    const option = new Option(
      `${of.short === undefined ? '' : `-${of.short}, `}--${of.flag} ${value}`,
      `${of.doc}${fallback} [${variableOf(of.flag)}]`,
    );
    if (of.kind.repeats) option.argParser((text, before: unknown) => [...((before as string[]) ?? []), text]);
    command.addOption(option);
  }
  command.option('--config <FILE>', 'configuration file [HOLDFAST_CONFIG]');
}

/** What was given on the command line of such a command; flags before the command's name count as well. */
export function givenFlags(command: Command, keys: readonly SettingKey[]): Flags {
  const flags: Flags = {};
  for (const key of keys) {
    const name = new Option(`--${SETTINGS[key].flag} <x>`).attributeName();
    const value: unknown = command.optsWithGlobals()[name];
    // A flag for a truth value may stand alone.
    if (value === true) flags[key] = 'true';
    else if (typeof value === 'string' || Array.isArray(value)) flags[key] = value as string | string[];
  }
  return flags;
}

/** Every setting, from all sources. Throws Failure with the exit code of bad configuration. */
export async function readSettings(
  flags: Flags,
  configFile: string | undefined,
  defaults: Sources['defaults'] = {},
  exitCode: number = EXIT.usage,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Config> {
  const home = homedir();
  const data = dataFolder(env, home);
  return asFailure(exitCode, () =>
    resolveConfig({
      flags,
      env,
      cwd: process.cwd(),
      home,
      configFile: configFile ?? (env.HOLDFAST_CONFIG || undefined),
      defaults: {
        'server.dbFile': resolve(data, 'holdfast.db'),
        'agent.id': hostAgentId(),
        'agent.slots': availableParallelism(),
        ...defaults,
      },
    }),
  );
}

/** Runs something that may throw ConfigError, and gives it the program's form and exit code. */
export async function asFailure<T>(exitCode: number, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof ConfigError) throw new Failure(exitCode, 'BAD_CONFIGURATION', error.problems);
    throw error;
  }
}

/** The settings of plain client commands. */
export async function clientSettings(
  flags: CommonFlags,
  env: NodeJS.ProcessEnv = process.env,
): Promise<ClientSettings> {
  const { config: file, ...rest } = flags;
  const given = Object.entries(rest).filter(([, value]) => value !== undefined);
  const config = await readSettings(Object.fromEntries(given) as Flags, file, {}, EXIT.usage, env);
  return {
    coordinator: config.get('coordinator'),
    output: config.get('output'),
    timeoutMs: config.find('timeout'),
    // Only what is dialled with is read: a command without a coordinator needs no certificates.
    tls: () => asFailure(EXIT.usage, () => clientTlsOf(config, Date.now())),
  };
}
