// What the tasks of the weather DAG do. Any worker that has this module can run any of them.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { defineHandlers, FinalError } from 'holdfast/agent';
import { chart } from './chart.mjs';

/** Date, precipitation (mm), temp_max and temp_min (°C), wind, weather. */
export const station = new URL('./data/seattle-weather.csv', import.meta.url);

/** The days of one year, as the station's file has them. */
export async function ingest({ year }, { log }) {
  const [head, ...lines] = (await readFile(station, 'utf8')).trim().split('\n');
  const columns = head.split(',');
  const days = lines
    .map((line) => Object.fromEntries(line.split(',').map((cell, n) => [columns[n], cell])))
    .filter(({ date }) => date.startsWith(`${year}-`))
    .map(({ date, precipitation, temp_max, temp_min }) => ({
      date,
      rain: Number(precipitation),
      max: Number(temp_max),
      min: Number(temp_min),
    }));
  log.info('read', { year, days: days.length });
  return { year, days };
}

/** Refuses a year with a gap or an impossible value. The same data would be refused again, so no retry helps. */
export function validate({ days }) {
  for (const [n, { date, rain, max, min }] of days.entries()) {
    const expected = new Date(Date.parse(days[0].date) + n * 86_400_000).toISOString().slice(0, 10);
    if (date !== expected) throw new FinalError(`${expected} is missing`);
    if (!(rain >= 0) || !(max >= min)) throw new FinalError(`${date} is impossible: ${max} °C, ${rain} mm`);
  }
  return { months: [...new Set(days.map(({ date }) => date.slice(0, 7)))] };
}

/** One month in four numbers. */
export function month({ month: name, days }) {
  const own = days.filter(({ date }) => date.startsWith(name));
  const sum = (of) => own.reduce((total, day) => total + of(day), 0);
  const rounded = (value) => Math.round(value * 10) / 10;
  return {
    month: name,
    rain: rounded(sum(({ rain }) => rain)),
    meanMax: rounded(sum(({ max }) => max) / own.length),
    meanMin: rounded(sum(({ min }) => min) / own.length),
    dryDays: own.filter(({ rain }) => rain === 0).length,
  };
}

/** Draws the year. Written beside and renamed: whoever reads the chart sees the old one or the new one. */
export async function report({ year, months, folder }, { token }) {
  await mkdir(folder, { recursive: true });
  const file = resolve(folder, `weather-${year}.svg`);
  const draft = join(folder, `.weather-${year}-${token}.svg`);
  await writeFile(draft, chart(year, months));
  await rename(draft, file);
  return { file, wettest: months.toSorted((a, b) => b.rain - a.rain)[0].month };
}

export default defineHandlers({ ingest, validate, month, report });
