/** Builds DAGs in TypeScript or JavaScript: plain data in the form of DAG files, with types. */
import type { Dag, DagOptions, DagTask, TaskOptions } from './types.js';

export type {
  AssetExpression,
  CommonOptions,
  Dag,
  DagOptions,
  DagTask,
  ParamOptions,
  TaskOptions,
  Wait,
} from './types.js';

/** Tasks by id, each of which needs others of them only. */
export type TasksOf<T> = { readonly [Id in keyof T]: DagTask<Exclude<keyof T & string, Id>> };

/**
 * A DAG. That needs name other tasks of it, the compiler sees; everything else is checked when the file is read, by the
 * same rules as a DAG in YAML.
 */
export function dag<const T extends Readonly<Record<string, DagTask>>>(
  options: DagOptions & { readonly tasks: T & TasksOf<T> },
): Dag {
  return { ...options, tasks: { ...options.tasks } };
}

/** A task that runs a program with arguments, each a template; or, given one text, that text by `/bin/sh -c`. */
export function command<const Needed extends string = never>(
  argv: string | readonly string[],
  options: TaskOptions<Needed> = {},
): DagTask<NoInfer<Needed>> {
  return { ...options, command: typeof argv === 'string' ? argv : [...argv] };
}

/** A task that calls a handler of a worker; every text within its input is a template. Default input null. */
export function handler<const Needed extends string = never>(
  name: string,
  input: unknown = null,
  options: TaskOptions<Needed> = {},
): DagTask<NoInfer<Needed>> {
  return { ...options, handler: name, input };
}

/** A task without work of its own: it ends at once, or after its wait. */
export function task<const Needed extends string = never>(
  options: TaskOptions<Needed> = {},
): DagTask<NoInfer<Needed>> {
  return { ...options };
}
