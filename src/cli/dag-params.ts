import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { DagParam } from '../client/index.js';
import { usage } from './failure.js';
import { flag, listFlag, pairs } from './flags.js';
import type { Session } from './session.js';

/** The flags of a run by hand that give its params. */
export interface ParamFlags {
  readonly param?: Readonly<Record<string, string>>;
  readonly paramsFile?: string;
}

/** The flags that `readParams` reads. */
export function addParams(command: Command, variable: string): void {
  const doc = 'a param of the run, read as the type that the DAG says; repeatable';
  listFlag(command, '--param <NAME=VALUE>', doc, { parse: pairs, variable });
  flag(
    command,
    '--params-file <FILE>',
    'params of YAML or JSON (- reads standard input); --param goes before them',
  );
}

/** The params that were given: those of the file, and over them those of the flags, which are texts. */
export async function readParams(
  session: Session,
  dagId: string,
  { param, paramsFile }: ParamFlags,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (param === undefined && paramsFile === undefined) return undefined;
  const ofFile = paramsFile === undefined ? {} : await readFile(session, paramsFile);
  if (param === undefined) return ofFile;
  // A text says nothing of its type: the DAG does.
  const { params } = await session.client.dags.get(dagId, session.call);
  const known = new Map(params.map((one) => [one.name, one]));
  const given = Object.entries(param).map(([name, text]) => [name, paramValueOf(known.get(name), text)]);
  return { ...ofFile, ...Object.fromEntries(given) };
}

async function readFile({ terminal }: Session, path: string): Promise<Readonly<Record<string, unknown>>> {
  const wrong = (because: string) =>
    usage(`cannot take params from ${path}`, because, 'give a file with an object of YAML or JSON');
  // Loaded here, so that a run without a file of params does not pay for the parser.
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(path === '-' ? await terminal.readInput() : readFileSync(path, 'utf8'));
  } catch (error) {
    throw wrong((error as Error).message);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>;
  throw wrong('it holds no object');
}

/** A text as a value of the param's type; what is none is sent as it stands, and the coordinator says what is wrong. */
function paramValueOf(param: DagParam | undefined, text: string): unknown {
  if (param === undefined || param.type === 'string') return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
