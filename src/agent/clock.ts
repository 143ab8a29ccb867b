import { randomUUID } from 'node:crypto';
import type { Random } from '../kit/random.js';
import type { MonoMs, WallMs } from '../kit/time.js';

/** A timer that has been set; `cancel` after it fired changes nothing. */
export interface Timer {
  cancel(): void;
}

/** Time as an agent and its runner see it. The only file of `src/agent` that reads the real one. */
export interface AgentClock {
  /**
   * CLOCK_MONOTONIC in milliseconds, with fractions. Every process of one host reads the same clock, so an instant
   * may travel from agent to runner (the guardian's deadline does, P11). It stands still while the host is suspended.
   */
  monoMs(): MonoMs;
  /** Milliseconds since 1970. Beside `monoMs` it tells of time spent suspended (P2). */
  wallMs(): WallMs;
  /** Calls `fn` once, `ms` milliseconds from now or as soon as it can after that. */
  setTimer(ms: number, fn: () => void): Timer;
  /** Calls `fn` at the end of this turn of the event loop, after what has arrived was taken in. */
  soon(fn: () => void): void;
}

/** setTimeout takes 32 bits; anything longer fires at once, so long timers are set in parts. */
const LONGEST_PART_MS = 2 ** 31 - 1;

function setTimer(ms: number, fn: () => void): Timer {
  const endMs = monoMs() + ms;
  const arm = (): NodeJS.Timeout => {
    const leftMs = endMs - monoMs();
    if (leftMs <= LONGEST_PART_MS) return setTimeout(fn, Math.max(0, Math.ceil(leftMs)));
    return setTimeout(() => {
      part = arm();
    }, LONGEST_PART_MS);
  };
  let part = arm();
  return { cancel: () => clearTimeout(part) };
}

const monoMs = (): MonoMs => (Number(process.hrtime.bigint()) / 1e6) as MonoMs;
const wallMs = (): WallMs => Date.now() as WallMs;

const soon = (fn: () => void): void => void setImmediate(fn);

/** The host's clocks. */
export const realClock: AgentClock = { monoMs, wallMs, setTimer, soon };

/** Settles `ms` milliseconds from now. */
export function pause(clock: AgentClock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(ms, resolve));
}

/** A random id that no other process draws: instance ids come from here. */
export const drawId = (): string => randomUUID();

/** Chance for jitter. */
export const realRandom: Random = Math.random;
