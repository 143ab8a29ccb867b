// `npm run fuzz [-- --messages 1000000 --inputs 100000 --seed 1]`: bent messages and raw garbage against a real
// coordinator, with well-behaved agents doing real work beside it. Exits 1 when the coordinator dies, keeps memory, or
// when a well-behaved agent loses its lease or its work.

import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '../../dist/client/index.js';
import { seededRandom } from '../../dist/kit/random.js';
import {
  ask,
  endAll,
  fillCaches,
  residentKib,
  startAgents,
  startCoordinator,
  until,
} from '../bench/processes.mjs';
import { readFlags } from '../flags.mjs';
import { Chance } from './messages.mjs';
import { fuzzRaw } from './raw.mjs';
import { fuzzStreams } from './streams.mjs';

const { values } = readFlags(
  'fuzz',
  'Bent messages and raw garbage against a real coordinator, with well-behaved agents beside it.',
  {
    messages: { type: 'string', of: 'N', whole: 0, default: '1000000', says: 'on streams' },
    inputs: { type: 'string', of: 'N', whole: 0, default: '100000', says: 'malformed ones on sockets' },
    seed: { type: 'string', of: 'N', whole: 0, default: '1', says: 'the same garbage again' },
  },
);
const GROWTH_LIMIT_MIB = 50;
const GOOD_AGENTS = 3;
/** The coordinator lives, its memory, the leases, the work. */
const CHECKS = 4;
process.on('exit', endAll);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

const chance = new Chance(seededRandom(Number(values.seed)));
// Left alone, the heap grows before it is cleaned, leak or not. Bounded, what leaks ends the process.
const coordinator = await startCoordinator('1s', ['--max-old-space-size=96'], true);
let died = null;
coordinator.child.once('exit', (code, signal) => (died = signal ?? code));
const good = startAgents(coordinator.address, 'good', 4, GOOD_AGENTS);
await good.connected;
const client = connect(coordinator.address);
await fillCaches(client);
const epochs = await sessions();
const work = keepBusy();
await warmUp();
const heapBefore = (await ask(coordinator.child)).heapBytes;
const baselineKib = residentKib(coordinator.pid);

const messages = { left: Number(values.messages) };
await timed(`${values.messages} messages on streams`, () =>
  fuzzStreams(coordinator.address, chance, messages, 32, work.taskIds),
);
await timed(`${values.inputs} malformed inputs on sockets`, () =>
  fuzzRaw(coordinator.address, chance, Number(values.inputs), 32),
);

await work.stop();
const failures = await judge();
client.close();
await good.stop();
died = null;
(await coordinator.stop()).remove();
for (const failure of failures) console.log(`FAILED: ${failure}`);
console.log(`${CHECKS - failures.length} passed, ${failures.length} failed`);
// Sockets of streams that were cut short would keep the process waiting.
process.exit(failures.length > 0 ? 1 : 0);

/** The good agents' work: a few tasks at a time, all of them must succeed. */
function keepBusy() {
  const taskIds = [];
  let going = true;
  const run = (async () => {
    while (going) {
      const batch = await client.tasks.submit([1, 2, 3].map(() => ({ queue: 'bench', command: ['true'] })));
      for (const { taskId } of batch) taskIds.push(taskId);
      // Tasks of the fuzzers' own queue, for them to ask for.
      if (taskIds.length % 30 === 0) {
        const [own] = await client.tasks.submit([
          { queue: 'fuzz', command: ['true'], queuedTimeoutMs: 5_000 },
        ]);
        taskIds.push(own.taskId);
      }
      await wait(100);
    }
  })();
  const stop = async () => {
    going = false;
    await run;
  };
  return { taskIds, stop };
}

/** The first streams grow caches and pools that stay; what comes after them must not. */
async function warmUp() {
  await fuzzStreams(coordinator.address, chance, { left: 20_000 }, 32, work.taskIds);
  await fuzzRaw(coordinator.address, chance, 2_000, 32);
}

async function sessions() {
  const agents = (await client.agents.list()).filter(({ agentId }) => agentId.startsWith('good'));
  return new Map(agents.map(({ agentId, sessionEpoch }) => [agentId, String(sessionEpoch)]));
}

async function judge() {
  const failures = [];
  if (died !== null) return [`the coordinator died: ${died}`, 'memory', 'leases', 'work'];
  await until(
    async () => residentKib(coordinator.pid) < baselineKib + GROWTH_LIMIT_MIB * 1024,
    60_000,
    'memory',
  ).catch(() =>
    failures.push(`memory grew from ${mib(baselineKib)} to ${mib(residentKib(coordinator.pid))} MiB`),
  );
  const heapAfter = (await ask(coordinator.child)).heapBytes;
  console.log(`memory: ${mib(baselineKib)} MiB before, ${mib(residentKib(coordinator.pid))} MiB after`);
  console.log(
    `heap after collection: ${mib(heapBefore / 1024)} MiB before, ${mib(heapAfter / 1024)} MiB after`,
  );
  for (const [agentId, epoch] of await sessions()) {
    if (epochs.get(agentId) !== epoch)
      failures.push(`${agentId} lost its lease: session ${epochs.get(agentId)} is now ${epoch}`);
  }
  await until(allGoodWorkDone, 30_000, 'work').catch(() =>
    failures.push('work of the good agents did not end'),
  );
  return failures;
}

async function allGoodWorkDone() {
  for await (const _ of client.tasks.list({ queue: 'bench', states: ['queued', 'running'] }, { limit: 1 }))
    return false;
  for await (const task of client.tasks.list(
    { queue: 'bench', states: ['failed', 'cancelled'] },
    { limit: 1 },
  )) {
    throw new Error(`${task.taskId} ended as ${task.state}`);
  }
  return true;
}

async function timed(title, run) {
  const begin = performance.now();
  await run();
  console.log(`${title}: ${((performance.now() - begin) / 1000).toFixed(1)} s`);
}

function mib(kib) {
  return Math.round(kib / 1024);
}
