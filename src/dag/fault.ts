/** Where in a value something is wrong: fields and indices from its root. */
export type Path = readonly (string | number)[];

/** One thing wrong with a DAG, in one line for whoever wrote it. */
export interface DagFault {
  readonly path: Path;
  /** Whether the field's name is wrong, and not what it holds. */
  readonly atName: boolean;
  /** Characters into the text at the path; null when the whole of it is meant. */
  readonly offset: number | null;
  readonly message: string;
}

export const faultAt = (path: Path, message: string, offset: number | null = null): DagFault => ({
  path,
  atName: false,
  offset,
  message,
});

export const faultOfName = (path: Path, message: string): DagFault => ({
  path,
  atName: true,
  offset: null,
  message,
});

/** Faults told of one file; more are only counted. */
export const FAULTS_TOLD = 100;
/** Faults looked for in each part of a DAG: whoever has so many more has made one mistake many times. */
export const FAULTS_SOUGHT = 1_000;

/** `tasks[0].needs`, as people write paths. */
export function pathText(path: Path): string {
  return path
    .map((step, n) => (typeof step === 'number' ? `[${step}]` : n === 0 ? step : `.${step}`))
    .join('');
}

/** A value in a message: its JSON, shortened. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}
