import { z } from 'zod';
import { parseBytes, parseCpu } from '../../kit/amount.js';
import { parseDuration } from '../../kit/duration.js';
import { NAME_PATTERN } from '../../kit/ids.js';

/*
 * How single fields are written. Each message is a rule in words for people, that stands behind "it must be".
 */

const NAME_RULE = 'it must be 1 to 128 characters of A-Z a-z 0-9 . _ - and start with a letter or digit';
export const name = z.string(NAME_RULE).regex(NAME_PATTERN, NAME_RULE);

const DURATION_RULE = 'it must be a duration with its unit, such as 15s, 90m or 1h30m';
/** Milliseconds. */
export const duration = z
  .string(DURATION_RULE)
  .regex(/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$|^0$/, DURATION_RULE)
  .transform((text) => parseDuration(text) ?? Number.NaN)
  .refine(Number.isSafeInteger, DURATION_RULE);

/** A duration that is not zero. */
export const wait = duration.refine((ms) => ms > 0, 'it must be longer than nothing');

const BYTES_RULE = 'it must be a size with its unit, such as 512MiB';
export const bytes = z
  .string(BYTES_RULE)
  .regex(/^\d+(?:\.\d+)?\s?[KMGT]iB$/, BYTES_RULE)
  .transform((text) => parseBytes(text) ?? Number.NaN)
  .refine((size) => Number.isSafeInteger(size) && size > 0, BYTES_RULE);

const CPU_RULE = 'it must be a number of CPUs in quotes, such as "500m" or "2"';
/** Thousandths of a CPU. */
export const cpu = z
  .string(CPU_RULE)
  .regex(/^\d+(?:\.\d+)?m?$/, CPU_RULE)
  .transform((text) => parseCpu(text) ?? Number.NaN)
  .refine((millis) => Number.isSafeInteger(millis) && millis > 0, CPU_RULE);

export function whole(low: number, high: number) {
  const rule = `it must be a whole number from ${low} to ${high}`;
  return z.int(rule).min(low, rule).max(high, rule);
}

export const flag = z.boolean('it must be true or false');

export function text(most: number, least = 0) {
  const rule = `it must be a text of ${least === 0 ? 'at most' : `${least} to`} ${most} characters`;
  return z.string(rule).min(least, rule).max(most, rule);
}

export function choice<const T extends readonly [string, ...string[]]>(...names: T) {
  return z.enum(names, `it must be one of ${names.join(', ')}`);
}

export function list<T extends z.ZodType>(of: T, what: string, most: number) {
  const rule = `it must be a list of at most ${most} ${what}`;
  return z.array(of, rule).max(most, rule);
}

/** Values by name, such as variables. */
export function named<T extends z.ZodType>(of: T, what: string, most: number) {
  const rule = `it must be an object of at most ${most} ${what}`;
  return z.record(z.string(), of, rule).refine((value) => Object.keys(value).length <= most, rule);
}

/** Levels of lists and objects within a value of the user's. */
const DEPTH = 64;

const JSON_RULE = `it must be plain JSON, at most ${DEPTH} levels deep: texts, finite numbers, true, false, null, lists, objects`;
/** A value of the user's. What YAML can write and JSON cannot, such as .inf, is refused. */
export const json = z.unknown().refine((value) => isJson(value, DEPTH), JSON_RULE);

function isJson(value: unknown, levels: number): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value !== 'object' || levels === 0) return false;
  if (!Array.isArray(value) && ![Object.prototype, null].includes(Object.getPrototypeOf(value))) return false;
  return Object.values(value).every((element) => isJson(element, levels - 1));
}
