import { randomUUID } from 'node:crypto';
import { openSync, readSync } from 'node:fs';
import type { Random } from '../kit/random.js';
import type { BootMs, MonoMs, WallMs } from '../kit/time.js';

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
  /**
   * Milliseconds since the host's boot in steps of 10, counting its sleep: what P2 needs when the wall clock is set back
   * over it. The same as `monoMs` where /proc/uptime cannot be read.
   */
  bootMs(): BootMs;
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

/**
 * Kept open and read at its place: a third of the cost of os.uptime(), which opens it each time, and none of the clocks
 * that Node reads itself counts sleep. What Linux writes there is CLOCK_BOOTTIME.
 */
const uptime = { file: openUptime(), text: Buffer.alloc(64) };

function openUptime(): number | null {
  try {
    return openSync('/proc/uptime', 'r');
  } catch {
    return null;
  }
}

function readUptime(): BootMs | null {
  const { file, text } = uptime;
  const read = file === null ? 0 : readSync(file, text, 0, text.length, 0);
  const seconds = Number.parseFloat(text.toString('latin1', 0, read));
  return Number.isNaN(seconds) ? null : ((seconds * 1_000) as BootMs);
}

/** What was read stands for so long, in milliseconds: a tenth of its own steps. */
const BOOT_FRESH_MS = 1;

/**
 * `read` answers for all questions of a millisecond: a turn with many runs asks for each of them. The monotonic clock
 * alone could not tell that a machine has slept within it; the wall clock does.
 */
export function bootClock(
  clock: Pick<AgentClock, 'monoMs' | 'wallMs'>,
  read: () => BootMs | null,
): () => BootMs {
  let [atMono, atWall] = [Number.NEGATIVE_INFINITY, 0];
  let known = 0 as BootMs;
  return () => {
    const [mono, wall] = [clock.monoMs() as number, clock.wallMs() as number];
    if (mono - atMono < BOOT_FRESH_MS && Math.abs(wall - atWall) <= BOOT_FRESH_MS) return known;
    [atMono, atWall] = [mono, wall];
    known = read() ?? (mono as BootMs);
    return known;
  };
}

const soon = (fn: () => void): void => void setImmediate(fn);

/** The host's clocks. */
export const realClock: AgentClock = {
  monoMs,
  wallMs,
  bootMs: bootClock({ monoMs, wallMs }, readUptime),
  setTimer,
  soon,
};

/** Settles `ms` milliseconds from now. */
export function pause(clock: AgentClock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(ms, resolve));
}

/** A random id that no other process draws: instance ids come from here. */
export const drawId = (): string => randomUUID();

/** Chance for jitter. */
export const realRandom: Random = Math.random;
