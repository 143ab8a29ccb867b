// From the submission of a task to its start, with a free slot: what a user waits.
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '../../dist/client/index.js';
import { median, percentile, startAgents, startCoordinator } from './processes.mjs';

/** Submits `n` tasks one by one, about `perSecond` of them a second. */
export async function startLatency(n, perSecond) {
  const coordinator = await startCoordinator();
  const workers = startAgents(coordinator.address, 'bench', 100, 1, 'starts');
  await workers.connected;
  const submittedAt = new Map();
  const startedAt = new Map();
  workers.child.on('message', ({ started, at }) => started && startedAt.set(started, at));
  const client = connect(coordinator.address);
  for (let i = 0; i < n + WARM_UP; i++) {
    const at = performance.timeOrigin + performance.now();
    const [task] = await client.tasks.submit([{ queue: 'bench', command: ['true'] }]);
    if (i >= WARM_UP) submittedAt.set(task.taskId, at);
    await wait(1000 / perSecond);
  }
  await wait(200);
  client.close();
  await workers.stop();
  (await coordinator.stop()).remove();
  const waits = [...submittedAt].map(([taskId, at]) => startedAt.get(taskId) - at);
  if (waits.some((ms) => Number.isNaN(ms))) throw new Error('a task was not started');
  return { p50Ms: median(waits), p99Ms: percentile(waits, 0.99) };
}

const WARM_UP = 50;
