// Output of the plain worker's runs, by offset, kept until it is acknowledged.
import { hasFault } from './fault.mjs';

const CHUNK_BYTES = 64 * 1024;
/** By token: what is not acknowledged, and where it begins. */
const waiting = new Map();

export function outputOf(send) {
  const chunk = (token, taskId, offset, data) =>
    send({
      logChunk: {
        token,
        taskId,
        offset: String(hasFault('log-from-one') ? offset + 1 : offset),
        data,
        stream: 1,
      },
    });
  const sendFrom = (token, from) => {
    const { taskId, begins, bytes } = waiting.get(token);
    for (let at = Math.max(from, begins); at < begins + bytes.length; at += CHUNK_BYTES)
      chunk(token, taskId, at, bytes.subarray(at - begins, at - begins + CHUNK_BYTES));
  };
  return {
    said(token, taskId, data) {
      const known = waiting.get(token) ?? { taskId, begins: 0, bytes: Buffer.alloc(0) };
      const from = known.begins + known.bytes.length;
      waiting.set(token, { ...known, bytes: Buffer.concat([known.bytes, data]) });
      sendFrom(token, from);
    },
    acknowledged({ token, nextOffset, resend }) {
      const known = waiting.get(token);
      if (known === undefined) return;
      const next = Math.max(known.begins, Number(nextOffset));
      waiting.set(token, { ...known, begins: next, bytes: known.bytes.subarray(next - known.begins) });
      if (resend && !hasFault('no-resend')) sendFrom(token, next);
    },
    again() {
      for (const token of waiting.keys()) sendFrom(token, 0);
    },
  };
}
