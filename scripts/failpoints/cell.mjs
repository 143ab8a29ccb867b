// One cell: a coordinator, two agents and six tasks of their own, one fault at one step, and the judge.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { judge } from '../../dist/testing/checker/index.js';
import { monoMs } from '../chaos/clock.mjs';
import { Random } from '../chaos/random.mjs';
import { Site } from '../chaos/site.mjs';
import { POLICIES, stubTask } from '../chaos/workload.mjs';

const WORLD = { net: false, mount: false };
const AGENTS = 2;
/** L = 3 s: several cells at once on two cores may delay a process by half a second, and that must fail nobody. */
const HEARTBEAT_MS = 1_000;
const HIT_LIMIT_MS = 60_000;
const BACK_LIMIT_MS = 60_000;
/** After the fault everything must come to its end within this (K11, K17). */
const SETTLE_LIMIT_MS = 60_000;
const END_LIMIT_MS = 30_000;
/** The pulse that notices a loss and the end of the commit behind it may each have to wait for the machine. */
const WAKES = 2;
/** Between two looks at how late this process itself is. */
const LOOK_MS = 50;
/** A delay that no lease outlives. */
const DELAY_LEASES = 1.5;
/** Some end before most faults, some outlive a lease, and one needs a second try. */
const TASKS = [
  { durationMs: 200, failTries: 1 },
  { durationMs: 4_000 },
  { durationMs: 900, stubborn: true },
  { durationMs: 4_000 },
  { durationMs: 500 },
  { durationMs: 2_000 },
];

/** Plays it; resolves to { problems, violations, history, startedAt, tookMs, lateMs }. `number` turns the policies of the tasks. */
export async function playCell(cell, { program, number, hit, signal }) {
  const startedAt = monoMs();
  const site = new Site(WORLD, new Random(number + 1), signal, {
    agents: AGENTS,
    heartbeatMs: HEARTBEAT_MS,
    program,
  });
  const problems = [];
  const lateness = new Lateness();
  try {
    const orders = { name: cell.point.name, side: cell.side, order: orderOf(cell), hit };
    writeFileSync(join(site.folder, 'failpoint.json'), JSON.stringify(orders));
    await site.start(WORLD);
    const submitted = site.workload.submit(tasksOf(site.folder, number));
    await strike(site, cell);
    await submitted;
    await settle(site, problems);
    site.slackMs += WAKES * lateness.longestMs;
    const history = await site.history();
    await stopAll(site, problems);
    const verdict = judge(history);
    const violations = [...site.accidents, ...verdict.violations];
    for (const { rule, what } of violations) problems.push(`${rule}: ${what}`);
    return {
      problems,
      violations,
      history,
      startedAt,
      tookMs: monoMs() - startedAt,
      lateMs: lateness.longestMs,
    };
  } catch (error) {
    if (signal.aborted) throw error;
    problems.push(error.message, site.fleet?.tails() ?? '');
    return {
      problems,
      violations: [],
      history: null,
      startedAt,
      tookMs: monoMs() - startedAt,
      lateMs: lateness.longestMs,
    };
  } finally {
    lateness.close();
    await site.close();
  }
}

/**
 * How late the machine woke this very process, which has next to nothing to do: what it did to us it may have done to the
 * coordinator. Upper bounds get it added, lower ones never.
 */
class Lateness {
  longestMs = 0;
  #last = monoMs();
  #timer = setInterval(() => {
    const now = monoMs();
    this.longestMs = Math.max(this.longestMs, now - this.#last - LOOK_MS);
    this.#last = now;
  }, LOOK_MS);

  close() {
    clearInterval(this.#timer);
  }
}

/** What the failpoint itself does; the rest is done from here while the process stands still, or as soon as it has told. */
function orderOf({ point, side, fault }) {
  if (fault === 'duplicate') return 'duplicate';
  if (fault !== 'drop') return 'hold';
  return point.of === 'message' && side === 'after' ? 'note' : 'lose';
}

function tasksOf(folder, number) {
  return TASKS.map(({ durationMs, failTries = 0, stubborn = false }, index) => {
    const policy = POLICIES[(index + number) % POLICIES.length];
    return stubTask(folder, `c${index}`, { durationMs, failTries, stubborn, policy, retries: 2 });
  });
}

/** Waits until the step is taken, does the fault to whom it is meant for, and waits until all are back. */
async function strike(site, cell) {
  const file = join(site.folder, 'failpoint.hit');
  if (!(await site.until(() => existsSync(file), HIT_LIMIT_MS))) throw new Error('the step was never taken');
  const { agentId, at } = JSON.parse(readFileSync(file, 'utf8'));
  if (!site.fleet.agents.has(agentId)) throw new Error(`the step was taken for nobody: ${agentId}`);
  const fault = await FAULTS[cell.fault](site, { cell, agentId, at });
  const isBack = async () =>
    (fault.kind !== 'kill' ||
      fault.target === 'coordinator' ||
      site.fleet.hasSessionSince(fault.target, fault.from)) &&
    (await site.areHealthy());
  const came = await site.until(isBack, BACK_LIMIT_MS);
  fault.to = monoMs();
  if (!came) throw new Error(`K17: not all agents are healthy ${BACK_LIMIT_MS} ms after the fault`);
}

const FAULTS = {
  'kill agent': killAgent,
  'kill coordinator': killCoordinator,
  drop: loseSomething,
  duplicate: async (site, { agentId }) =>
    site.fault({ kind: 'duplicate', target: agentId, mayNotFail: true }),
  delay: delayStep,
};

async function killAgent(site, { agentId }) {
  const fault = site.fault({ kind: 'kill', target: agentId });
  await site.fleet.agents.get(agentId).kill();
  goOn(site);
  site.fleet.startAgent(agentId);
  return fault;
}

async function killCoordinator(site) {
  const fault = site.fault({ kind: 'kill', target: 'coordinator' });
  await site.fleet.coordinator.kill();
  goOn(site);
  await site.startCoordinator();
  return fault;
}

/** Beyond the lease. A runner that stands still stops nobody's heartbeats. */
async function delayStep(site, { cell, agentId }) {
  const { of, file } = cell.point;
  const target = file.startsWith('agent/') ? agentId : 'coordinator';
  const fault = site.fault({ kind: 'delay', target, mayNotFail: of === 'exec' });
  await site.sleep(DELAY_LEASES * site.leaseMs);
  goOn(site);
  return fault;
}

/** A part of a message, an unsaid commit, or the connection behind a message that was sent or taken. */
async function loseSomething(site, { cell, agentId, at }) {
  const { point, side } = cell;
  if (point.of === 'commit' && side === 'after') return outcomeUnknown(site);
  // What an exec can lose is the command itself, as if somebody had killed it.
  if (point.of === 'exec')
    return site.fault({ kind: 'command kill', target: agentId, from: at, mayNotFail: true });
  if (point.of === 'message' && side === 'after') site.network.breakOff(agentId);
  return site.fault({ kind: 'drop', target: agentId, mayNotFail: true });
}

/** A coordinator that does not know what became of a commit ends itself; whoever runs it starts it again. */
async function outcomeUnknown(site) {
  const { coordinator } = site.fleet;
  coordinator.child.wanted = true;
  const fault = site.fault({ kind: 'kill', target: 'coordinator' });
  if (!(await site.until(() => !coordinator.isAlive, END_LIMIT_MS)))
    throw new Error('the coordinator goes on although it does not know what became of its commit');
  if (coordinator.child.exitCode === 0) throw new Error('the coordinator ended as if nothing had happened');
  await site.startCoordinator();
  return fault;
}

const goOn = (site) => writeFileSync(join(site.folder, 'failpoint.go'), '');

/** What was accepted must end by itself: no operator helps. */
async function settle(site, problems) {
  const isOver = async () => {
    await site.workload.look().catch(() => {});
    return site.workload.openCount === 0 && (await site.areHealthy());
  };
  if (await site.until(isOver, SETTLE_LIMIT_MS)) return;
  problems.push(`K17: ${site.workload.openCount} tasks have not ended ${SETTLE_LIMIT_MS} ms after the fault`);
}

/** Ended in good order, with nothing left alive. */
async function stopAll(site, problems) {
  const agents = [...site.fleet.agents.values()];
  const codes = await Promise.all(agents.map((agent) => agent.end(END_LIMIT_MS)));
  codes.push(await site.fleet.coordinator.end(END_LIMIT_MS));
  if (codes.some((code) => code !== 0)) problems.push(`exit codes at the end: ${codes.join(', ')}`);
  const left = await site.leftovers();
  if (left.length > 0) problems.push(`commands that are alive after the end: ${left.join(', ')}`);
}
