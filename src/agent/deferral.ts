import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { parseDuration } from '../kit/duration.js';
import { NAME_PATTERN } from '../kit/ids.js';
import { LIMITS } from '../wire/limits.js';
import type { Deferral } from './core/messages.js';

/** With this, and what it waits for in the file named by HOLDFAST_DEFER_FILE, a command gives its slot back (sysexits' EX_TEMPFAIL). */
export const DEFER_EXIT_CODE = 75;
/** With this a command of a DAG run says that there was nothing to do, as in Airflow. */
export const SKIP_EXIT_CODE = 99;

/** Why something is no deferral: the try fails with it. */
export interface DeferralFault {
  readonly reason: 'invalid_deferral' | 'deferral_too_large';
  readonly message: string;
}

/** What a task's code says of its wait: `{ trigger: { kind, input }, state?, timeout? }`, as a value that JSON can hold. */
export function deferralFrom(said: unknown): Deferral | DeferralFault {
  const { trigger, state, timeout } = (said ?? {}) as Record<string, unknown>;
  const { kind, input = null } = (trigger ?? {}) as Record<string, unknown>;
  if (typeof kind !== 'string' || !NAME_PATTERN.test(kind))
    return invalid('trigger.kind must name a kind of triggers');
  const timeoutMs = timeout === undefined || timeout === null ? null : millis(timeout);
  if (timeoutMs === undefined)
    return invalid('timeout must be a duration such as "1h30m", or milliseconds above 0');
  const texts = { input: textOf(input), state: state === undefined ? '' : textOf(state) };
  for (const name of ['input', 'state'] as const) {
    const text = texts[name];
    if (text === null) return invalid(`JSON cannot hold the ${name}`);
    const bytes = Buffer.byteLength(text);
    if (bytes <= LIMITS.triggerBytes) continue;
    const because = `at most ${LIMITS.triggerBytes} travel: store it elsewhere and hand on its address`;
    return { reason: 'deferral_too_large', message: `the ${name} has ${bytes} bytes; ${because}` };
  }
  return { kind, input: texts.input ?? '', state: texts.state ?? '', timeoutMs };
}

function invalid(message: string): DeferralFault {
  return { reason: 'invalid_deferral', message };
}

function millis(timeout: unknown): number | undefined {
  const ms = typeof timeout === 'string' ? parseDuration(timeout) : timeout;
  return typeof ms === 'number' && Number.isFinite(ms) && ms > 0 ? ms : undefined;
}

function textOf(value: unknown): string | null {
  try {
    const text: unknown = JSON.stringify(value);
    return typeof text === 'string' ? text : null;
  } catch {
    return null;
  }
}

/** What a command wrote to its deferral file; null when it wrote nothing: then its exit code means what it always does. */
export function readDeferral(file: string): Deferral | DeferralFault | null {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return null;
  }
  try {
    const stat = fstatSync(fd);
    // A command may have put anything there; a pipe or a device would be read for ever.
    if (!stat.isFile() || stat.size === 0) return null;
    if (stat.size > 3 * LIMITS.triggerBytes)
      return { reason: 'deferral_too_large', message: `the deferral file has ${stat.size} bytes` };
    return deferralFrom(JSON.parse(readFileSync(fd, 'utf8')));
  } catch (error) {
    return invalid(`the deferral file is not JSON: ${(error as Error).message}`);
  } finally {
    closeSync(fd);
  }
}

/** Whether the journal has kept a deferral that this version understands. */
export function isDeferral(kept: unknown): kept is Deferral {
  if (typeof kept !== 'object' || kept === null) return false;
  const { kind, input, state, timeoutMs } = kept as Record<string, unknown>;
  const isText = typeof kind === 'string' && typeof input === 'string' && typeof state === 'string';
  return isText && (timeoutMs === null || typeof timeoutMs === 'number');
}
