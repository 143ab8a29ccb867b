import { readFileSync } from 'node:fs';
import { nearest } from '../kit/suggest.js';
import { variableOf } from '../kit/variable.js';
import { type ConfigFile, configPlaces, readConfigFile } from './file.js';
import type { Kind, Parsed } from './kinds.js';
import { ConfigError, type Problem } from './problem.js';
import type { Setting } from './setting.js';
import { SETTINGS, type SettingKey, type ValueOf } from './settings.js';

/** Where values may come from, strongest first: flags, environment, file, defaults. */
export interface Sources {
  /** What was given on the command line, by key. */
  readonly flags: Readonly<Partial<Record<SettingKey, string | readonly string[]>>>;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly home: string;
  /** The file named by --config or HOLDFAST_CONFIG. */
  readonly configFile: string | undefined;
  /** Defaults that depend on the machine or the command. */
  readonly defaults: { readonly [K in SettingKey]?: ValueOf<K> };
}

/** Where a value came from. */
export interface Origin {
  readonly kind: 'flag' | 'environment' | 'file' | 'default';
  /** `--port`, `HOLDFAST_PORT`, `holdfast.yaml:3:5`; empty for a default. */
  readonly name: string;
}

interface Resolved {
  readonly value: unknown;
  readonly origin: Origin;
}

/** Every setting with its value and origin. */
export class Config {
  readonly file: string | null;
  readonly #values: ReadonlyMap<SettingKey, Resolved>;

  constructor(file: string | null, values: ReadonlyMap<SettingKey, Resolved>) {
    this.file = file;
    this.#values = values;
  }

  /** The value, or null when nothing says one and there is no default. */
  find<K extends SettingKey>(key: K): ValueOf<K> | null {
    return (this.#values.get(key)?.value ?? null) as ValueOf<K> | null;
  }

  /** The value of a setting that always has one. */
  get<K extends SettingKey>(key: K): ValueOf<K> {
    const value = this.find(key);
    if (value === null) throw new Error(`the setting ${key} has no default`);
    return value;
  }

  origin(key: SettingKey): Origin {
    return this.#values.get(key)?.origin ?? DEFAULT;
  }

  /** For `config show`: every key, its value as text (null for none), and where that came from. */
  entries(): { key: SettingKey; text: string | null; origin: Origin }[] {
    return (Object.keys(SETTINGS) as SettingKey[]).map((key) => {
      const of: Setting<unknown> = SETTINGS[key] as Setting<never>;
      const value = this.find(key);
      const text = value === null ? null : of.secret ? '(secret)' : (of.kind as Kind<unknown>).show(value);
      return { key, text, origin: this.origin(key) };
    });
  }
}

const DEFAULT: Origin = { kind: 'default', name: '' };

/** Reads every setting in one pass. Throws ConfigError with every problem found. */
export async function resolveConfig(sources: Sources): Promise<Config> {
  const keys = Object.keys(SETTINGS) as SettingKey[];
  const places = configPlaces(sources.cwd, sources.home, sources.env);
  const file = await readConfigFile(sources.configFile, places, keys);
  const problems: Problem[] = [];
  const values = new Map<SettingKey, Resolved>();
  for (const key of keys) {
    const found = resolveOne(key, sources, file);
    if ('what' in found) problems.push(found);
    else values.set(key, found);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return new Config(file?.path ?? null, values);
}

function resolveOne(key: SettingKey, sources: Sources, file: ConfigFile | null): Resolved | Problem {
  const of = SETTINGS[key] as Setting<unknown>;
  for (const given of givenFor(key, of, sources, file)) {
    const parsed = given.parse(given.text);
    if ('value' in parsed) return { value: parsed.value, origin: given.origin };
    return {
      what: `${given.origin.name} cannot be ${of.secret ? 'what it is' : JSON.stringify(given.text)}`,
      because: parsed.because,
      try: `give a value for ${key} (${of.doc})`,
    };
  }
  return { value: sources.defaults[key] ?? of.fallback, origin: DEFAULT };
}

interface Given {
  readonly text: string;
  readonly origin: Origin;
  readonly parse: (text: string) => Parsed<unknown>;
}

/** What the sources say, strongest first; lazily, since only the first counts. */
function* givenFor(
  key: SettingKey,
  of: Setting<unknown>,
  sources: Sources,
  file: ConfigFile | null,
): Generator<Given, void, undefined> {
  const parse = (text: string): Parsed<unknown> => of.kind.parse(text);
  const flag = sources.flags[key];
  if (flag !== undefined) {
    const text = typeof flag === 'string' ? flag : flag.join(',');
    yield { text, origin: { kind: 'flag', name: `--${of.flag}` }, parse };
  }
  const ours = { variable: variableOf(of.flag), parse };
  for (const { variable, parse: read } of [ours, ...(of.foreign ?? [])]) {
    const text = readVariable(variable, of, sources.env);
    if (text !== undefined) yield { text, origin: { kind: 'environment', name: variable }, parse: read };
  }
  const written = file?.values.get(key);
  if (written !== undefined)
    yield { text: written.text, origin: { kind: 'file', name: written.place }, parse };
}

/** A variable that is set but empty counts as not set: that is how shells and compose files unset one. */
function readVariable(variable: string, of: Setting<unknown>, env: NodeJS.ProcessEnv): string | undefined {
  const plain = env[variable];
  if (plain !== undefined && plain !== '') return plain;
  const path = of.secret ? env[`${variable}_FILE`] : undefined;
  if (path === undefined || path === '') return undefined;
  try {
    return readFileSync(path, 'utf8').trimEnd();
  } catch (error) {
    const because = (error as Error).message;
    throw new ConfigError([
      { what: `cannot read ${variable}_FILE`, because, try: 'check the path and its rights' },
    ]);
  }
}

/** What tasks see, and what other parts of the program read: not settings, and not misspelt either. */
const OTHER_VARIABLES = ['TASK_ID', 'TRY_NUMBER', 'FENCING_TOKEN', 'RESULT_FILE', 'AGENT_INSTANCE', 'CONFIG'];

/** Variables that look like a misspelt setting, with what they were probably meant to be. */
export function misspeltVariables(env: NodeJS.ProcessEnv): { variable: string; meant: string }[] {
  const plain = (variable: string): string => variable.slice('HOLDFAST_'.length);
  const settings = Object.values(SETTINGS).map((of) => plain(variableOf(of.flag)));
  return Object.keys(env)
    .filter((variable) => variable.startsWith('HOLDFAST_'))
    .filter((variable) => ![...settings, ...OTHER_VARIABLES].includes(plain(variable)))
    .flatMap((variable) => {
      const near = nearest(plain(variable), settings);
      return near === undefined ? [] : [{ variable, meant: `HOLDFAST_${near}` }];
    });
}
