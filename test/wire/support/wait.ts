import { setTimeout as pause } from 'node:timers/promises';

/** The longest pause between two questions. */
const RARELY_MS = 100;

/**
 * Asks again and again until the answer is true; fails, naming what was waited for, only after a long time. What takes
 * long is asked for less often: the processes that are waited for need the processor more than the questions do.
 */
export async function eventually(
  what: string,
  ask: () => Promise<boolean> | boolean,
  limitMs = 20_000,
): Promise<void> {
  const start = Date.now();
  while (!(await ask())) {
    const waited = Date.now() - start;
    if (waited > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await pause(Math.min(RARELY_MS, 10 + waited / 20));
  }
}
