// The rounds: each does one thing to the running system, puts it right again, and waits until all agents are back.
// What was done is written down as a fault, for the judge: who, from when to when, and what must or must not follow.
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { monoMs } from './clock.mjs';

/** All agents must be healthy again this long after a fault is over (K17). */
const BACK_LIMIT_MS = 15_000;
const FAIL_LIMIT_MS = 8_000;
const DISK_FULL_MS = 4_000;
const BALLAST_BYTES = 40_000;
const CHUNKS = [1024 * 1024, 4096];

/** Rounds by kind. Each resolves to a few words about what it did. */
export const ROUNDS = {
  'kill agents': killAgents,
  'kill coordinator': killCoordinator,
  'kill both': killBoth,
  'stop agent': stopAgent,
  'stop coordinator': stopCoordinator,
  cut: cutAgent,
  delay: delayAgent,
  'fill disk': fillDisk,
  several: breakSeveral,
};

/** Two agents at once. `how`: started again now, later, or now on a fresh state directory. */
async function killAgents(site, { how, targets = someAgents(site, 2) }) {
  const { fleet } = site;
  const faults = targets.map((target) => site.fault({ kind: 'kill', target, mustFail: how !== 'now' }));
  await Promise.all(targets.map((target) => fleet.agents.get(target).kill()));
  if (how === 'later') await failed(site, faults);
  const again = monoMs();
  for (const target of targets) fleet.startAgent(target, how === 'fresh');
  if (how === 'fresh') {
    await failed(site, faults);
    for (const target of targets) await site.workload.release(target);
  }
  await back(site, faults, targets, again);
  return `${targets.join(' and ')}, started again ${how === 'fresh' ? 'on a fresh state directory' : how}`;
}

const someAgents = ({ fleet, random }, count) => random.shuffled([...fleet.agents.keys()]).slice(0, count);

async function killCoordinator(site) {
  const downMs = site.random.between(0, 1.5 * site.leaseMs);
  const fault = site.fault({ kind: 'kill', target: 'coordinator' });
  await site.fleet.coordinator.kill();
  await site.sleep(downMs);
  await site.startCoordinator();
  await back(site, [fault], [...site.fleet.agents.keys()], fault.from);
  return `down for ${Math.round(downMs)} ms`;
}

async function killBoth(site) {
  const { fleet, random } = site;
  const [target] = someAgents(site, 1);
  const faults = [site.fault({ kind: 'kill', target: 'coordinator' }), site.fault({ kind: 'kill', target })];
  await Promise.all([fleet.coordinator.kill(), fleet.agents.get(target).kill()]);
  await site.sleep(random.between(0, site.leaseMs));
  const again = monoMs();
  fleet.startAgent(target);
  await site.startCoordinator();
  await back(site, faults, [...fleet.agents.keys()], again);
  return `coordinator and ${target}`;
}

async function stopAgent(site, { leases, targets: [target] = someAgents(site, 1) }) {
  const member = site.fleet.agents.get(target);
  const forMs = leases * site.leaseMs;
  const fault = site.fault({
    kind: 'stop',
    target,
    ...consequencesOf(site, forMs, 0),
    mayNotFail: leases <= 0.5,
  });
  member.stop();
  await site.sleep(forMs);
  member.cont();
  await back(site, [fault], [], 0);
  return `${target} for ${leases} L`;
}

async function stopCoordinator(site, { leases }) {
  const fault = site.fault({ kind: 'stop', target: 'coordinator' });
  site.fleet.coordinator.stop();
  await site.sleep(leases * site.leaseMs);
  site.fleet.coordinator.cont();
  await back(site, [fault], [], 0);
  return `for ${leases} L`;
}

async function cutAgent(site, { cut, longestL, targets: [target] = someAgents(site, 1) }) {
  const { network, random, leaseMs, heartbeatMs } = site;
  if (!network.kinds.includes(cut)) return null;
  // Half of them short, half beyond the lease; a link that works now and then must be given time to.
  const isSteady = !['loss', 'flap'].includes(cut);
  const leases = isSteady && random.chance(0.35) ? random.between(0.2, 0.8) : random.between(2.2, longestL);
  const forMs = leases * leaseMs;
  // With only the answers cut, heartbeats pass until the agent gives the silent stream up.
  const spareMs = cut === 'down' ? 2 * heartbeatMs : 0;
  const consequences = isSteady ? consequencesOf(site, forMs, spareMs) : {};
  const fault = site.fault({ kind: `cut ${cut}`, target, ...consequences });
  network.cut(target, cut);
  await site.sleep(forMs);
  network.heal(target);
  await back(site, [fault], [], 0);
  return `${target}, ${cut}, ${leases.toFixed(1)} L`;
}

/** Slow for a while: little, which nobody may fail for, or so much that heartbeats and their answers come too late. */
async function delayAgent(site, { severe, longestL }) {
  const { network, random, leaseMs } = site;
  const target = random.pick(network.agentsFor('delay'));
  const [leastMs, mostMs] = (severe ? [0.5, 2] : [0.02, 0.2]).map((leases) => leases * leaseMs);
  const leases = random.between(2.2, longestL);
  const fault = site.fault({ kind: `delay ${severe ? 'much' : 'little'}`, target, mayNotFail: !severe });
  network.delay(target, leastMs, mostMs);
  await site.sleep(leases * leaseMs);
  network.heal(target);
  await back(site, [fault], [], 0);
  return `${target}, each piece by ${leastMs} to ${mostMs} ms, ${leases.toFixed(1)} L`;
}

/** Two agents killed, a third stopped and a fourth cut off, at one time; and the coordinator killed in the midst of it. */
async function breakSeveral(site, { how, leases, cut, longestL, coordinator }) {
  const targets = someAgents(site, 4);
  const parts = [
    killAgents(site, { how, targets: targets.slice(0, 2) }),
    stopAgent(site, { leases, targets: targets.slice(2, 3) }),
    cutAgent(site, { cut, longestL, targets: targets.slice(3) }),
  ];
  if (coordinator) parts.push(killCoordinator(site));
  const told = await Promise.allSettled(parts);
  for (const part of told) if (part.status === 'rejected') throw part.reason;
  return told.map((part) => (part.status === 'fulfilled' && part.value) ?? `${cut} SKIPPED`).join('; ');
}

/** A silence this long must be noticed while it lasts. */
const consequencesOf = ({ leaseMs, slackMs }, forMs, spareMs) => ({
  mustFail: forMs >= leaseMs + 1_000 + slackMs + spareMs,
  spareMs,
});

/** The database's disk runs full, with commits under way, and has room again. */
async function fillDisk(site) {
  if (site.disk === null) return null;
  const filler = join(site.disk, 'filler');
  const fault = site.fault({ kind: 'fill', target: 'disk' });
  const { workload } = site;
  const refusals = () => workload.noRoom.filter((at) => at >= fault.from).length;
  // Ever smaller, until the last room is taken and the smallest commit is refused.
  let bytes = BALLAST_BYTES;
  const until = monoMs() + DISK_FULL_MS;
  while (monoMs() < until) {
    // Again and again: what a checkpoint or a deleted file gives free is taken at once.
    fillUp(filler);
    if (!(await workload.addBallast(bytes))) bytes = Math.ceil(bytes / 4);
    await site.sleep(100);
  }
  rmSync(filler);
  const freeAt = monoMs();
  const refused = refusals();
  const isAccepting = () => [...workload.accepted.values()].some(({ at }) => at > freeAt);
  if (!(await site.until(isAccepting, BACK_LIMIT_MS)))
    throw new Error('nothing is accepted although there is room');
  await workload.cancelBallast();
  await back(site, [fault], [], 0);
  if (refused === 0) throw new Error('no call was refused: the disk was not full');
  return `${refused} submissions refused meanwhile`;
}

function fillUp(file) {
  const descriptor = openSync(file, 'a');
  try {
    for (const size of CHUNKS) {
      try {
        const chunk = Buffer.alloc(size);
        while (writeSync(descriptor, chunk) === size);
      } catch (error) {
        if (error.code !== 'ENOSPC') throw error;
      }
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Waits until the coordinator has failed these agents; that it does so in time is for the judge. */
async function failed(site, faults) {
  const isFailed = ({ target, from }) =>
    site.fleet.failures.some(({ agentId, at }) => agentId === target && at >= from);
  if (await site.until(() => faults.every(isFailed), FAIL_LIMIT_MS)) return;
  throw new Error(`not failed within ${FAIL_LIMIT_MS} ms: ${faults.map(({ target }) => target).join(', ')}`);
}

/** The fault is over: all agents come back, these with a session told of since then. */
async function back(site, faults, targets, since) {
  const over = monoMs();
  const isBack = async () =>
    targets.every((target) => site.fleet.hasSessionSince(target, since)) && (await site.areHealthy());
  const came = await site.until(isBack, BACK_LIMIT_MS);
  for (const fault of faults) fault.to = monoMs();
  if (!came) throw new Error(`K17: not all agents are healthy ${BACK_LIMIT_MS} ms after the fault`);
  site.tookMs = monoMs() - over;
}
