import { stat } from 'node:fs/promises';
import { parseDuration } from '../../kit/duration.js';
import { parseInstant } from '../../kit/instant.js';
import { MINUTE, SECOND } from '../../kit/time.js';
import type { Json } from '../handlers/define.js';
import { filesAt } from './files.js';
import { type HttpInput, poll } from './http.js';

/** What a built-in trigger is called with: its input has been checked against TRIGGER_KINDS. */
export interface BuiltInContext {
  readonly input: Readonly<Record<string, Json>>;
  readonly waitedMs: number;
  /** Settles after `ms` milliseconds; never, once the trigger was stopped. */
  sleep(this: void, ms: number): Promise<void>;
  wallMs(this: void): number;
  readonly signal: AbortSignal;
}

type BuiltIn = (context: BuiltInContext) => Promise<Json>;

/** The wall clock may be set: an instant of it is looked at again after this, however far it is. */
const LONGEST_SLEEP_MS = MINUTE;

/** The triggers that every triggerer has. */
export const BUILT_IN: Readonly<Record<string, BuiltIn>> = {
  date_time: async ({ input, sleep, wallMs }) => {
    const at = parseInstant(textOf(input.at))?.getTime() ?? 0;
    for (let left = at - wallMs(); left > 0; left = at - wallMs())
      await sleep(Math.min(left, LONGEST_SLEEP_MS));
    return { at: new Date(at).toISOString() };
  },
  delta: async ({ input, waitedMs, sleep }) => {
    const waits = durationOf(input.for, 0);
    if (waits > waitedMs) await sleep(waits - waitedMs);
    return { for: textOf(input.for) };
  },
  file: async ({ input, sleep }) => {
    const path = textOf(input.path);
    const pause = durationOf(input.poll_interval, 5 * SECOND);
    for (;;) {
      const paths = await filesAt(path);
      const [first] = paths;
      if (first !== undefined) return { path: first, paths, bytes: await sizeOf(first) };
      await sleep(pause);
    }
  },
  http: async ({ input, sleep, signal }) => {
    const pause = durationOf(input.poll_interval, 30 * SECOND);
    for (;;) {
      const event = await poll(input as unknown as HttpInput, signal);
      if (event !== null) return event;
      await sleep(pause);
    }
  },
};

function durationOf(text: Json | undefined, otherwise: number): number {
  return (typeof text === 'string' ? parseDuration(text) : undefined) ?? otherwise;
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch {
    return null;
  }
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
