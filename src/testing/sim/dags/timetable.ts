import type { TimedSchedule, Timetable } from '../../../core/dag/timetable.js';
import { nextOfInterval, previousOfInterval } from '../../../core/dag/timetable.js';
import { MINUTE } from '../../../kit/time.js';

/** Of cron only what the simulated DAGs use, in UTC: the real timetable has tests of its own, over years and zones. */
const EVERY_MINUTES = /^\*\/(\d+) \* \* \* \*$/;

/** How far apart the instants of a schedule are, in milliseconds. Divides the hour, so that no hour is shorter. */
function stepOf(schedule: TimedSchedule): number {
  if (schedule.kind === 'interval') return schedule.everyMs;
  const minutes = EVERY_MINUTES.exec(schedule.expression)?.[1];
  if (minutes === undefined) throw new Error(`the simulator has no timetable for ${schedule.expression}`);
  return Number(minutes) * MINUTE;
}

/** Instants of cron are whole steps since 1970; those of intervals count from the start date. */
export const SIM_TIMETABLE: Timetable = {
  next: (schedule, after, startDate) => {
    const step = stepOf(schedule);
    if (schedule.kind === 'interval') return nextOfInterval(step, after, startDate);
    const from = startDate === null ? after : Math.max(after, startDate - 1);
    return nextOfInterval(step, from as typeof after, null);
  },
  previous: (schedule, before, startDate) => {
    const step = stepOf(schedule);
    if (schedule.kind === 'interval') return previousOfInterval(step, before, startDate);
    const found = previousOfInterval(step, before, null);
    return found !== null && startDate !== null && found < startDate ? null : found;
  },
};
