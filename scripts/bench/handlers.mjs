// Full durable lifecycles of handlers: submit, offer, start request, permit, call in a warm child, report, acknowledge.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../dist/client/index.js';
import { bin, cpuSeconds, exited, follow, startCoordinator, until } from './processes.mjs';
import { workThrough } from './work.mjs';

const module = new URL('./bench-handlers.mjs', import.meta.url).pathname;
/** Calls of each child before the clock runs: a fresh process has yet to compile what it does. */
const WARM_UP = 2_000;
const call = (n) => ({ queue: 'bench', handler: 'echo', input: { n } });

/** One round: `n` calls of a handler that answers at once, through one worker with `children` warm children. */
export async function handlerRound(n, children, slots = children, warmUp = WARM_UP) {
  const coordinator = await startCoordinator();
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const worker = startWorker(coordinator.address, folder, children, slots);
  const client = connect(coordinator.address);
  try {
    await until(() => worker.ready(), 30_000, 'the worker did not come up');
    await workThrough(client, warmUp * children, call);
    const cpuBefore = costs(coordinator.pid, worker.pid);
    const { lifecyclesPerS } = await workThrough(client, n, call);
    const cpu = costs(coordinator.pid, worker.pid).map((of, i) => (1e6 * (of - cpuBefore[i])) / n);
    for await (const task of client.tasks.list({ states: ['failed', 'cancelled'] }, { limit: 1 }))
      throw new Error(`${task.taskId} ended as ${task.state}: ${task.reason} ${task.message}`);
    return {
      lifecyclesPerS,
      coordinatorMicrosPerTask: cpu[0],
      agentMicrosPerTask: cpu[1],
      runnerMicrosPerTask: cpu[2],
      childrenMicrosPerTask: cpu[3],
      benchMicrosPerTask: cpu[4],
    };
  } finally {
    client.close();
    await worker.stop();
    (await coordinator.stop()).remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** CPU seconds of the coordinator, the agent, its runner, everything under that, and of this process. */
function costs(coordinator, agent) {
  const parents = readdirSync('/proc').flatMap((name) => {
    try {
      const pid = Number(name);
      return pid > 0
        ? [[pid, Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1].split(' ')[1])]]
        : [];
    } catch {
      return [];
    }
  });
  const childrenOf = (pid) => parents.filter(([, parent]) => parent === pid).map(([child]) => child);
  const below = (pid) => childrenOf(pid).flatMap((child) => [child, ...below(child)]);
  const sum = (pids) => pids.reduce((total, pid) => total + cpuSeconds(pid), 0);
  const runners = childrenOf(agent);
  const work = [sum(runners), sum(runners.flatMap(below))];
  return [cpuSeconds(coordinator), cpuSeconds(agent), ...work, cpuSeconds(process.pid)];
}

/** A worker with `children` warm children for the handlers of the benches, in a process of its own. */
export function startWorker(address, folder, children, slots, flags = []) {
  const args = ['agent', 'start', '--coordinator', address, '--agent-id', 'bench', '--queue', 'bench'];
  const own = ['--slots', String(slots), '--state-dir', folder, '--handlers', module];
  const pool = ['--handlers-warm', String(children), '--handlers-most', String(children)];
  const child = follow(
    spawn(process.execPath, [bin, ...args, ...own, ...pool, ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
    }),
  );
  let log = '';
  child.stderr.on('data', (data) => {
    log += data;
  });
  const stop = async () => {
    child.kill('SIGTERM');
    await exited(child);
  };
  return { pid: child.pid, ready: () => log.includes('connected: a new session'), stop };
}
