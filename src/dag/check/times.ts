import { didYouMean } from '../../kit/suggest.js';
import { type DagFault, faultAt, shown } from '../fault.js';
import { dateOf, scheduleOf, timezoneOf } from '../format/define.js';
import type { DagFile } from '../format/schema.js';
import { faultOfCron, isTimezone } from '../timetable.js';
import { instantOf } from '../zone.js';

/** Zones, cron, and the dates between which a DAG has runs. */
export function faultsOfTimes(file: DagFile): DagFault[] {
  const zones = faultsOfZones(file);
  // A date in a zone that does not exist is no instant: one fault is enough.
  return [...zones, ...faultsOfCrons(file), ...(zones.length > 0 ? [] : faultsOfDates(file))];
}

function faultsOfZones({ timezone, schedule }: DagFile): DagFault[] {
  const named: [readonly string[], string | undefined][] = [[['timezone'], timezone]];
  if (typeof schedule === 'object' && schedule !== null && 'cron' in schedule) {
    named.push([['schedule', 'timezone'], schedule.timezone]);
  }
  return named.flatMap(([path, zone]) => {
    if (zone === undefined || isTimezone(zone)) return [];
    const near = didYouMean(zone, ['UTC', ...Intl.supportedValuesOf('timeZone')]);
    return [
      faultAt(
        path,
        `there is no time zone ${shown(zone)}${near}: it must be an IANA name, such as Europe/Berlin`,
      ),
    ];
  });
}

function faultsOfCrons(file: DagFile): DagFault[] {
  const schedule = scheduleOf(file);
  if (schedule.kind !== 'cron') return [];
  const because = faultOfCron(schedule.expression);
  const path = typeof file.schedule === 'string' ? ['schedule'] : ['schedule', 'cron'];
  return because === null ? [] : [faultAt(path, `${shown(schedule.expression)} is no schedule: ${because}`)];
}

const DATE_RULE = 'it must be a date or a date and time, such as 2026-01-31 or 2026-01-31T08:00:00+01:00';

function faultsOfDates(file: DagFile): DagFault[] {
  const timezone = timezoneOf(file);
  const faults = (['start_date', 'end_date'] as const).flatMap((field) => {
    const written = file[field];
    if (written === undefined || instantOf(written, timezone) !== undefined) return [];
    return [faultAt([field], `${field} cannot be ${shown(written)}: ${DATE_RULE}`)];
  });
  const [start, end] = [dateOf(file.start_date, timezone), dateOf(file.end_date, timezone)];
  if (start !== null && end !== null && start > end) {
    faults.push(faultAt(['end_date'], `end_date ${file.end_date} is before start_date ${file.start_date}`));
  }
  return faults;
}
