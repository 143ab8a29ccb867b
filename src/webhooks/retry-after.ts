import { SECOND } from '../kit/time.js';

/**
 * What `Retry-After` asks for, in milliseconds from the answer on: seconds, or an HTTP date. A date is counted from the
 * answer's own `Date` where there is one, since the receiver's clock need not agree with ours. 0 without the header, for a
 * date that is past, and for what is neither.
 */
export function retryAfterMs(headers: Headers, wallMs: number): number {
  const value = headers.get('retry-after')?.trim() ?? '';
  if (/^\d{1,10}$/.test(value)) return Number(value) * SECOND;
  const at = httpDate(value);
  if (at === null) return 0;
  return Math.max(0, at - (httpDate(headers.get('date') ?? '') ?? wallMs));
}

/** Only the form of HTTP, such as `Sun, 06 Nov 1994 08:49:37 GMT`: the parser of dates takes much else. */
function httpDate(value: string): number | null {
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value)) return null;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : at;
}
