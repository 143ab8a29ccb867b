import { readFileSync, statSync } from 'node:fs';
import { LIMITS } from '../wire/limits.js';

/** What a command wrote to the file named by HOLDFAST_RESULT_FILE. */
export type Result =
  | { readonly kind: 'none' }
  | { readonly kind: 'result'; readonly data: Uint8Array; readonly type: string }
  | { readonly kind: 'too_large'; readonly bytes: number };

/** Reads a result file of at most 256 KiB; its content decides the type: JSON, text, or bytes. */
export function readResult(file: string): Result {
  let bytes: number;
  try {
    const stat = statSync(file);
    // A command may have put anything there; a pipe or a device would be read for ever.
    if (!stat.isFile()) return { kind: 'none' };
    bytes = stat.size;
  } catch {
    return { kind: 'none' };
  }
  if (bytes > LIMITS.resultBytes) return { kind: 'too_large', bytes };
  if (bytes === 0) return { kind: 'none' };
  const data = readFileSync(file);
  return { kind: 'result', data, type: typeOf(data) };
}

function typeOf(data: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(data);
  } catch {
    return 'application/octet-stream';
  }
  try {
    JSON.parse(text);
    return 'application/json';
  } catch {
    return 'text/plain; charset=utf-8';
  }
}
