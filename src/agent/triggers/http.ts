import { isDeepStrictEqual } from 'node:util';
import { SECOND } from '../../kit/time.js';
import { realClock } from '../clock.js';
import type { Json } from '../handlers/define.js';

/** As TRIGGER_KINDS describes it. */
export interface HttpInput {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly status?: number | readonly number[];
  readonly condition?: { readonly path: string; readonly equals?: Json };
}

/** One answer takes at most so long. */
const ANSWER_MS = 30 * SECOND;
/** Bytes of a body that are read; a longer one has no condition that holds. */
const BODY_BYTES = 1024 * 1024;

/** Asks once. The event when the answer is as wanted, else null; a server that does not answer is asked again later. */
export async function poll(input: HttpInput, signal: AbortSignal): Promise<Json | null> {
  const late = new AbortController();
  // Made apart: a URL or a method that is none throws here, and can never work.
  const request = new Request(input.url, {
    method: input.method ?? 'GET',
    headers: input.headers ?? {},
    body: input.body ?? null,
    signal: AbortSignal.any([signal, late.signal]),
  });
  const limit = realClock.setTimer(ANSWER_MS, () => late.abort());
  try {
    const response = await fetch(request);
    const { status } = response;
    if (!isWanted(status, input.status)) {
      await response.body?.cancel();
      return null;
    }
    if (input.condition === undefined) {
      await response.body?.cancel();
      return { status, url: response.url };
    }
    const value = valueAt(await bodyOf(response), input.condition.path);
    return holds(value, input.condition) ? { status, url: response.url, value: value ?? null } : null;
  } catch {
    return null;
  } finally {
    limit.cancel();
  }
}

function isWanted(status: number, wanted: HttpInput['status']): boolean {
  if (wanted === undefined) return status >= 200 && status <= 299;
  return typeof wanted === 'number' ? status === wanted : wanted.includes(status);
}

async function bodyOf(response: Response): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.length;
    if (bytes > BODY_BYTES) return undefined;
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'));
  } catch {
    return undefined;
  }
}

/** `status.items.0.state`, with or without `$.` before it; undefined where there is nothing. */
function valueAt(body: unknown, path: string): Json | undefined {
  let value = body;
  for (const step of path.replace(/^\$\.?/, '').split('.')) {
    if (step === '') continue;
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return value as Json;
}

function holds(value: Json | undefined, condition: NonNullable<HttpInput['condition']>): boolean {
  return condition.equals === undefined ? Boolean(value) : isDeepStrictEqual(value, condition.equals);
}
