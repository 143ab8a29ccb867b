import { parseDuration } from '../../../src/kit/duration.js';

/** Every story begins at midnight of this day, a Monday. */
export const MIDNIGHT = Date.UTC(2026, 5, 1);

/** `15 s`, `2 min`, `1 h 30 min` in milliseconds. */
export function spanOf(text: string): number {
  const ms = parseDuration(text.replaceAll('min', 'm').replaceAll(' ', ''));
  if (ms === undefined) throw new Error(`${JSON.stringify(text)} is no span of time`);
  return ms;
}

/** The time of day at so many milliseconds after midnight. */
export function timeOfDay(ms: number): string {
  return new Date(MIDNIGHT + Math.round(ms)).toISOString().slice(11, 23);
}
