// From the submission of a task to its start, with a free slot: what a user waits.
import { connect } from '../../dist/client/index.js';
import { median, percentile } from './figures.mjs';
import { atRate } from './pace.mjs';
import { startAgents, startCoordinator, until } from './processes.mjs';
import { bareTask } from './work.mjs';

/** The first second is not counted: processes have yet to compile what they do. */
const WARM_UP_S = 1;

/** Tasks one by one, `perSecond` of them for `seconds`; from the call of submit to the start, by one machine's clock. */
export async function startLatency({ perSecond, seconds, agents = 1, slots = 100 }) {
  const coordinator = await startCoordinator();
  const workers = startAgents(coordinator.address, 'bench', slots, agents, { tell: 'starts' });
  await workers.connected;
  const submittedAt = new Map();
  const startedAt = new Map();
  workers.child.on('message', ({ started, at }) => started && startedAt.set(started, at));
  const client = connect(coordinator.address);
  await atRate(perSecond, seconds + WARM_UP_S, async (i) => {
    const at = performance.timeOrigin + performance.now();
    const [task] = await client.tasks.submit([bareTask()]);
    if (i >= perSecond * WARM_UP_S) submittedAt.set(task.taskId, at);
  });
  const areStarted = () => [...submittedAt.keys()].every((taskId) => startedAt.has(taskId));
  await until(areStarted, 30_000, 'a task was not started');
  client.close();
  await workers.stop();
  (await coordinator.stop()).remove();
  const waits = [...submittedAt].map(([taskId, at]) => startedAt.get(taskId) - at);
  return { p50Ms: median(waits), p99Ms: percentile(waits, 0.99) };
}
