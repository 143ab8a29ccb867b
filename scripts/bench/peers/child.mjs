// A process of a peer: the one that submits, or the one that works. The bench tells it what to do, one thing at a time.
import { setTimeout as wait } from 'node:timers/promises';
import { atRate } from '../pace.mjs';

const BATCH = 250;
const AT_ONCE = 8;
const { adapter, ...settings } = JSON.parse(process.argv[2] ?? '{}');
const { open } = await import(`./${adapter}.mjs`);
const peer = await open(settings);
const now = () => performance.timeOrigin + performance.now();
/** 110 bytes as JSON, about, like those of everyone. */
const payload = (n) => ({ n, at: now(), x: 'x'.repeat(70) });

const deeds = {
  prepare: async () => void (await peer.prepare()),
  submit: async ({ n }) => {
    const begin = now();
    const underWay = new Set();
    for (let from = 0; from < n; from += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, n - from) }, (_, i) => payload(from + i));
      const call = peer.submit(batch).then(() => underWay.delete(call));
      underWay.add(call);
      if (underWay.size >= AT_ONCE) await Promise.race(underWay);
    }
    await Promise.all(underWay);
    return { ms: now() - begin };
  },
  /** Works until `n` are done, and nothing of them is left: from the first connection to that. */
  drain: async ({ n }) => {
    const seen = new Map();
    const begin = now();
    await peer.work(({ n: of }) => void seen.set(of, (seen.get(of) ?? 0) + 1));
    while (seen.size < n || (await peer.left()) > 0) await wait(20);
    const ms = now() - begin;
    return { ms, twice: [...seen.values()].filter((times) => times > 1).length };
  },
  pace: async ({ perSecond, seconds }) => {
    const tell = (i) => peer.submitOne(payload(i));
    await atRate(perSecond, seconds, tell);
  },
  /** Works from now on, and notes what each task has waited for its start. */
  work: async () => {
    await peer.work(({ n, at }) => void waits.set(n, now() - at));
  },
  waits: async ({ n }) => {
    for (const end = now() + 30_000; waits.size < n && now() < end; ) await wait(20);
    return { waits: [...waits] };
  },
  close: async () => {
    await peer.close();
    setImmediate(() => process.disconnect?.());
  },
};
const waits = new Map();

async function perform({ act, ...details }) {
  try {
    process.send?.({ done: (await deeds[act](details)) ?? {} });
  } catch (error) {
    process.send?.({ failed: String(error?.stack ?? error) });
  }
}

process.on('message', (asked) => void perform(/** @type {any} */ (asked)));
process.on('disconnect', () => process.exit(0));
process.send?.({ done: {} });
