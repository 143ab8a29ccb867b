import type { Json } from '../core/dag/definition.js';
import { NAME_PATTERN } from '../kit/ids.js';
import type { WallMs } from '../kit/time.js';
import { LIMITS } from '../wire/limits.js';
import type { CallCode } from '../wire/status.js';
import { Fault } from './fault.js';

/** What requests on DAGs may hold, checked field by field. All of it throws Fault. */

const RUN_ID = /^[A-Za-z0-9_.~:+-]{1,250}$/;
/** Bytes of params, and of whatever else is given as JSON text. */
const JSON_BYTES = 256 * 1024;

const quoted = (text: string): string => JSON.stringify(text.slice(0, 140));

/** A run id, or a name of the same form. */
export function runIdOf(runId: string, field = 'run_id'): string {
  if (RUN_ID.test(runId)) return runId;
  const because = 'ids are 1 to 250 letters, digits and any of _.~:+-';
  throw new Fault('INVALID_REQUEST', `${field} ${quoted(runId)} is no id`, because, 'correct it');
}

export const reasonOf = (text: string): string => text.slice(0, 1_024);

export function poolNameOf(pool: string): string {
  if (NAME_PATTERN.test(pool)) return pool;
  const because = 'names are 1 to 128 of A-Z a-z 0-9 . _ -, starting with a letter or digit';
  throw new Fault('INVALID_REQUEST', `pool ${quoted(pool)} is no name`, because, 'correct it');
}

const LATEST = Date.UTC(9999, 11, 31);

export function instantOf(field: string, at: Date): WallMs {
  const instant = at.getTime();
  if (instant >= 0 && instant <= LATEST) return instant as WallMs;
  const what = Number.isNaN(instant) ? 'no instant' : at.toISOString();
  throw new Fault(
    'INVALID_REQUEST',
    `${field} is ${what}`,
    'it must lie between 1970 and 9999',
    'correct it',
  );
}

function tooLarge(code: CallCode, what: string, bytes: number, most: number): Fault {
  const advice = 'store the data elsewhere, and hand on where it is';
  return new Fault(code, `${what} has ${bytes} bytes`, `at most ${most} are taken`, advice);
}

/** What an event carries: any JSON; an empty text is null. */
export function payloadOf(text: string): string {
  if (text === '') return 'null';
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.triggerBytes)
    throw tooLarge('INVALID_REQUEST', 'the payload', bytes, LIMITS.triggerBytes);
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    const what = `the payload cannot be ${quoted(text)}`;
    throw new Fault('INVALID_REQUEST', what, 'it is no JSON', 'give JSON, such as {"ok": true}');
  }
}

/** A JSON object; an empty text is an empty one. */
export function jsonObjectOf(field: string, text: string, code: CallCode): { readonly [name: string]: Json } {
  if (text === '') return {};
  const wrong = (because: string) =>
    new Fault(
      code,
      `${field} cannot be ${quoted(text)}`,
      because,
      'give an object of JSON, such as {"year": 2026}',
    );
  const bytes = Buffer.byteLength(text);
  if (bytes > JSON_BYTES) throw tooLarge(code, field, bytes, JSON_BYTES);
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    throw wrong('it is no JSON');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as { readonly [name: string]: Json };
  throw wrong('it is no object');
}
