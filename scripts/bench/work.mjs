// Many short tasks at once: how fast they are taken, and how fast they are done.
import { until } from './processes.mjs';

const BATCH = 250;
const SUBMITS_AT_ONCE = 8;
const END_LIMIT_MS = 300_000;

/** What every system of a comparison carries: 110 bytes. */
const PAYLOAD = 'x'.repeat(110);
/** A task of the default queue of bare agents; they run no command, whatever its name. */
export const bareTask = () => ({ queue: 'bench', command: ['true', PAYLOAD] });

/** Submits `n` tasks, `task(i)` being the i-th, and settles when all have ended. */
export async function workThrough(client, n, task) {
  const before = await reportsOf(client);
  const begin = performance.now();
  await submitAll(client, n, task);
  const submitted = performance.now();
  await allReported(client, before + n);
  const end = performance.now();
  return {
    submitsPerS: n / ((submitted - begin) / 1000),
    lifecyclesPerS: n / ((end - begin) / 1000),
  };
}

/** Settles when `reports` have arrived since the coordinator's start, and no task is left unless it `leavesSome`. */
export async function allReported(client, reports, leavesSome = false) {
  // A counter first: a list has to be read from the database that is being measured.
  await until(async () => (await reportsOf(client)) >= reports, END_LIMIT_MS, 'tasks did not end');
  if (!leavesSome) await until(() => allEnded(client), END_LIMIT_MS, 'tasks did not end');
}

export async function submitAll(client, n, task) {
  const underWay = new Set();
  for (let i = 0; i < n; i += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, n - i) }, (_, j) => task(i + j));
    const call = client.tasks.submit(batch).then(() => underWay.delete(call));
    underWay.add(call);
    if (underWay.size >= SUBMITS_AT_ONCE) await Promise.race(underWay);
  }
  await Promise.all(underWay);
}

/** Reports that arrived: of each try that ended, one at least. */
export const reportsOf = async (client) => Number((await client.coordinator()).counters.reports);

async function allEnded(client) {
  for await (const _ of client.tasks.list({ states: ['queued', 'running', 'up_for_retry'] }, { limit: 1 }))
    return false;
  return true;
}
