// What the machine itself made the coordinator wait: the kernel counts how long a thread could have run and had no CPU. A
// late detection is excused by that figure alone, never by a guess.
import { readFileSync } from 'node:fs';
import { monoMs } from './clock.mjs';

const EVERY_MS = 25;
const PROMISE_MS = 1_000;

/** Samples of the waiting of a process's main thread and of our own, by time. */
export class Load {
  /** { at, theirs, ours }: waited in the interval that ended then, ms. */
  #samples = [];
  #pidOf;
  #timer;
  #last = null;

  /** `pidOf`: the process of the moment; 0 while there is none. */
  constructor(pidOf) {
    this.#pidOf = pidOf;
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
  }

  #look() {
    const pid = this.#pidOf();
    const now = { at: monoMs(), pid, theirs: waitedMs(pid), ours: waitedMs(process.pid) };
    const last = this.#last;
    this.#last = now;
    if (last === null) return;
    const theirs = last.pid === pid ? now.theirs - last.theirs : 0;
    const ours = now.ours - last.ours;
    if (theirs + ours > 0.5) this.#samples.push({ from: last.at, at: now.at, theirs, ours });
  }

  close() {
    clearInterval(this.#timer);
  }

  /** The longest that the coordinator and we together had no CPU in any window of such a length. */
  worst(windowMs) {
    const sums = this.#samples.map(({ from }) => this.waited(from, from + windowMs));
    return Math.max(0, ...sums.map(({ theirs, ours }) => theirs + ours));
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
