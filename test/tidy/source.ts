import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseSync } from 'oxc-parser';
import type { Import } from './boundaries.js';

const root = resolve(import.meta.dirname, '../..');

/** Every file that is, or would be, under version control: what the ignore file hides is nobody's concern here. */
export function listFiles(): readonly string[] {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate'];
  const out = execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  return out.split('\0').filter((path) => path !== '' && existsSync(resolve(root, path)));
}

/** A place in a file and what is wrong there, in the form that terminals make clickable. */
export interface Finding {
  readonly line: number;
  readonly what: string;
}

/** A syntax node as the parser gives it; fields beyond these are read by name. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly [field: string]: unknown;
}

export interface Source {
  readonly path: string;
  readonly text: string;
  readonly program: Node;
}

export function parse(path: string, text: string): Source {
  const parsed = parseSync(path, text);
  const [error] = parsed.errors;
  if (error !== undefined) throw new Error(`${path}: ${error.message}`);
  return { path, text, program: parsed.program as unknown as Node };
}

export const read = (path: string): string => readFileSync(resolve(root, path), 'utf8');

export const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length;

export const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

/** Fields that hold a name rather than a use of it: `timers.setTimeout`, `{ setTimeout: … }`, `typeof setTimeout`. */
function namesOnly(node: Node, field: string): boolean {
  if (node.type === 'TSTypeQuery') return field === 'exprName';
  return (field === 'property' || field === 'key') && node.computed !== true && node.shorthand !== true;
}

/** Visits every node that is used (not merely named), parents first. */
export function visit(node: Node, see: (node: Node) => void): void {
  see(node);
  for (const [field, value] of Object.entries(node)) {
    if (namesOnly(node, field)) continue;
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child, see);
  }
}

const typesOnly = (node: Node): boolean => {
  if (node.importKind === 'type' || node.exportKind === 'type' || node.type === 'TSImportType') return true;
  const names = node.specifiers;
  return (
    Array.isArray(names) &&
    names.length > 0 &&
    names.every((name: Node) => name.importKind === 'type' || name.exportKind === 'type')
  );
};

/** Imports of every form: static, re-exported, dynamic, and types named by `import('…')`. */
export function importsOf(source: Source): readonly Import[] {
  const found: Import[] = [];
  visit(source.program, (node) => {
    const from = node.source;
    if (!isNode(from)) return;
    const named = from.value;
    // An import of something computed could be anything: it names no room, so no room may have it.
    const name = typeof named === 'string' ? named : '(computed)';
    found.push({ source: name, typesOnly: typesOnly(node), line: lineAt(source.text, node.start) });
  });
  return found;
}
