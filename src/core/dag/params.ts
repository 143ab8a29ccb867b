import { didYouMean } from '../../kit/suggest.js';
import type { DagDefinition, Json, Param, ParamType } from './definition.js';

/** What is wrong with the value given for a param. */
export interface ParamFault {
  readonly param: string;
  /** A sentence that stands alone. */
  readonly message: string;
}

export type FilledParams =
  | { readonly ok: true; readonly params: Readonly<Record<string, Json>> }
  | { readonly ok: false; readonly faults: readonly ParamFault[] };

/** The params of a run: what was given, checked, and the defaults of the rest. All faults at once. */
export function fillParams(
  params: DagDefinition['params'],
  given: Readonly<Record<string, Json>>,
): FilledParams {
  const faults: ParamFault[] = [];
  const names = Object.keys(params);
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(params, name)) continue;
    const known = names.length === 0 ? 'the DAG has none' : `the DAG has ${names.join(', ')}`;
    faults.push({
      param: name,
      message: `there is no param ${JSON.stringify(name)}${didYouMean(name, names)}: ${known}`,
    });
  }
  const filled: [string, Json][] = [];
  for (const [name, param] of Object.entries(params)) {
    const value = Object.hasOwn(given, name) ? given[name] : param.default;
    const because =
      value === undefined ? 'it has no default, so a value must be given' : faultOfParam(param, value);
    if (because !== null) faults.push({ param: name, message: `param ${name}: ${because}` });
    else filled.push([name, value as Json]);
  }
  return faults.length > 0 ? { ok: false, faults } : { ok: true, params: Object.fromEntries(filled) };
}

const IS: Readonly<Record<ParamType, { readonly name: string; readonly fits: (value: Json) => boolean }>> = {
  string: { name: 'a text', fits: (value) => typeof value === 'string' },
  integer: { name: 'a whole number', fits: (value) => Number.isSafeInteger(value) },
  number: { name: 'a number', fits: (value) => typeof value === 'number' },
  boolean: { name: 'true or false', fits: (value) => typeof value === 'boolean' },
  array: { name: 'a list', fits: (value) => Array.isArray(value) },
  object: {
    name: 'an object',
    fits: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  },
};

/** Why a value does not fit a param; null when it does. */
export function faultOfParam(param: Omit<Param, 'default'>, value: Json): string | null {
  const { name, fits } = IS[param.type];
  if (!fits(value)) return `it must be ${name}, and is ${shown(value)}`;
  if (param.oneOf.length > 0 && !param.oneOf.some((one) => isSame(one, value))) {
    return `it must be one of ${param.oneOf.map(shown).join(', ')}, and is ${shown(value)}`;
  }
  if (typeof value !== 'number') return null;
  if (param.minimum !== null && value < param.minimum)
    return `it must be at least ${param.minimum}, and is ${value}`;
  if (param.maximum !== null && value > param.maximum)
    return `it must be at most ${param.maximum}, and is ${value}`;
  return null;
}

/** The type that a value has of itself; undefined for null, which has none. */
export function typeOfParam(value: Json): ParamType | undefined {
  const order: readonly ParamType[] = ['integer', 'number', 'string', 'boolean', 'array', 'object'];
  return order.find((type) => IS[type].fits(value));
}

/** Values are JSON: the order of an object's fields is no difference that anybody means. */
function isSame(a: Json, b: Json): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [Object.entries(a), b as Readonly<Record<string, Json>>];
  return (
    left.length === Object.keys(right).length &&
    left.every(([name, value]) => Object.hasOwn(right, name) && isSame(value as Json, right[name] as Json))
  );
}

function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}
