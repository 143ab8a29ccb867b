// From the submission of a task to its start, with a free slot: what a user waits.
import { median, percentile } from './figures.mjs';
import { newAgents } from './lifecycle.mjs';
import { atRate } from './pace.mjs';
import { until } from './processes.mjs';
import { bareTask } from './work.mjs';

/** The first second is not counted: the agent's process has yet to compile what it does. */
const WARM_UP_S = 1;

/** Tasks one by one, `perSecond` of them for `seconds`; from the call of submit to the start, by one machine's clock. */
export async function startLatency(site, { perSecond, seconds }) {
  const { client } = site;
  const workers = newAgents(site, { tell: 'starts' });
  site.rounds++;
  await workers.connected;
  const submittedAt = new Map();
  const startedAt = new Map();
  workers.child.on('message', ({ started, at }) => started && startedAt.set(started, at));
  await atRate(perSecond, seconds + WARM_UP_S, async (i) => {
    const at = performance.timeOrigin + performance.now();
    const [task] = await client.tasks.submit([bareTask()]);
    site.tasks++;
    if (i >= perSecond * WARM_UP_S) submittedAt.set(task.taskId, at);
  });
  const areStarted = () => [...submittedAt.keys()].every((taskId) => startedAt.has(taskId));
  await until(areStarted, 30_000, 'a task was not started');
  await workers.leave();
  const waits = [...submittedAt].map(([taskId, at]) => startedAt.get(taskId) - at);
  return { p50Ms: median(waits), p99Ms: percentile(waits, 0.99) };
}
