import { basename } from 'node:path';
import type { DagDefinition } from '../core/dag/definition.js';
import { checkDag } from './check/index.js';
import { type DagFault, FAULTS_SOUGHT, FAULTS_TOLD, faultAt, pathText } from './fault.js';
import { type Position, readDocuments } from './source.js';

/** What a file holds. A file with one fault gives no DAG at all: half a file is never what somebody meant. */
export type ReadFile =
  | { readonly ok: true; readonly dags: readonly ReadDag[] }
  /** Lines as `file:line:column: message`, at least one, FAULTS_TOLD and one more at most. */
  | { readonly ok: false; readonly errors: readonly string[] };

export interface ReadDag {
  readonly definition: DagDefinition;
  /** The DAG as the file has it, as JSON text: `checkDag` makes the same definition of it anywhere. */
  readonly source: string;
}

export const FILE_LIMITS = {
  /** Bytes of a file; a larger one is not read. */
  bytes: 8 * 1024 * 1024,
  /** Bytes of one DAG as JSON, without defaults: as it travels in a snapshot. */
  dagBytes: 4 * 1024 * 1024,
  /** DAGs of one file. */
  dags: 1_000,
} as const;

/** How a file is read, by its name; null when it is no DAG file. */
export function languageOf(file: string): 'yaml' | 'json' | 'module' | null {
  const [, end] = /\.dag\.(yaml|yml|json|ts|js|mjs)$/.exec(basename(file)) ?? [];
  switch (end) {
    case 'yaml':
    case 'yml':
      return 'yaml';
    case 'json':
      return 'json';
    case undefined:
      return null;
    default:
      return 'module';
  }
}

/** Every DAG of a YAML or JSON text, or everything that is wrong with it. `file` is how errors call it. */
export function readText(file: string, text: string, language: 'yaml' | 'json'): ReadFile {
  const found: Found[] = [];
  const errors: Located[] = [];
  for (const document of readDocuments(text, language)) {
    if (!document.ok) {
      errors.push(...document.faults);
      continue;
    }
    const { locate } = document;
    for (const { value, base } of dagsWithin(document.value)) {
      const place = (fault: DagFault): Position => locate({ ...fault, path: [...base, ...fault.path] });
      found.push({ value, tell: (fault) => ({ at: place(fault), message: fault.message }) });
    }
  }
  return readFound(file, found, errors);
}

/** Every DAG of what a module exports; there are no lines, so each message names its path instead. */
export function readExported(file: string, exported: unknown): ReadFile {
  const found = dagsWithin(exported).map(({ value, base }) => ({
    value,
    tell: ({ path, message }: DagFault): Located => ({
      at: null,
      message: `${pathText([...base, ...path]) || 'DAG'}: ${message}`,
    }),
  }));
  return readFound(file, found, []);
}

interface Located {
  readonly at: Position | null;
  readonly message: string;
}

interface Found {
  readonly value: unknown;
  readonly tell: (fault: DagFault) => Located;
}

/** One DAG, or a list of them. */
const dagsWithin = (
  value: unknown,
): readonly { readonly value: unknown; readonly base: readonly number[] }[] =>
  Array.isArray(value) ? value.map((one: unknown, n) => ({ value: one, base: [n] })) : [{ value, base: [] }];

function readFound(file: string, found: readonly Found[], earlier: readonly Located[]): ReadFile {
  const errors = [...earlier];
  const dags = new Map<string, ReadDag>();
  if (found.length > FILE_LIMITS.dags) {
    errors.push({
      at: null,
      message: `the file has ${found.length} DAGs, and may have ${FILE_LIMITS.dags}: divide it`,
    });
  }
  for (const { value, tell } of found.slice(0, FILE_LIMITS.dags)) {
    if (errors.length > FAULTS_TOLD) break;
    const checked = checkDag(value);
    if (!checked.ok) {
      errors.push(...checked.faults.map(tell));
      continue;
    }
    const { definition } = checked;
    const source = JSON.stringify(value);
    const fault = dags.has(definition.dagId)
      ? `there are two DAGs ${definition.dagId} in this file`
      : Buffer.byteLength(source) > FILE_LIMITS.dagBytes
        ? `a DAG has at most ${FILE_LIMITS.dagBytes} bytes as JSON: put long texts into files of their own`
        : null;
    if (fault !== null) errors.push(tell(faultAt(['dag_id'], fault)));
    dags.set(definition.dagId, { definition, source });
  }
  if (errors.length === 0 && dags.size === 0) {
    errors.push({
      at: { line: 1, column: 1 },
      message: 'the file has no DAG: it must have dag_id and tasks at least',
    });
  }
  return errors.length === 0
    ? { ok: true, dags: [...dags.values()] }
    : { ok: false, errors: told(file, errors) };
}

function told(file: string, errors: readonly Located[]): readonly string[] {
  const sorted = [...errors].sort((a, b) => order(a.at, b.at));
  const lines = sorted
    .slice(0, FAULTS_TOLD)
    .map(({ at, message }) => `${file}:${at === null ? '' : `${at.line}:${at.column}:`} ${message}`);
  const more = sorted.length - lines.length;
  return more === 0
    ? lines
    : [...lines, `${file}: and ${sorted.length > FAULTS_SOUGHT ? '' : `${more} `}more`];
}

const order = (a: Position | null, b: Position | null): number =>
  a === null || b === null ? 0 : a.line - b.line || a.column - b.column;
