// The data, the questions asked about it, and the answers computed directly: what the tasks say is compared with these.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { root } from '../tool.mjs';

/** Four years of daily weather at Seattle: date, precipitation (mm), temp_max and temp_min (°C), wind, weather. */
export const dataFile = resolve(root, 'node_modules/vega-datasets/data/seattle-weather.csv');

const years = ['2012', '2013', '2014', '2015'];
const months = years.flatMap((year) =>
  Array.from({ length: 12 }, (_, index) => `${year}-${String(index + 1).padStart(2, '0')}`),
);

// Long enough that losses meet running work, and different, so that slots become free one by one.
const MONTH_MS = [2_000, 4_000, 2_250, 2_750, 2_500];

const single = (kind, year) => ({
  name: `${kind}-${year}`,
  kind,
  about: year,
  policy: 'single_run',
  durationMs: 3_500,
});
const hold = (kind, durationMs) => ({
  name: kind,
  kind,
  about: '',
  policy: 'hold',
  durationMs,
  priority: 20,
});

/**
 * One task each, in the order of submission. Most may run twice at once when a worker is lost (`reassign`), some must
 * never do so (`single_run`), and two belong to one worker and wait for its return (`hold`).
 */
export const questions = [
  // What will meet a cut goes first: one that ends during the cut, one that is still running at the return.
  hold('frost-nights', 2_500),
  hold('wettest-day', 11_000),
  ...years.map((year) => ({ ...single('hottest', year), priority: 10 })),
  ...months.map((month, index) => ({
    name: month,
    kind: 'month',
    about: month,
    policy: 'reassign',
    durationMs: MONTH_MS[index % MONTH_MS.length],
  })),
].toSpliced(30, 0, ...years.map((year) => single('dry', year)));

/** The label of the worker that `hold` tasks are for. */
export const shore = { site: 'shore' };

/** The whole file in memory; decimals as whole tenths, so that sums are exact. */
export function readDays(file = dataFile) {
  const [head, ...lines] = readFileSync(file, 'utf8').trim().split('\n');
  const columns = head.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    const of = (column) => cells[columns.indexOf(column)];
    const tenths = (column) => Math.round(Number(of(column)) * 10);
    return {
      date: of('date'),
      rain: tenths('precipitation'),
      max: tenths('temp_max'),
      min: tenths('temp_min'),
      sky: of('weather'),
    };
  });
}

/**
 * Every answer by the name of its question. Written apart from the command that tasks run (answer.mjs), and differently:
 * a check that shares the code it checks finds nothing.
 */
export function answerDirectly(days) {
  const answers = new Map();
  for (const month of months) answers.set(month, monthOf(days, month));
  for (const year of years) {
    const ofYear = days.filter(({ date }) => date.startsWith(year));
    const hottest = ofYear.reduce((best, day) => (day.max > best.max ? day : best));
    answers.set(`hottest-${year}`, { date: hottest.date, celsius: hottest.max / 10 });
    answers.set(`dry-${year}`, longestDrySpell(ofYear));
  }
  const wettest = days.reduce((best, day) => (day.rain > best.rain ? day : best));
  answers.set('wettest-day', { date: wettest.date, millimetres: wettest.rain / 10 });
  answers.set('frost-nights', { nights: days.filter(({ min }) => min < 0).length });
  return answers;
}

function monthOf(days, month) {
  const own = days.filter(({ date }) => date.startsWith(month));
  const sum = (column) => own.reduce((total, day) => total + day[column], 0);
  return {
    days: own.length,
    meanMax: Math.round((sum('max') * 10) / own.length) / 100,
    highest: Math.max(...own.map(({ max }) => max)) / 10,
    lowest: Math.min(...own.map(({ min }) => min)) / 10,
    rain: sum('rain') / 10,
    sky: Object.fromEntries(
      [...Map.groupBy(own, ({ sky }) => sky)].map(([sky, group]) => [sky, group.length]),
    ),
  };
}

function longestDrySpell(days) {
  let best = { days: 0, from: '' };
  for (let first = 0; first < days.length; first++) {
    const rainy = days.findIndex((day, index) => index >= first && day.rain > 0);
    const length = (rainy === -1 ? days.length : rainy) - first;
    if (length > best.days) best = { days: length, from: days[first].date };
  }
  return best;
}

/** An answer in a few words, for people. */
export function inWords(kind, answer) {
  switch (kind) {
    case 'month':
      return `mean daily maximum ${answer.meanMax} °C, ${answer.rain} mm of rain, ${answer.sky.sun ?? 0} sunny days`;
    case 'hottest':
      return `${answer.celsius} °C on ${answer.date}`;
    case 'dry':
      return `${answer.days} days without rain from ${answer.from}`;
    case 'wettest-day':
      return `${answer.millimetres} mm on ${answer.date}`;
    case 'frost-nights':
      return `${answer.nights} nights below 0 °C`;
  }
  throw new Error(`no words for the question ${kind}`);
}
