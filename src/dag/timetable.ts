import { Cron } from 'croner';
import { nextOfInterval, previousOfInterval, type Timetable } from '../core/dag/timetable.js';
import { didYouMean } from '../kit/suggest.js';
import { later, type WallMs } from '../kit/time.js';

/** Airflow's presets, in the time zone of their schedule. */
export const PRESETS: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@quarterly': '0 0 1 */3 *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
};

/** Schedules whose parsed form is kept; beyond, the one that was asked for longest ago is parsed again when asked for. */
const KEPT = 4_096;

/**
 * The timetable by croner. How it treats the days when clocks change is written down in docs/reference/dag-files.md,
 * and held to by tests over a year in three zones.
 */
export function openTimetable(): Timetable {
  const kept = new Map<string, Cron>();
  const cronOf = (expression: string, timezone: string): Cron => {
    const key = `${timezone} ${expression}`;
    const cron = kept.get(key) ?? parse(expression, timezone);
    kept.delete(key);
    kept.set(key, cron);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value as string);
    return cron;
  };
  return {
    next: (schedule, after, startDate) => {
      if (schedule.kind === 'interval') return nextOfInterval(schedule.everyMs, after, startDate);
      const from = startDate === null || startDate <= after ? after : later(startDate, -1);
      return instantOf(cronOf(schedule.expression, schedule.timezone).nextRun(new Date(from)));
    },
    previous: (schedule, before, startDate) => {
      if (schedule.kind === 'interval') return previousOfInterval(schedule.everyMs, before, startDate);
      return previousOf(cronOf(schedule.expression, schedule.timezone), before, startDate);
    },
  };
}

function previousOf(cron: Cron, before: WallMs, startDate: WallMs | null): WallMs | null {
  // It counts whole seconds, and rounds down: without the next one, an instant of the second that has begun is missed.
  const [found] = cron.previousRuns(1, new Date(Math.ceil(before / 1_000) * 1_000));
  const previous = instantOf(found ?? null);
  return previous === null || (startDate !== null && previous < startDate) ? null : previous;
}

const instantOf = (date: Date | null): WallMs | null => (date === null ? null : (date.getTime() as WallMs));

// Without it, a day that is named in both day fields would need both; cron has meant either for fifty years.
const parse = (expression: string, timezone: string): Cron =>
  new Cron(PRESETS[expression] ?? expression, { timezone, domAndDow: false });

/** Why an expression is not one; null when it is. Whether its zone is known is asked apart. */
export function faultOfCron(expression: string): string | null {
  if (expression.startsWith('@')) {
    if (Object.hasOwn(PRESETS, expression)) return null;
    const presets = Object.keys(PRESETS);
    return `there is no preset ${expression}${didYouMean(expression, presets)}; there are ${presets.join(', ')}`;
  }
  if (/^(none|null|never|manual)$/i.test(expression)) return 'leave the schedule out for runs by hand only';
  const fields = expression.split(/\s+/).length;
  if (fields < 5 || fields > 6) {
    return `it has ${fields} fields; five are minute, hour, day, month and weekday, and six begin with the second`;
  }
  try {
    // From the very beginning of time, so that no clock is read: what never fired then never will.
    if (parse(expression, 'UTC').nextRun(new Date(0)) === null) return 'it never fires: no such day exists';
    return null;
  } catch (error) {
    return messageOf(error).replace(/^CronPattern: /, '');
  }
}

// croner's errors come from another realm in tests, so that they are no instances of ours.
const messageOf = (error: unknown): string => String((error as { message?: unknown }).message ?? error);

/** Whether the zone is one that this machine's data knows. */
export function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    // An offset is taken too, but has no rules: two summers of `+02:00` are not what anybody means.
    return !/^[+-]/.test(name);
  } catch {
    return false;
  }
}
