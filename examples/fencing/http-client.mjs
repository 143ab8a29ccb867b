// The other side of http-server.mjs.
import { Fenced } from './fenced.mjs';

export async function write(url, token, value) {
  const headers = { 'fencing-token': String(token) };
  const answer = await fetch(url, { method: 'PUT', headers, body: value });
  if (answer.status === 409) throw new Fenced(url, token);
  if (!answer.ok) throw new Error(`${url} was not written: ${answer.status} ${await answer.text()}`);
}
