import { didYouMean } from '../../kit/suggest.js';
import type { Json } from './definition.js';

/**
 * The language between `{{` and `}}`: a path into what is known about a run, then filters. It computes nothing else, so
 * that a template can be checked before any run has one, and filling it in costs what it names.
 *
 *   {{ params.city }}   {{ results.ingest.rows[0].name }}   {{ results["a.b"] | length }}   {{ item.month | default("all") }}
 */
export interface Template {
  readonly parts: readonly Part[];
}

export type Part = { readonly kind: 'text'; readonly text: string } | ExpressionPart;

export interface ExpressionPart {
  readonly kind: 'expression';
  /** Offset of its `{{` in the text. */
  readonly at: number;
  /** As written, without the braces, for messages. */
  readonly source: string;
  readonly head: Head;
  readonly filters: readonly Filter[];
}

/** A text stands for itself: `{{ "{{" }}` writes the braces. */
export type Head =
  | { readonly kind: 'literal'; readonly value: string }
  | { readonly kind: 'path'; readonly root: string; readonly steps: readonly Step[] };

/** A field, or an index; negative ones count from the end. */
export type Step = string | number;

export interface Filter {
  readonly name: FilterName;
  /** Null where the filter takes none. */
  readonly argument: Json;
}

/** Why a template cannot be read or filled in, in words for whoever wrote it. */
export interface TemplateFault {
  /** Offset in the text. */
  readonly at: number;
  readonly what: string;
  readonly because: string;
  readonly try: string;
}

export type Parsed =
  | { readonly ok: true; readonly template: Template }
  | { readonly ok: false; readonly fault: TemplateFault };

export const TEMPLATE_LIMITS = {
  /** Characters of a template. */
  characters: 65_536,
  /** Expressions in one template. */
  expressions: 256,
  /** Steps of a path. */
  steps: 32,
  /** Filters of an expression. */
  filters: 8,
  /** Characters of a text with its expressions filled in (fill.ts). */
  filledCharacters: 1_048_576,
} as const;

export type FilterName = 'default' | 'equals' | 'json' | 'length' | 'not';

/** Whether a filter takes an argument, and that it is there at all. */
const FILTERS: Readonly<Record<FilterName, { readonly takesArgument: boolean }>> = {
  default: { takesArgument: true },
  equals: { takesArgument: true },
  json: { takesArgument: false },
  length: { takesArgument: false },
  not: { takesArgument: false },
};

const FILTER_NAMES = Object.keys(FILTERS);

/** Reads a template; a text without `{{` is one that stands for itself. */
export function parseTemplate(text: string): Parsed {
  if (text.length > TEMPLATE_LIMITS.characters) {
    return refused(0, {
      what: `a template of ${text.length} characters`,
      because: `a template has at most ${TEMPLATE_LIMITS.characters}`,
      try: 'put the text into a file of its own, and name that file',
    });
  }
  const parts: Part[] = [];
  let expressions = 0;
  for (let from = 0; from < text.length; ) {
    const open = text.indexOf('{{', from);
    if (open !== from) parts.push({ kind: 'text', text: text.slice(from, open < 0 ? text.length : open) });
    if (open < 0) break;
    expressions += 1;
    if (expressions > TEMPLATE_LIMITS.expressions) {
      return refused(open, tooMany('expressions in one template', TEMPLATE_LIMITS.expressions));
    }
    const tokens = tokensFrom(text, open);
    if (!tokens.ok) return tokens;
    const end = tokens.end;
    const read = readExpression(tokens.list, {
      kind: 'expression',
      at: open,
      source: text.slice(open + 2, end - 2).trim(),
    });
    if ('fault' in read) return { ok: false, fault: read.fault };
    parts.push(read.part);
    from = end;
  }
  return { ok: true, template: { parts } };
}

interface Token {
  readonly kind: (typeof KINDS)[number];
  readonly text: string;
}

/** The kinds of tokens, in the order of the groups of TOKEN. */
const KINDS = ['text', 'number', 'name', 'sign'] as const;
const TOKEN =
  /\s*(?:("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(-?\d+(?:\.\d+)?)|([A-Za-z_][\w-]*)|(\}\}|[.[\]|()]))/y;

type Tokens =
  | { readonly ok: true; readonly list: readonly Token[]; readonly end: number }
  | { readonly ok: false; readonly fault: TemplateFault };

/** The tokens of the expression whose braces open at `open`, and the offset behind its closing ones. */
function tokensFrom(text: string, open: number): Tokens {
  const list: Token[] = [];
  for (let from = open + 2; ; from = TOKEN.lastIndex) {
    TOKEN.lastIndex = from;
    const match = TOKEN.exec(text);
    if (match === null) return refused(open, unreadable(text, open, from));
    const group = match.findIndex((found, n) => n > 0 && found !== undefined);
    const [kind, found] = [KINDS[group - 1] ?? 'sign', match[group] ?? ''];
    if (found === '}}') return { ok: true, list, end: TOKEN.lastIndex };
    list.push({ kind, text: found });
  }
}

function unreadable(text: string, open: number, from: number): Omit<TemplateFault, 'at'> {
  const rest = text.slice(from).trimStart();
  const shown = text.slice(open, open + 40);
  const more = { try: 'write {{ params.name }}, or {{ "{{" }} for the two braces themselves' };
  if (rest === '' || !text.slice(open).includes('}}')) {
    return { what: `${shown} is not closed`, because: 'what opens with {{ must close with }}', ...more };
  }
  return {
    what: `${shown} is no expression`,
    because: `it cannot hold ${JSON.stringify(rest.slice(0, 1))}: an expression is a path and filters, and computes nothing`,
    ...more,
  };
}

type Beginning = Pick<ExpressionPart, 'kind' | 'at' | 'source'>;
type Read = { readonly part: ExpressionPart } | { readonly fault: TemplateFault };

function readExpression(tokens: readonly Token[], beginning: Beginning): Read {
  const cursor = { next: 0 };
  const head = readHead(tokens, cursor);
  if (typeof head === 'string') return { fault: noExpression(beginning, head) };
  const filters: Filter[] = [];
  while (cursor.next < tokens.length) {
    const filter = readFilter(tokens, cursor);
    if (typeof filter === 'string') return { fault: noExpression(beginning, filter) };
    filters.push(filter);
  }
  if (filters.length > TEMPLATE_LIMITS.filters) {
    return { fault: { at: beginning.at, ...tooMany('filters of one expression', TEMPLATE_LIMITS.filters) } };
  }
  return { part: { ...beginning, head, filters } };
}

const noExpression = ({ at, source }: Beginning, because: string): TemplateFault => ({
  at,
  what: `{{ ${source} }} is no expression`,
  because,
  try: 'write a path such as params.city or results.ingest.rows[0], then filters such as | default("none")',
});

interface Cursor {
  next: number;
}

/** A head, or why there is none. */
function readHead(tokens: readonly Token[], cursor: Cursor): Head | string {
  const first = tokens[cursor.next++];
  if (first === undefined) return 'there is nothing between the braces';
  if (first.kind === 'text') {
    const value = textOf(first.text);
    return value === undefined ? `${first.text} has an escape that JSON does not know` : literal(value);
  }
  if (first.kind !== 'name') return `it begins with ${first.text}, and a path begins with a name`;
  const steps: Step[] = [];
  for (;;) {
    const sign = tokens[cursor.next];
    if (sign?.text !== '.' && sign?.text !== '[') return { kind: 'path', root: first.text, steps };
    cursor.next += 1;
    const step = sign.text === '.' ? readField(tokens, cursor) : readIndex(tokens, cursor);
    if (typeof step === 'object') return step.because;
    steps.push(step);
    if (steps.length > TEMPLATE_LIMITS.steps) return `a path has at most ${TEMPLATE_LIMITS.steps} steps`;
  }
}

const literal = (value: string): Head => ({ kind: 'literal', value });

function readField(tokens: readonly Token[], cursor: Cursor): Step | { readonly because: string } {
  const token = tokens[cursor.next++];
  if (token?.kind === 'name') return token.text;
  return {
    because: 'a dot is followed by a name; anything else stands in brackets, as in rows[0] or ["a.b"]',
  };
}

function readIndex(tokens: readonly Token[], cursor: Cursor): Step | { readonly because: string } {
  const [token, close] = [tokens[cursor.next++], tokens[cursor.next++]];
  const step =
    token?.kind === 'number' ? Number(token.text) : token?.kind === 'text' ? textOf(token.text) : undefined;
  const fits = typeof step === 'string' || Number.isSafeInteger(step);
  if (step === undefined || !fits || close?.text !== ']') {
    return { because: 'brackets hold a whole number or a text, as in rows[0] or ["a.b"]' };
  }
  return step;
}

/** A filter, or why there is none. */
function readFilter(tokens: readonly Token[], cursor: Cursor): Filter | string {
  const sign = tokens[cursor.next++];
  if (sign?.text !== '|') return `it cannot go on with ${sign?.text}`;
  const name = tokens[cursor.next++];
  if (name?.kind !== 'name' || !isFilter(name.text)) {
    const given = name?.text ?? '';
    return `there is no filter ${given}${didYouMean(given, FILTER_NAMES)}; there are ${FILTER_NAMES.join(', ')}`;
  }
  if (!FILTERS[name.text].takesArgument) return { name: name.text, argument: null };
  const [open, given, close] = [tokens[cursor.next++], tokens[cursor.next++], tokens[cursor.next++]];
  const argument = given === undefined ? undefined : constantOf(given);
  if (open?.text !== '(' || close?.text !== ')' || argument === undefined) {
    return `${name.text} takes one text, number, true, false or null, as in ${name.text}("none")`;
  }
  return { name: name.text, argument };
}

const isFilter = (name: string): name is FilterName => Object.hasOwn(FILTERS, name);

const CONSTANTS: ReadonlyMap<string, Json> = new Map<string, Json>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

function constantOf({ kind, text }: Token): Json | undefined {
  if (kind === 'number') return Number(text);
  return kind === 'text' ? textOf(text) : CONSTANTS.get(text);
}

/** A quoted text, with the escapes of JSON; single quotes spare the escaping in YAML. */
function textOf(quoted: string): string | undefined {
  const body = quoted.slice(1, -1);
  const json = quoted.startsWith('"')
    ? body
    : body.replace(/\\.|"/g, (found) => (found === "\\'" ? "'" : found === '"' ? '\\"' : found));
  try {
    return JSON.parse(`"${json}"`) as string;
  } catch {
    return undefined;
  }
}

/** Every path that the template names, in order. */
export function pathsOf(template: Template): readonly (ExpressionPart & { head: { kind: 'path' } })[] {
  return template.parts.filter(
    (part): part is ExpressionPart & { head: { kind: 'path' } } =>
      part.kind === 'expression' && part.head.kind === 'path',
  );
}

/** Whether it is one expression and nothing else: it then gives a value of any kind, not only a text. */
export function isSingleExpression(template: Template): boolean {
  return template.parts.length === 1 && template.parts[0]?.kind === 'expression';
}

const tooMany = (of: string, limit: number): Omit<TemplateFault, 'at'> => ({
  what: `more than ${limit} ${of}`,
  because: `the limit is ${limit}`,
  try: 'hand over fewer, larger values, such as a whole object',
});

const refused = (at: number, fault: Omit<TemplateFault, 'at'>): { ok: false; fault: TemplateFault } => ({
  ok: false,
  fault: { at, ...fault },
});
