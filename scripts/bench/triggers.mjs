// Triggers that wait in one triggerer: what they cost while nothing happens, and how fast many of them come to something at once.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '../../dist/client/index.js';
import { bin, cpuSeconds, exited, follow, residentKib, startCoordinator, until } from './processes.mjs';

const HANDLERS = new URL('./bench-handlers.mjs', import.meta.url).pathname;
const TRIGGERS = new URL('./bench-triggers.mjs', import.meta.url).pathname;
const LIMIT_MS = 600_000;
const BATCH = 500;

/**
 * `n` tasks wait, a third each for an instant, for a delay and for a trigger of the user's own; `idleMs` later the instant
 * comes for its third. Throws when one of them is not resumed.
 */
export async function waitingTriggers(n, idleMs) {
  const coordinator = await startCoordinator('5s');
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const client = connect(coordinator.address);
  const agents = [];
  try {
    agents.push(startAgent('worker', coordinator.address, folder, ['--handlers', HANDLERS, '--slots', '32']));
    const triggerer = startAgent('triggerer', coordinator.address, folder, ['--triggers', TRIGGERS]);
    agents.push(triggerer);
    await wait(3_000);
    const beforeKib = residentKib(triggerer.pid);
    const begin = performance.now();
    const isOver = async () => (await count(client, ['queued', 'running', 'success', 'failed'], 1)) === 0;
    const due = Math.ceil(n / 3);
    await submit(client, n - due, [
      { kind: 'delta', input: { for: '12h' } },
      { kind: 'sleeps', input: { ms: 12 * 3_600_000 } },
    ]);
    await until(isOver, LIMIT_MS, 'not all tasks were deferred');
    // As far away as the others took, which were twice as many: all of these will be waiting.
    const at = new Date(Date.now() + 10_000 + (performance.now() - begin) + idleMs);
    await submit(client, due, [{ kind: 'date_time', input: { at: at.toISOString() } }]);
    await until(isOver, LIMIT_MS, 'not all tasks were deferred');
    const deferredS = (performance.now() - begin) / 1_000;
    await wait(5_000);
    const cpuBefore = cpuSeconds(triggerer.pid);
    const waitingKib = residentKib(triggerer.pid);
    await wait(idleMs);
    const idleCpuPercent = (100 * (cpuSeconds(triggerer.pid) - cpuBefore)) / (idleMs / 1_000);
    await wait(Math.max(0, at.getTime() - Date.now()));
    const isDone = async () => (await count(client, ['success'], due)) === due;
    await until(isDone, LIMIT_MS, 'not all events came');
    const firedS = (Date.now() - at.getTime()) / 1_000;
    if ((await count(client, ['failed'], 1)) > 0) throw new Error('a task has failed');
    return {
      ...{ triggers: n, deferredS, residentMib: waitingKib / 1_024, residentBeforeMib: beforeKib / 1_024 },
      ...{ idleCpuPercent, eventsAtOnce: due, eventsResumedAndEndedS: firedS },
    };
  } finally {
    client.close();
    for (const agent of agents) {
      agent.kill('SIGKILL');
      await exited(agent);
    }
    (await coordinator.stop()).remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function count(client, states, limit) {
  await wait(200);
  let found = 0;
  for await (const _ of client.tasks.list({ states }, { limit })) found++;
  return found;
}

function startAgent(kind, address, folder, flags) {
  const args = ['agent', 'start', '--kind', kind, '--coordinator', address, '--agent-id', kind];
  const all = [bin, ...args, '--state-dir', join(folder, kind), '--log-level', 'error', ...flags];
  return follow(spawn(process.execPath, all, { stdio: 'ignore' }));
}

async function submit(client, n, triggers) {
  for (let from = 0; from < n; from += BATCH) {
    const count = Math.min(BATCH, n - from);
    const input = (i) => ({ trigger: triggers[(from + i) % triggers.length] });
    const specs = Array.from({ length: count }, (_, i) => ({ handler: 'defers', input: input(i) }));
    await client.tasks.submit(specs);
  }
}
