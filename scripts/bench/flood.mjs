// A flood of output from one task: what the heartbeats of its agent and the work of its neighbours notice of it. Stretches
// with and without the flood take turns, so that what else the machine does falls on both.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '../../dist/client/index.js';
import { median } from './figures.mjs';
import { bin, cpuSeconds, exited, follow, startAgents, startCoordinator, until } from './processes.mjs';
import { reportsOf } from './work.mjs';

const H_MS = 500;
const probe = import.meta.resolve('./heartbeats.mjs');
const writer = new URL('./flood-writer.mjs', import.meta.url).pathname;
/** At the beginning of a stretch, not measured: processes start. */
const RUN_UP_MS = 1_000;

/**
 * `rounds` pairs of stretches of `seconds`, one with a task that says `lines` lines a second. The neighbours are another
 * agent with `perSecond` lifecycles a second, or as many as go when that is 0.
 */
export async function flood(lines, seconds, rounds, perSecond) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const coordinator = await startCoordinator(`${H_MS}ms`, ['--import', probe], false, { channel: true });
  const site = { folder, coordinator, client: connect(coordinator.address), perSecond, lines, seconds };
  const chatty = startChatty(coordinator.address, folder);
  const neighbours = startAgents(coordinator.address, 'neighbours', 20);
  try {
    await neighbours.connected;
    await until(() => agentIsUp(site.client), 15_000, 'the agent of the flood did not come up');
    const quiet = [];
    const flooded = [];
    for (let round = 0; round < rounds; round++) {
      quiet.push(await stretch(site, false));
      flooded.push(await stretch(site, true));
    }
    const of = (stretches, name) => median(stretches.map((one) => one[name]));
    return {
      linesPerS: of(flooded, 'linesPerS'),
      lateMs: of(flooded, 'lateMs'),
      latestMs: Math.max(...flooded.map(({ lateMs }) => lateMs)),
      lateQuietMs: of(quiet, 'lateMs'),
      lifecyclesPerS: of(flooded, 'lifecyclesPerS'),
      lifecyclesQuietPerS: of(quiet, 'lifecyclesPerS'),
      neighboursKeepPercent: (100 * of(flooded, 'lifecyclesPerS')) / of(quiet, 'lifecyclesPerS'),
      coordinatorCpuPercent: of(flooded, 'cpuPercent'),
      coordinatorCpuQuietPercent: of(quiet, 'cpuPercent'),
    };
  } finally {
    site.client.close();
    await neighbours.stop();
    chatty.kill('SIGKILL');
    await exited(chatty);
    (await coordinator.stop()).remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A real agent with a runner, as a command's output takes its way through both. */
function startChatty(address, folder) {
  const identity = [
    '--kind',
    'worker',
    '--coordinator',
    address,
    '--agent-id',
    'chatty',
    '--queue',
    'chatty',
  ];
  const rest = ['--slots', '2', '--state-dir', join(folder, 'state'), '--log-level', 'error'];
  return follow(
    spawn(process.execPath, [bin, 'agent', 'start', ...identity, ...rest], {
      stdio: ['ignore', 'ignore', 'inherit'],
    }),
  );
}

async function agentIsUp(client) {
  const agents = await client.agents.list();
  return agents.some(({ agentId }) => agentId === 'chatty');
}

async function stretch(site, withFlood) {
  const { folder, coordinator, client } = site;
  const told = join(folder, 'lines');
  const task = withFlood ? await submitFlood(site, told) : null;
  const over = performance.now() + RUN_UP_MS + site.seconds * 1_000;
  const work = loadUntil(client, site.perSecond, over);
  await wait(RUN_UP_MS);
  await heartbeats(coordinator.child);
  const before = await reportsOf(client);
  const cpuBefore = cpuSeconds(coordinator.pid);
  const begin = performance.now();
  await wait(over - performance.now());
  const after = await reportsOf(client);
  const cpu = cpuSeconds(coordinator.pid) - cpuBefore;
  const measured = (performance.now() - begin) / 1_000;
  const beats = new Map(await heartbeats(coordinator.child)).get('chatty') ?? [];
  await work;
  if (task !== null)
    await until(async () => (await client.tasks.get(task)).state === 'success', 60_000, 'the flood');
  return {
    lateMs: Math.max(...lateBeats(beats, H_MS), 0),
    lifecyclesPerS: (after - before) / measured,
    cpuPercent: (100 * cpu) / measured,
    linesPerS: withFlood ? Number(readFileSync(told, 'utf8')) : 0,
  };
}

/** How long after its instant each heartbeat came, in milliseconds; early ones, with reports, are not late. */
export const lateBeats = (beats, everyMs) =>
  beats.slice(1).map((at, i) => Math.max(0, at - beats[i] - everyMs));

async function submitFlood({ client, lines, seconds }, told) {
  const command = [process.execPath, writer, String(lines), String(seconds + RUN_UP_MS / 1_000), told];
  const [{ taskId }] = await client.tasks.submit([{ queue: 'chatty', command }]);
  return taskId;
}

/** When heartbeats arrived since this was asked last, agent by agent. */
export function heartbeats(child) {
  return new Promise((resolve) => {
    child.once('message', resolve);
    child.send('heartbeats');
  });
}

/** Work for the neighbours until `over`, all of it done when this settles. */
async function loadUntil(client, perSecond, over) {
  if (perSecond === 0) await keepBusyUntil(client, over);
  else await keepPaceUntil(client, perSecond, over);
  await until(async () => !(await waitsAny(client)), 60_000, 'the neighbours did not end');
}

const works = (count) => Array.from({ length: count }, () => ({ queue: 'bench', command: ['true'] }));

async function keepPaceUntil(client, perSecond, over) {
  const underWay = new Set();
  const batch = Math.max(1, Math.round(perSecond / 50));
  for (let next = performance.now(); next < over; next += 1_000 * (batch / perSecond)) {
    await wait(Math.max(0, next - performance.now()));
    const call = client.tasks.submit(works(batch)).then(() => underWay.delete(call));
    underWay.add(call);
  }
  await Promise.all(underWay);
}

/** As many as go, with never more than a few hundred waiting. */
async function keepBusyUntil(client, over) {
  const before = await reportsOf(client);
  let submitted = 0;
  while (performance.now() < over) {
    const waiting = submitted - ((await reportsOf(client)) - before);
    if (waiting > 500) {
      await wait(10);
      continue;
    }
    await client.tasks.submit(works(250));
    submitted += 250;
  }
}

async function waitsAny(client) {
  for await (const _ of client.tasks.list({ queue: 'bench', states: ['queued', 'running'] }, { limit: 1 }))
    return true;
  return false;
}
