/**
 * The one clock of the conformance kit. Agents are judged from outside, by real time: a kit that could stop the clock
 * would have to live in the agent's process.
 */

/** CLOCK_MONOTONIC in milliseconds, with fractions. */
export const monoMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Milliseconds since 1970, which the stub's notes are stamped with. */
export const wallMs = (): number => Date.now();

export interface Timer {
  cancel(): void;
}

/** Calls `fn` once, `ms` milliseconds from now. */
export function after(ms: number, fn: () => void): Timer {
  const timer = setTimeout(fn, ms);
  return { cancel: () => clearTimeout(timer) };
}

/** Calls `fn` every `ms` milliseconds until it is cancelled. */
export function every(ms: number, fn: () => void): Timer {
  const timer = setInterval(fn, ms);
  return { cancel: () => clearInterval(timer) };
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
