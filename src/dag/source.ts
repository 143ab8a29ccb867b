import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseAllDocuments,
  type Scalar,
} from 'yaml';
import type { DagFault, Path } from './fault.js';

/** A place in a text, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One document of a file, or why it is none. */
export type SourceDocument =
  | { readonly ok: true; readonly value: unknown; readonly locate: (fault: DagFault) => Position }
  | { readonly ok: false; readonly faults: readonly { readonly at: Position; readonly message: string }[] };

/**
 * The documents of a YAML or JSON text. Empty ones are left out. JSON is read by the same parser, which alone knows
 * where things stand and sees a key that is there twice; that it is JSON is asked of the engine's own.
 */
export function readDocuments(text: string, language: 'yaml' | 'json'): readonly SourceDocument[] {
  if (language === 'json') {
    const fault = faultOfJson(text);
    if (fault !== null) return [{ ok: false, faults: [fault] }];
  }
  const lines = new LineCounter();
  // Tabs are blanks in JSON, and JSON's texts hold none.
  const source = language === 'json' ? text.replaceAll('\t', ' ') : text;
  const documents = parseAllDocuments(source, {
    lineCounter: lines,
    merge: true,
    prettyErrors: false,
    // Its own search compares each key with all before it: seconds for a map of 10,000 tasks.
    uniqueKeys: false,
  });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    if (document.contents === null && document.errors.length === 0) return [];
    return [readDocument(document, source, lines)];
  });
}

function readDocument(
  document: Document.Parsed<ParsedNode>,
  text: string,
  lines: LineCounter,
): SourceDocument {
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  // A tag that nobody knows is a warning to the parser; what it stands for would be silently lost.
  const wrong = [...document.errors, ...document.warnings];
  const faults = [
    ...wrong.map(({ pos, message }) => ({ at: position(pos[0]), message: `this is no YAML: ${message}` })),
    ...repeatedKeys(document.contents).map(({ range, value }) => ({
      at: position(range?.[0] ?? 0),
      message: `the key ${JSON.stringify(value)} is there twice`,
    })),
  ];
  if (faults.length > 0) return { ok: false, faults };
  try {
    const value: unknown = document.toJS();
    return { ok: true, value, locate: (fault) => position(offsetOf(document, fault, text)) };
  } catch (error) {
    // Aliases that multiply beyond measure.
    const message = `this cannot be read: ${(error as Error).message}`;
    return { ok: false, faults: [{ at: position(document.range[0]), message }] };
  }
}

/** Every key that its map has had before. */
function repeatedKeys(root: Node | null): readonly Scalar[] {
  const repeated: Scalar[] = [];
  const rest: unknown[] = [root];
  while (rest.length > 0) {
    const node = rest.pop();
    if (isSeq(node)) for (const item of node.items) rest.push(item);
    if (!isMap(node)) continue;
    const seen = new Set<unknown>();
    for (const { key, value } of node.items) {
      if (isScalar(key)) {
        if (seen.has(String(key.value))) repeated.push(key);
        seen.add(String(key.value));
      }
      rest.push(value ?? null);
    }
  }
  return repeated;
}

function faultOfJson(text: string): { readonly at: Position; readonly message: string } | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    const message = (error as Error).message;
    const [, place] = /at position (\d+)/.exec(message) ?? [];
    const before = text.slice(0, place === undefined ? text.length : Number(place)).split('\n');
    const at = { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
    return {
      at,
      message: `this is no JSON: ${message.replace(/ \(line \d+ column \d+\)| in JSON at position \d+/g, '')}`,
    };
  }
}

/** Where a fault stands; of what is missing, where it would have to stand. */
function offsetOf(document: Document.Parsed<ParsedNode>, fault: DagFault, text: string): number {
  const { node, name } = find(document, fault.path);
  const start = (fault.atName ? (name ?? node) : node)?.range?.[0] ?? 0;
  if (fault.offset === null || !isScalar(node) || typeof node.value !== 'string') return start;
  // Only in a text without escapes and folded lines is an offset one of the file too.
  const shift = text.startsWith(node.value, start) ? 0 : text.startsWith(node.value, start + 1) ? 1 : -1;
  return shift < 0 ? start : start + shift + fault.offset;
}

function find(
  document: Document.Parsed<ParsedNode>,
  path: Path,
): { node: Node | null; name: Node | undefined } {
  let node: Node | null = document.contents;
  let name: Node | undefined;
  for (const step of path) {
    const inner: Node | null | undefined = isAlias(node) ? node.resolve(document) : node;
    const found = stepInto(inner ?? null, step);
    if (found === undefined) return { node, name };
    name = found.name;
    node = found.node ?? found.name ?? node;
  }
  return { node, name };
}

function stepInto(
  node: Node | null,
  step: string | number,
): { readonly node: Node | null; readonly name: Node | undefined } | undefined {
  if (isSeq(node)) {
    const item = node.items[Number(step)];
    return isNode(item) ? { node: item, name: undefined } : undefined;
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
  if (pair === undefined || !isNode(pair.key)) return undefined;
  return { node: isNode(pair.value) ? pair.value : null, name: pair.key };
}
