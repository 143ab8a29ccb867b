// From the submission of a task to its start, with a free slot: what a user waits.
import { fork } from 'node:child_process';
import { median, percentile } from './figures.mjs';
import { newAgents } from './lifecycle.mjs';
import { WARM_UP_S } from './pace.mjs';
import { exited, follow, until } from './processes.mjs';

const program = new URL('./submitter.mjs', import.meta.url).pathname;
const LIMIT_MS = 30_000;

/** Tasks one by one, `perSecond` of them for `seconds`; from the call of submit to the start, by one machine's clock. */
export async function startLatency(site, { perSecond, seconds }) {
  const workers = newAgents(site, { tell: 'starts' });
  site.rounds++;
  await workers.connected;
  const startedAt = new Map();
  workers.child.on('message', ({ started, at }) => started && startedAt.set(started, at));
  const calls = await submitted({
    address: site.coordinator.address,
    perSecond,
    seconds: seconds + WARM_UP_S,
  });
  site.tasks += calls.length;
  await until(() => calls.every(([taskId]) => startedAt.has(taskId)), LIMIT_MS, 'a task was not started');
  await workers.leave();
  const waits = calls.slice(perSecond * WARM_UP_S).map(([taskId, at]) => startedAt.get(taskId) - at);
  return { p50Ms: median(waits), p99Ms: percentile(waits, 0.99) };
}

async function submitted(how) {
  const child = follow(fork(program, [JSON.stringify(how)]));
  let calls = null;
  child.once('message', (told) => {
    calls = told.calls;
  });
  await exited(child);
  if (calls === null) throw new Error('a submission failed');
  return calls;
}
