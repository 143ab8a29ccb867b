import { didYouMean } from '../../kit/suggest.js';
import type { Json } from './definition.js';
import {
  type ExpressionPart,
  type FilterName,
  isSingleExpression,
  parseTemplate,
  type Step,
  TEMPLATE_LIMITS,
  type Template,
  type TemplateFault,
} from './template.js';

/** What the first names of paths stand for, such as `params` and `results`. */
export type Scope = Readonly<Record<string, Json>>;

export type Filled<T = Json> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: TemplateFault };

/** What a filter makes of a value, or, as a text, why it does not fit. */
type Apply = (value: Json, argument: Json) => { readonly value: Json } | string;

const APPLY: Readonly<Record<FilterName, Apply>> = {
  default: (value, argument) => ({ value: value ?? argument }),
  equals: (value, argument) => ({ value: value === argument }),
  json: (value) => ({ value: JSON.stringify(value) }),
  length: lengthOf,
  not: (value) => ({ value: !isTruthy(value) }),
};

function lengthOf(value: Json): { readonly value: number } | string {
  if (typeof value === 'string' || Array.isArray(value)) return { value: value.length };
  if (isObject(value)) return { value: Object.keys(value).length };
  return `${nameOfKind(value)} has no length`;
}

/** What `when` and `short_circuit` take for no: false, null, 0, and what is empty. */
export function isTruthy(value: Json): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isObject(value)) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** The value itself for a template that is one expression, else a text. */
export function fill(template: Template, scope: Scope): Filled {
  const [only] = template.parts;
  if (isSingleExpression(template) && only?.kind === 'expression') return evaluate(only, scope);
  return fillText(template, scope);
}

/** As `fill`, but always a text: what is none is written as JSON. */
export function fillText(template: Template, scope: Scope): Filled<string> {
  let text = '';
  for (const part of template.parts) {
    if (part.kind === 'text') {
      text += part.text;
      continue;
    }
    const got = evaluate(part, scope);
    if (!got.ok) return got;
    text += typeof got.value === 'string' ? got.value : JSON.stringify(got.value);
    if (text.length > TEMPLATE_LIMITS.filledCharacters) {
      return refused(part.at, {
        what: `{{ ${part.source} }} makes the text too long`,
        because: `a filled template has at most ${TEMPLATE_LIMITS.filledCharacters} characters`,
        try: 'let the task that gives the result write it to a file or table, and hand on where it is',
      });
    }
  }
  return { ok: true, value: text };
}

function evaluate(part: ExpressionPart, scope: Scope): Filled {
  const { head } = part;
  const found = head.kind === 'literal' ? { value: head.value } : follow(head.root, head.steps, scope);
  let missing = 'because' in found ? found.because : undefined;
  let value: Json = 'value' in found ? found.value : null;
  for (const { name, argument } of part.filters) {
    if (missing !== undefined && name !== 'default') continue;
    missing = undefined;
    const applied = APPLY[name](value, argument);
    if (typeof applied === 'string') {
      return refused(part.at, {
        what: `{{ ${part.source} }} cannot be filled in`,
        because: applied,
        try: `leave out | ${name}, or name something that it fits`,
      });
    }
    value = applied.value;
  }
  if (missing === undefined) return { ok: true, value };
  return refused(part.at, {
    what: `{{ ${part.source} }} has no value`,
    because: missing,
    try: 'name what is there, or add | default("…")',
  });
}

/** Fills in every text within a value, such as a handler's input. Names of fields are not templates. */
export function fillInput(input: Json, scope: Scope): Filled {
  if (typeof input === 'string') {
    const parsed = parseTemplate(input);
    return parsed.ok ? fill(parsed.template, scope) : parsed;
  }
  if (Array.isArray(input)) {
    const values: Json[] = [];
    for (const element of input as readonly Json[]) {
      const filled = fillInput(element, scope);
      if (!filled.ok) return filled;
      values.push(filled.value);
    }
    return { ok: true, value: values };
  }
  if (!isObject(input)) return { ok: true, value: input };
  const entries: [string, Json][] = [];
  for (const [name, element] of Object.entries(input)) {
    const filled = fillInput(element, scope);
    if (!filled.ok) return filled;
    entries.push([name, filled.value]);
  }
  return { ok: true, value: Object.fromEntries(entries) };
}

/** Every text within a value and where it stands: what `fillInput` would fill in. */
export function textsWithin(input: Json, path: readonly Step[] = []): readonly PlacedText[] {
  if (typeof input === 'string') return [{ path, text: input }];
  if (Array.isArray(input)) {
    return (input as readonly Json[]).flatMap((element, n) => textsWithin(element, [...path, n]));
  }
  if (!isObject(input)) return [];
  return Object.entries(input).flatMap(([name, element]) => textsWithin(element, [...path, name]));
}

/** A text within a value. */
export interface PlacedText {
  readonly path: readonly Step[];
  readonly text: string;
}

type Followed = { readonly value: Json } | { readonly because: string };

function follow(root: string, steps: readonly Step[], scope: Scope): Followed {
  if (!Object.hasOwn(scope, root)) {
    return { because: `this run has no ${root}${didYouMean(root, Object.keys(scope))}` };
  }
  let value = scope[root] as Json;
  let path = root;
  for (const step of steps) {
    const next = stepInto(value, step, path);
    if ('because' in next) return next;
    value = next.value;
    path += typeof step === 'number' ? `[${step}]` : `.${step}`;
  }
  return { value };
}

function stepInto(value: Json, step: Step, path: string): Followed {
  if (Array.isArray(value) && typeof step === 'number') {
    const element = value.at(step) as Json | undefined;
    return element === undefined
      ? { because: `${path} has ${value.length} elements, counted from 0` }
      : { value: element };
  }
  if (isObject(value) && typeof step === 'string') {
    if (Object.hasOwn(value, step)) return { value: value[step] as Json };
    return { because: `${path} has no ${step}${didYouMean(step, Object.keys(value))}` };
  }
  const wanted = typeof step === 'number' ? 'a list' : 'an object';
  return { because: `${path} is ${nameOfKind(value)}, not ${wanted}` };
}

const isObject = (value: Json): value is { readonly [name: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function nameOfKind(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value === 'string' ? 'text' : typeof value}`;
}

const refused = (at: number, fault: Omit<TemplateFault, 'at'>): { ok: false; fault: TemplateFault } => ({
  ok: false,
  fault: { at, ...fault },
});
