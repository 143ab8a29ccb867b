import picocolors from 'picocolors';
import { HOUR, MINUTE, SECOND } from '../kit/time.js';
import type { Sink } from './terminal.js';

export type Colours = ReturnType<typeof picocolors.createColors>;

/** Colours on a terminal that wants them, else none. https://no-color.org */
export function coloursFor(sink: Sink, env: NodeJS.ProcessEnv): Colours {
  const refused = (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb';
  return picocolors.createColors(sink.isTTY && !refused);
}

/** `3.2s`, `2m 05s`, `4h 12m`, `3d 4h`: as exact as a person cares. */
export function spanWords(spanMs: number): string {
  const ms = Math.max(0, spanMs);
  if (ms < SECOND) return `${Math.round(ms)}ms`;
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(1)}s`;
  if (ms < MINUTE) return `${Math.round(ms / SECOND)}s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)}m ${two(Math.floor((ms % MINUTE) / SECOND))}s`;
  if (ms < 48 * HOUR) return `${Math.floor(ms / HOUR)}h ${two(Math.floor((ms % HOUR) / MINUTE))}m`;
  return `${Math.floor(ms / (24 * HOUR))}d ${Math.floor((ms % (24 * HOUR)) / HOUR)}h`;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** `12s ago`; `-` for no time. */
export function agoWords(at: Date | undefined, now: number): string {
  return at === undefined ? '-' : `${spanWords(now - at.getTime())} ago`;
}

/** `2026-01-31T08:00:00Z`, in UTC as all instants of schedules are shown; `-` for none. */
export const instantWords = (at: Date | undefined): string =>
  at === undefined ? '-' : at.toISOString().replace('.000Z', 'Z');

/** A command as one would type it. */
export function commandWords(argv: readonly string[]): string {
  return argv
    .map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}

const SHOWN_CHARACTERS = 60;

/** A value in a message: its beginning tells which one it is. */
export const shorten = (text: string): string =>
  text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;

/** On one line, without characters that would move a terminal's cursor. */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim();
}

/** The colour of a state of a task or agent. */
export function stateColour(state: string, colours: Colours): (text: string) => string {
  if (state.includes('lost') || state === 'suspect') return colours.magenta;
  if (state === 'success' || state === 'healthy') return colours.green;
  if (state === 'failed' || state === 'upstream_failed') return colours.red;
  if (state === 'running') return colours.cyan;
  if (state === 'queued' || state === 'up_for_retry') return colours.yellow;
  return (text) => text;
}
