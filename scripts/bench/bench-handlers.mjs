// The handlers of the benches: one with as little work as a handler can have, and the worst that handlers can do.
import { defineHandlers } from '../../dist/agent/index.js';

export default defineHandlers({
  echo: (/** @type {any} */ input) => input,
  /** Waits for the trigger that it is given. */
  defers: (/** @type {any} */ { trigger }, /** @type {any} */ ctx) => {
    if (ctx.resumed === null) ctx.defer({ trigger });
  },
  /** Blocks its event loop and a core. */
  spin: (/** @type {any} */ ms) => {
    for (const end = performance.now() + ms; performance.now() < end; );
    return ms;
  },
  /** Blocks its event loop as a synchronous call to elsewhere does. */
  freeze: (/** @type {any} */ ms) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    return ms;
  },
  fillHeap: () => {
    for (const held = []; ; ) held.push(new Array(1_000).fill({}));
  },
  fillMemory: () => {
    for (const held = []; ; ) held.push(Buffer.alloc(8_000_000, 1));
  },
  exit: () => process.exit(3),
});
