/** What the process that reads files is asked, and answers. Both are JSON, over the channel of Node. */
export interface Question {
  readonly n: number;
  /** Where the file is. */
  readonly path: string;
  /** How errors call it. */
  readonly name: string;
}

/** A DAG of a file, as JSON text in the form of DAG files. */
export interface ParsedDag {
  readonly dagId: string;
  readonly source: string;
}

/** What became of a file. */
export type Parsed =
  | { readonly kind: 'dags'; readonly dags: readonly ParsedDag[] }
  /** Lines as `file:line:column: message`. */
  | { readonly kind: 'errors'; readonly errors: readonly string[] }
  /** It is not there any more. */
  | { readonly kind: 'gone' };

export interface Answer {
  readonly n: number;
  readonly parsed: Parsed;
}

/**
 * An answer as it should be; null otherwise. The process has run code of the user's, which may have sent anything.
 */
export function readAnswer(message: unknown): Answer | null {
  if (!isRecord(message) || typeof message.n !== 'number' || !isRecord(message.parsed)) return null;
  const { n, parsed } = message;
  if (parsed.kind === 'gone') return { n, parsed: { kind: 'gone' } };
  if (parsed.kind === 'errors' && isListOf(parsed.errors, isText) && parsed.errors.length > 0) {
    return { n, parsed: { kind: 'errors', errors: parsed.errors } };
  }
  if (parsed.kind !== 'dags' || !isListOf(parsed.dags, isDag)) return null;
  return { n, parsed: { kind: 'dags', dags: parsed.dags.map(({ dagId, source }) => ({ dagId, source })) } };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
const isText = (value: unknown): value is string => typeof value === 'string';
const isDag = (value: unknown): value is ParsedDag =>
  isRecord(value) && isText(value.dagId) && isText(value.source);
const isListOf = <T>(value: unknown, is: (one: unknown) => one is T): value is readonly T[] =>
  Array.isArray(value) && value.every(is);
