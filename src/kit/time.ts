import type { Brand } from './brand.js';

/** An instant of one process's monotonic clock, in milliseconds. Never compared between machines. */
export type MonoMs = Brand<number, 'MonoMs'>;

/** Milliseconds since one machine's boot, the time that it has slept included. Never compared between machines. */
export type BootMs = Brand<number, 'BootMs'>;

/** An instant of a wall clock, in milliseconds since 1970. For people, who also name instants of it. */
export type WallMs = Brand<number, 'WallMs'>;

/** An instant of the service clock (P12), in milliseconds: it stands still while no coordinator serves. */
export type ServiceMs = Brand<number, 'ServiceMs'>;

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

/** The instant `ms` after (or, if negative, before) `instant`, on the same clock. */
export function later<T extends number>(instant: T, ms: number): T {
  return ((instant as number) + ms) as T;
}

/** Milliseconds from one instant to another of the same clock. */
export function between<T extends number>(from: T, to: T): number {
  return (to as number) - (from as number);
}

/** The earlier of two instants, either of which may be absent. */
export function earliest<T extends number>(a: T | null, b: T | null): T | null {
  if (a === null) return b;
  if (b === null) return a;
  return a < b ? a : b;
}
