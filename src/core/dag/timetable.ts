import type { WallMs } from '../../kit/time.js';
import type { Schedule } from './definition.js';

/** A schedule that instants of the wall clock belong to. */
export type TimedSchedule = Extract<Schedule, { readonly kind: 'cron' | 'interval' }>;

export function isTimed(schedule: Schedule): schedule is TimedSchedule {
  return schedule.kind === 'cron' || schedule.kind === 'interval';
}

/**
 * Which instants a schedule has. Time zones are data that the core does not have, so it is handed in. It reads no clock:
 * the same question always gets the same answer, as long as the zone's rules are the same.
 */
export interface Timetable {
  /**
   * The first instant strictly after `after`, and not before `startDate`; null when there is none. The end date is the
   * asker's: it only says where to stop.
   */
  next(schedule: TimedSchedule, after: WallMs, startDate: WallMs | null): WallMs | null;
  /** The last instant strictly before `before`, and not before `startDate`; null when there is none. */
  previous(schedule: TimedSchedule, before: WallMs, startDate: WallMs | null): WallMs | null;
}

/** Intervals are counted from the start date, else from 1970, in elapsed time: no zone moves them. */
export function nextOfInterval(everyMs: number, after: WallMs, startDate: WallMs | null): WallMs {
  const origin = startDate ?? 0;
  const passed = Math.floor((after - origin) / everyMs) + 1;
  return (origin + (startDate === null ? passed : Math.max(0, passed)) * everyMs) as WallMs;
}

/** The last one before an instant; null when that is before the start date. */
export function previousOfInterval(everyMs: number, before: WallMs, startDate: WallMs | null): WallMs | null {
  const origin = startDate ?? 0;
  const passed = Math.ceil((before - origin) / everyMs) - 1;
  return startDate !== null && passed < 0 ? null : ((origin + passed * everyMs) as WallMs);
}

/** For coordinators whose DAGs have no instants of their own. */
export const NO_TIMETABLE: Timetable = { next: () => null, previous: () => null };
