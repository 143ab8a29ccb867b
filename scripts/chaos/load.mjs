// What the machine itself made the coordinator wait: the kernel counts how long a thread could have run and had no CPU. A
// late detection is excused by that figure alone, never by a guess.
import { readFileSync } from 'node:fs';
import { monoMs } from './clock.mjs';

const EVERY_MS = 25;
const PROMISE_MS = 1_000;

/** Samples of the waiting of a coordinator's main thread, of its agents' and of our own, by time. */
export class Load {
  /** { from, at, theirs, ours, agents }: waited in the interval that ended then, ms; `agents` by their names. */
  #samples = [];
  #pidOf;
  #agents;
  #timer;
  #last = null;

  /** `pidOf`: the process of the moment, 0 while there is none; `agents`: by name, whoever has a `pid` of the moment. */
  constructor(pidOf, agents = new Map()) {
    this.#pidOf = pidOf;
    this.#agents = agents;
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
  }

  #look() {
    const pid = this.#pidOf();
    const agents = new Map([...this.#agents].map(([name, { pid: own }]) => [name, [own, waitedMs(own)]]));
    const now = { at: monoMs(), pid, theirs: waitedMs(pid), ours: waitedMs(process.pid), agents };
    const last = this.#last;
    this.#last = now;
    if (last === null) return;
    const theirs = last.pid === pid ? now.theirs - last.theirs : 0;
    const ours = now.ours - last.ours;
    /** @returns {[string, number]} */
    const since = ([name, [own, waited]]) => {
      const [before, then] = last.agents.get(name) ?? [0, 0];
      return [name, before === own ? waited - then : 0];
    };
    const theirAgents = new Map([...agents].map(since).filter(([, waited]) => waited > 0.5));
    if (theirs + ours > 0.5 || theirAgents.size > 0)
      this.#samples.push({ from: last.at, at: now.at, theirs, ours, agents: theirAgents });
  }

  close() {
    clearInterval(this.#timer);
  }

  /** The longest that the coordinator and we together had no CPU in any window of such a length. */
  worst(windowMs) {
    const sums = this.#samples.map(({ from }) => this.waited(from, from + windowMs));
    return Math.max(0, ...sums.map(({ theirs, ours }) => theirs + ours));
  }

  /** For how long an agent or the coordinator waited: what both waited at once counts once. */
  waitedByPair(agentId, from, to) {
    const inTime = this.#samples.filter((sample) => sample.from >= from && sample.at <= to);
    return inTime.reduce((sum, { theirs, agents }) => sum + Math.max(theirs, agents.get(agentId) ?? 0), 0);
  }

  /** How long the coordinator, and how long we, waited for a CPU in this time. */
  waited(from, to) {
    const inTime = this.#samples.filter((sample) => sample.at >= from && sample.from <= to);
    const sum = (whose) => inTime.reduce((total, sample) => total + sample[whose], 0);
    return { theirs: sum('theirs'), ours: sum('ours') };
  }
}

function waitedMs(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

/**
 * I5 to the millisecond: every agent failed within [L, L + 1 s] of its last heartbeat, as the coordinator tells it, no
 * slack. Later counts only when it waited for a CPU at least that long. Times of a coordinator that was itself killed or
 * stopped are not told: those are P7's.
 */
export function detections({ failures, faults, leaseMs }, load) {
  const ofCoordinator = faults.filter(({ target }) => target === 'coordinator');
  const isDisturbed = (from, to) => ofCoordinator.some((fault) => fault.from <= to && fault.to >= from);
  const told = { timed: [], excused: [], violations: [], disturbed: 0 };
  for (const { at, agentId, silentMs } of failures) {
    if (isDisturbed(at - silentMs, at)) {
      told.disturbed += 1;
      continue;
    }
    told.timed.push(silentMs - leaseMs);
    const lateMs = silentMs - leaseMs - PROMISE_MS;
    if (lateMs <= 0) continue;
    const { theirs } = load.waited(at - silentMs, at);
    const words = `${agentId} was failed ${Math.round(lateMs)} ms later than L + 1 s; the coordinator waited ${Math.round(theirs)} ms for a CPU meanwhile`;
    if (theirs >= lateMs) told.excused.push(words);
    else told.violations.push({ rule: 'K9 late', at, what: words, agentId });
  }
  return told;
}
