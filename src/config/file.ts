import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Document, LineCounter, YAMLMap } from 'yaml';
import { didYouMean } from '../kit/suggest.js';
import { ConfigError, type Problem } from './problem.js';

/** A value of the file as text, and where it stands. */
interface FileValue {
  readonly text: string;
  /** file:line:column */
  readonly place: string;
}

/** A configuration file that was found and read. */
export interface ConfigFile {
  readonly path: string;
  readonly values: ReadonlyMap<string, FileValue>;
}

/** Where to look when no file is named, in this order; the first that exists is used, alone. */
export function configPlaces(cwd: string, home: string, env: NodeJS.ProcessEnv): string[] {
  const xdg = env.XDG_CONFIG_HOME || resolve(home, '.config');
  return [
    resolve(cwd, 'holdfast.yaml'),
    resolve(xdg, 'holdfast/holdfast.yaml'),
    '/etc/holdfast/holdfast.yaml',
  ];
}

/** The named file, else the first of `places` that exists, else null. Throws ConfigError. */
export async function readConfigFile(
  named: string | undefined,
  places: readonly string[],
  keys: readonly string[],
): Promise<ConfigFile | null> {
  for (const path of named === undefined ? places : [named]) {
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if (named === undefined && ['ENOENT', 'ENOTDIR'].includes(codeOf(error))) continue;
      throw new ConfigError([unreadable(path, error)]);
    }
    return { path, values: await parseConfig(path, text, keys) };
  }
  return null;
}

/** The settings of a YAML text; keys that nobody knows are errors. Throws ConfigError. */
async function parseConfig(
  path: string,
  text: string,
  keys: readonly string[],
): Promise<ReadonlyMap<string, FileValue>> {
  // Loaded here, so that a command without a configuration file does not pay for the parser.
  const yaml = await import('yaml');
  const lines = new yaml.LineCounter();
  const document: Document = yaml.parseDocument(text, { lineCounter: lines });
  const [syntax] = document.errors;
  if (syntax !== undefined) {
    const what = `${placeOf(path, lines, syntax.pos[0])}: this is not YAML`;
    throw new ConfigError([{ what, because: syntax.message.split('\n')[0] ?? '', try: 'mend the file' }]);
  }
  const values = new Map<string, FileValue>();
  const problems: Problem[] = [];
  const visit = (map: YAMLMap, prefix: string): void => {
    for (const pair of map.items) {
      const key = `${prefix}${yaml.isScalar(pair.key) ? String(pair.key.value) : '?'}`;
      const offset = (yaml.isNode(pair.key) ? pair.key.range?.[0] : undefined) ?? 0;
      const place = placeOf(path, lines, offset);
      const known = keys.includes(key);
      if (known)
        values.set(key, {
          text: asText(yaml.isNode(pair.value) ? pair.value.toJS(document) : pair.value),
          place,
        });
      else if (yaml.isMap(pair.value) && keys.some((name) => name.startsWith(`${key}.`)))
        visit(pair.value, `${key}.`);
      else problems.push(unknownKey(key, place, keys));
    }
  };
  if (yaml.isMap(document.contents)) visit(document.contents, '');
  else if (document.contents !== null) {
    problems.push({
      what: `${placeOf(path, lines, 0)}: this is no configuration`,
      because: 'the file must hold keys with values, such as `coordinator: 127.0.0.1:7400`',
      try: 'run `holdfast config show` to see every key',
    });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return values;
}

// `$schema` and the like would be welcome for editors, but nothing serves one yet: an unknown key is an error.
const unknownKey = (key: string, place: string, keys: readonly string[]): Problem => ({
  what: `${place}: unknown key ${key}${didYouMean(key, keys)}`,
  because: 'a misspelt key would otherwise be ignored in silence',
  try: 'run `holdfast config show` to see every key',
});

/** Lists become `a,b` (of maps: JSON) and maps `a=b,c=d`: the forms of the environment, so that one parser judges all sources. */
function asText(value: unknown): string {
  if (Array.isArray(value)) {
    return value.some((each) => typeof each === 'object')
      ? JSON.stringify(value)
      : value.map(String).join(',');
  }
  if (value === null || value === undefined) return '';
  if (typeof value !== 'object') return String(value as string | number | boolean);
  return Object.entries(value)
    .map(([key, of]) => `${key}=${String(of)}`)
    .join(',');
}

function placeOf(path: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${path}:${line}:${col}`;
}

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException).code ?? '');

const unreadable = (path: string, error: unknown): Problem => ({
  what: `cannot read the configuration file ${path}`,
  because: codeOf(error) === 'ENOENT' ? 'there is no such file' : (error as Error).message,
  try: 'name another with --config, or leave it out',
});
