import type { WallMs } from '../kit/time.js';

/** `2026-01-31`, `2026-01-31T08:00`, `2026-01-31 08:00:00.5Z`, `…+02:00`. */
const FORM =
  /^(?<day>\d{4}-\d{2}-\d{2})(?:[T ](?<time>\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)(?<zone>Z|[+-]\d{2}:\d{2})?)?$/;

/**
 * The instant of a date as people write it; one without a zone is of `timezone`, and begins its day when it has no
 * time. A time that the zone skips is the instant after the gap; of one that it has twice, the first. Undefined when
 * it is no date.
 */
export function instantOf(written: string, timezone: string): WallMs | undefined {
  const { day, time, zone } = FORM.exec(written.trim())?.groups ?? {};
  if (day === undefined) return undefined;
  const shown = Date.parse(`${day}T${time ?? '00:00'}${zone ?? 'Z'}`);
  // The engine rolls 31 February over into March; nobody means that.
  if (Number.isNaN(shown) || new Date(`${day}T00:00Z`).toISOString().slice(0, 10) !== day) return undefined;
  return zone === undefined ? inZone(shown, timezone) : (shown as WallMs);
}

/** A day holds every offset that a zone has around it. */
const DAY = 86_400_000;

type OffsetAt = (instant: number) => number;

function inZone(shown: number, timezone: string): WallMs {
  const offsetAt = offsetsOf(timezone);
  const [before, after] = [offsetAt(shown - DAY), offsetAt(shown + DAY)];
  const candidates = [shown - before, shown - after].filter((at) => at + offsetAt(at) === shown);
  // In a gap no instant shows it: with the new offset it lies before the gap, with the old one behind it.
  if (candidates.length === 0) return gapEnd(shown - after, shown - before, offsetAt);
  return Math.min(...candidates) as WallMs;
}

/** The instant at which the offset changes, between two of different ones. */
function gapEnd(from: number, to: number, offsetAt: OffsetAt): WallMs {
  let [low, high] = [from, to];
  const first = offsetAt(low);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle) === first) low = middle;
    else high = middle;
  }
  return high as WallMs;
}

function offsetsOf(timezone: string): OffsetAt {
  const format = new Intl.DateTimeFormat('en-u-hc-h23', {
    timeZone: timezone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  return (instant) => {
    const parts = Object.fromEntries(format.formatToParts(instant).map(({ type, value }) => [type, value]));
    const { year, month, day, hour, minute, second } = parts;
    const whole = Math.floor(instant / 1_000) * 1_000;
    return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) - whole;
  };
}
