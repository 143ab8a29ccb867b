// Loaded into a process that is watched for long: answers on its channel what only the process itself can know. Nothing
// of it is in the program.
import { createHistogram } from 'node:perf_hooks';

const EVERY_MS = 20;
const lag = createHistogram();
let due = performance.now() + EVERY_MS;

const timer = setInterval(() => {
  const now = performance.now();
  // Microseconds; a histogram counts from 1.
  lag.record(Math.max(1, Math.round((now - due) * 1_000)));
  due = now + EVERY_MS;
}, EVERY_MS);
timer.unref();

process.on('message', () => {
  const lagMs = { p99: lag.percentile(99) / 1_000, longest: lag.max / 1_000 };
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  // The collection that was asked for is no lag of the program's own.
  lag.reset();
  due = performance.now() + EVERY_MS;
  process.send({ heapBytes: heapUsed + external, lagMs });
});
process.channel.unref();
