import { createHmac } from 'node:crypto';

/** Bytes of a key; the form is that of Standard Webhooks. */
const KEY_BYTES = { least: 24, most: 64 } as const;
const MOST_KEYS = 4;

/**
 * The keys of a secret: `whsec_` and base64 of 24 to 64 bytes, several on lines of their own while one replaces
 * another. Returns a sentence instead when it is malformed; the sentence never repeats the secret.
 */
export function keysOf(secret: string): readonly Buffer[] | string {
  const lines = secret.split(/\s+/).filter((line) => line !== '');
  if (lines.length === 0 || lines.length > MOST_KEYS)
    return `it has ${lines.length} keys, and must have 1 to ${MOST_KEYS}`;
  const keys: Buffer[] = [];
  for (const [i, line] of lines.entries()) {
    const key = Buffer.from(line.replace(/^whsec_/, ''), 'base64');
    const good = /^whsec_[A-Za-z0-9+/]+={0,2}$/.test(line);
    if (!good || key.length < KEY_BYTES.least || key.length > KEY_BYTES.most) {
      return `key ${i + 1} must be whsec_ and base64 of ${KEY_BYTES.least} to ${KEY_BYTES.most} bytes`;
    }
    keys.push(key);
  }
  return keys;
}

/** The `webhook-signature` of one sending: HMAC-SHA256 over `id.timestamp.body`, once for each key. */
export function signatureOf(keys: readonly Buffer[], id: string, timestamp: number, body: string): string {
  return keys
    .map((key) => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`)
    .join(' ');
}
