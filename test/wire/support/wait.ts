import { setTimeout as pause } from 'node:timers/promises';

/** Asks again and again until the answer is true; fails, naming what was waited for, only after a long time. */
export async function eventually(
  what: string,
  ask: () => Promise<boolean> | boolean,
  limitMs = 20_000,
): Promise<void> {
  const limit = Date.now() + limitMs;
  while (!(await ask())) {
    if (Date.now() > limit) throw new Error(`not within ${limitMs} ms: ${what}`);
    await pause(20);
  }
}
