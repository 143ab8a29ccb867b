import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseBytes, parseCpu } from '../kit/amount.js';
import { parseDuration } from '../kit/duration.js';
import { parseInstant } from '../kit/instant.js';
import { didYouMean } from '../kit/suggest.js';
import { variableOf } from '../kit/variable.js';
import { usage } from './failure.js';
import { shorten } from './words.js';

/** Reads the text of a flag or of its variable; throws InvalidArgumentError. */
export type FlagParser = (text: string, before: unknown) => unknown;

/** Choices about one flag. */
export interface FlagChoices {
  readonly parse?: FlagParser;
  /** Default: HOLDFAST_ and the flag's name. Another one where two commands mean different things by one name. */
  readonly variable?: string;
}

// Which variable stands for which option of which command.
const variables = new WeakMap<Option, string>();

/** Adds a flag that can also be given as an environment variable. */
export function flag(command: Command, flags: string, doc: string, choices: FlagChoices = {}): void {
  const option = new Option(flags, doc);
  const variable = choices.variable ?? variableOf(option.name());
  option.description = `${doc} [${variable}]`;
  if (choices.parse !== undefined) option.argParser(choices.parse);
  variables.set(option, variable);
  command.addOption(option);
}

const YES = ['true', 'yes', 'on', '1'];
const NO = ['false', 'no', 'off', '0', ''];

/** Fills flags that were not given from their variables. Called by every command before it starts. */
export function readVariables(command: Command, env: NodeJS.ProcessEnv): void {
  for (const option of command.options) {
    const variable = variables.get(option);
    const text = variable === undefined ? undefined : env[variable];
    const name = option.attributeName();
    if (variable === undefined || text === undefined || text === '') continue;
    if (command.getOptionValue(name) !== undefined) continue;
    command.setOptionValueWithSource(name, parseVariable(option, variable, text), 'env');
  }
}

function parseVariable(option: Option, variable: string, text: string): unknown {
  const fail = (because: string): never =>
    throwUsage(
      `${variable} cannot be ${shorten(JSON.stringify(text))}`,
      plainRule(because),
      option.long ?? '',
    );
  if (option.isBoolean()) {
    const word = text.toLowerCase();
    if (YES.includes(word)) return true;
    return NO.includes(word) ? undefined : fail('it must be true or false');
  }
  try {
    // A list's variable separates by commas what the command line gives in several flags.
    const parts = option.variadic || LISTS.has(option) ? text.split(',') : [text];
    return parts.reduce<unknown>((before, part) => (option.parseArg ?? plain)(part, before), undefined);
  } catch (error) {
    if (error instanceof InvalidArgumentError) return fail(error.message);
    throw error;
  }
}

function throwUsage(what: string, because: string, flag: string): never {
  throw usage(what, because, `correct the variable, unset it, or give ${flag}`);
}

/** `It must be …` with its full stop is a sentence in commander's form, not in ours. */
export const plainRule = (rule: string): string =>
  rule.replace(/^[A-Z]/, (letter) => letter.toLowerCase()).replace(/\.$/, '');

const plain = (text: string): unknown => text;
const LISTS = new WeakSet<Option>();

/** Adds a flag that may be given several times; its variable separates by commas. */
export function listFlag(command: Command, flags: string, doc: string, choices: FlagChoices = {}): void {
  flag(command, flags, doc, choices);
  const option = command.options.at(-1);
  if (option !== undefined) LISTS.add(option);
}

/** A whole number from `low` to `high`. */
export const wholeNumber =
  (low: number, high: number): FlagParser =>
  (text) => {
    const value = /^-?\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (value >= low && value <= high) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${low} to ${high}.`);
  };

/** A text of at most so many bytes. */
export const shortText =
  (maxBytes: number): FlagParser =>
  (text) => {
    if (Buffer.byteLength(text) <= maxBytes) return text;
    throw new InvalidArgumentError(`It must be at most ${maxBytes} bytes.`);
  };

/** `15s`, in milliseconds. */
export const durationFlag: FlagParser = (text) => {
  const value = parseDuration(text);
  if (value !== undefined) return value;
  throw new InvalidArgumentError('It must be a duration with its unit, such as 500ms, 15s, 10m or 24h.');
};

/** `512MiB`, as bytes. */
export const bytesFlag: FlagParser = (text) => {
  const value = parseBytes(text);
  if (value !== undefined) return value;
  throw new InvalidArgumentError('It must be a size with its unit, such as 512MiB or 2GiB.');
};

/** `500m` or `2`, as thousandths of a CPU. */
export const cpuFlag: FlagParser = (text) => {
  const value = parseCpu(text);
  if (value !== undefined) return value;
  throw new InvalidArgumentError('It must be a number of CPUs, such as 500m or 2.');
};

/** `2026-01-31T08:00:00Z`: an instant with its zone, as a Date. */
export const instantFlag: FlagParser = (text) => {
  const at = parseInstant(text);
  if (at !== undefined) return at;
  throw new InvalidArgumentError('It must be an instant with its zone, such as 2026-01-31T08:00:00Z.');
};

/** Any JSON, as its value. */
export const jsonFlag: FlagParser = (text) => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new InvalidArgumentError('It must be JSON, such as \'{"ok": true}\'.');
  }
};

/** An object of JSON. */
export const jsonObjectFlag: FlagParser = (text) => {
  const value = jsonFlag(text, undefined);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new InvalidArgumentError('It must be an object of JSON, such as \'{"rows": 12}\'.');
};

/** One of a few words; a hyphen stands for an underscore. */
export const oneOf =
  (words: readonly string[]): FlagParser =>
  (text) => {
    const word = text.replaceAll('-', '_').toLowerCase();
    if (words.includes(word)) return word;
    throw new InvalidArgumentError(`It must be one of ${words.join(', ')}${didYouMean(text, words)}.`);
  };

/** Several words, with commas or several flags. */
export const someOf =
  (words: readonly string[]): FlagParser =>
  (text, before) => {
    const list = text.split(',').map((part) => oneOf(words)(part.trim(), undefined) as string);
    return [...((before as string[] | undefined) ?? []), ...list];
  };

/** `NAME=VALUE`, several times. */
export const pairs: FlagParser = (text, before) => {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be NAME=VALUE.');
  return { ...(before as Record<string, string> | undefined), [text.slice(0, at)]: text.slice(at + 1) };
};
