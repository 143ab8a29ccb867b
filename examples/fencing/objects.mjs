// The fencing token in an object store with conditional writes (S3, and what speaks like it).
import { Fenced } from './fenced.mjs';

const ATTEMPTS = 10;

/** Puts the data under a key of its own, then points to it, unless a newer try has pointed elsewhere. */
export async function publish(bucket, name, token, data) {
  const key = `${name}.${token}`;
  await put(`${bucket}/${key}`, data, {});
  // The fence is in the content, not in metadata: the ETag that If-Match compares is made of the content alone.
  const pointer = JSON.stringify({ fence: String(token), key });
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const now = await current(bucket, name);
    if (now !== null && BigInt(now.fence) > BigInt(token)) throw new Fenced(name, token);
    const condition = now === null ? { 'if-none-match': '*' } : { 'if-match': now.etag };
    if (await put(`${bucket}/${name}`, pointer, condition)) return;
    // Another one was faster: look who it was.
  }
  throw new Error(`${name} was not written: it changed ${ATTEMPTS} times meanwhile`);
}

/** Where the name points to; null before the first write. */
export async function current(bucket, name) {
  const answer = await fetch(`${bucket}/${name}`);
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${name} was not read: ${answer.status}`);
  const { fence, key } = /** @type {{ fence: string, key: string }} */ (await answer.json());
  return { fence, key, etag: answer.headers.get('etag') };
}

/** False when the condition does not hold (412), or when a write at the same time got in between (409). */
async function put(url, body, headers) {
  const answer = await fetch(url, { method: 'PUT', body, headers });
  if (answer.status === 412 || answer.status === 409) return false;
  if (!answer.ok) throw new Error(`${url} was not written: ${answer.status}`);
  return true;
}
