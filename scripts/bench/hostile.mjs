// Eight slots full of handlers that block their event loops, allocate without end or end their process, for as long as they
// block: what the lease of their agent and the tasks beside them notice of it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../dist/client/index.js';
import { heartbeats, lateBeats } from './flood.mjs';
import { startWorker } from './handlers.mjs';
import { startCoordinator, until } from './processes.mjs';

const H_MS = 500;
const probe = import.meta.resolve('./heartbeats.mjs');
/** Beyond what they block: children start one after the other, and two of them keep the machine busy. */
const MORE_MS = 120_000;
const BLOCKERS = ['spin', 'spin', 'freeze', 'freeze', 'freeze'];
/** Each of the slots that are left takes them in turn, so that no slot is ever free. */
const TURNS = [
  ['fillHeap', 'echo', 'exit', 'echo'],
  ['fillMemory', 'echo', 'exit', 'echo'],
  ['exit', 'echo', 'exit', 'echo'],
];
/** How a try of each must end; a task that was tried twice has cost another its run. */
const ENDS = {
  echo: 'success  1',
  spin: 'success  1',
  freeze: 'success  1',
  fillHeap: 'failed handler_out_of_memory 1',
  fillMemory: 'failed handler_out_of_memory 1',
  exit: 'failed handler_exited 1',
};

/** Throws when a task ended otherwise than its handler did, or when the agent lost its session. */
export async function hostileHandlers(blockMs) {
  const coordinator = await startCoordinator(`${H_MS}ms`, ['--import', probe], false, { channel: true });
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const worker = startWorker(coordinator.address, folder, 8, 8, ['--handler-memory', '192']);
  const client = connect(coordinator.address);
  try {
    await until(() => worker.ready(), 30_000, 'the worker did not come up');
    const [before] = await client.agents.list();
    await heartbeats(coordinator.child);
    const ended = await fullSlots(client, blockMs);
    const beats = new Map(await heartbeats(coordinator.child)).get('bench') ?? [];
    const [after] = await client.agents.list();
    const leasesLost = Number(after.sessionEpoch - before.sessionEpoch);
    if (leasesLost > 0 || after.state !== 'healthy')
      throw new Error(`the agent lost ${leasesLost} leases, and is ${after.state}`);
    const count = (name) => ended.filter((one) => one === name).length;
    return {
      blockedS: blockMs / 1_000,
      blocked: count('spin') + count('freeze'),
      outOfMemory: count('fillHeap') + count('fillMemory'),
      exited: count('exit'),
      untouched: count('echo'),
      leasesLost,
      streamsLost: Number(after.streamNo - before.streamNo),
      beats: beats.length,
      latestMs: Math.max(...lateBeats(beats, H_MS)),
    };
  } finally {
    client.close();
    await worker.stop();
    (await coordinator.stop()).remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The names of the handlers whose tasks have ended as they had to. */
async function fullSlots(client, blockMs) {
  const ended = [];
  const call = async (handler, input = null) => {
    const spec = { queue: 'bench', handler, input, executionTimeoutMs: blockMs + MORE_MS };
    const { state, reason, tryNumber } = await client.tasks.submitAndWait(spec);
    const end = `${state} ${reason} ${tryNumber}`;
    if (end !== ENDS[handler]) throw new Error(`${handler} ended as ${end}, and not as ${ENDS[handler]}`);
    ended.push(handler);
  };
  let over = false;
  const blockers = Promise.all(BLOCKERS.map((handler) => call(handler, blockMs))).finally(() => {
    over = true;
  });
  const others = TURNS.map(async (turn) => {
    while (!over) for (const handler of turn) await call(handler);
  });
  await Promise.all([blockers, ...others]);
  return ended;
}
