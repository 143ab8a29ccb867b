// The answers, computed directly: what the tasks say is compared with these. Written apart from what the tasks call
// (examples/weather, handlers.mjs), and differently: a check that shares the code it checks finds nothing.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { root } from '../tool.mjs';

/** Four years of daily weather at Seattle: date, precipitation (mm), temp_max and temp_min (°C), wind, weather. */
const dataFile = resolve(root, 'examples/weather/data/seattle-weather.csv');

export const years = [2012, 2013, 2014, 2015];

/** The whole file in memory; decimals as whole tenths, so that sums are exact. */
export function readDays() {
  const [head, ...lines] = readFileSync(dataFile, 'utf8').trim().split('\n');
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
    };
  });
}

/** Every answer by the name of its task. */
export function answerDirectly(days) {
  const answers = new Map();
  for (const year of years) {
    const ofYear = days.filter(({ date }) => date.startsWith(year));
    const months = [...Map.groupBy(ofYear, ({ date }) => date.slice(0, 7))];
    answers.set(`ingest-${year}`, { year, days: ofYear.map(inUnits) });
    answers.set(`validate-${year}`, { months: months.map(([month]) => month) });
    for (const [month, own] of months) answers.set(month, monthOf(month, own));
    const hottest = ofYear.reduce((best, day) => (day.max > best.max ? day : best));
    answers.set(`hottest-${year}`, { date: hottest.date, celsius: hottest.max / 10 });
    answers.set(`dry-${year}`, longestDrySpell(ofYear));
  }
  const wettest = days.reduce((best, day) => (day.rain > best.rain ? day : best));
  answers.set('wettest_day', { date: wettest.date, millimetres: wettest.rain / 10 });
  answers.set('frost_nights', { nights: days.filter(({ min }) => min < 0).length });
  return answers;
}

/** Whether a year's chart says what was computed, bar by bar. */
export function isChartRight(year, svg, answers) {
  const titles = [...svg.matchAll(/<title>(.*?)<\/title>/g)].map(([, title]) => title);
  return isDeepStrictEqual(titles, titlesOf(year, answers));
}

const titlesOf = (year, answers) =>
  [...answers]
    .filter(([name]) => name.startsWith(`${year}-`))
    .flatMap(([name, { rain, meanMin, meanMax }]) => [
      `${name}: ${rain} mm`,
      `${name}: ${meanMin} to ${meanMax} °C`,
    ]);

const inUnits = ({ date, rain, max, min }) => ({ date, rain: rain / 10, max: max / 10, min: min / 10 });

function monthOf(month, own) {
  const sum = (column) => own.reduce((total, day) => total + day[column], 0);
  const mean = (column) => Math.round(sum(column) / own.length) / 10;
  return {
    month,
    rain: sum('rain') / 10,
    meanMax: mean('max'),
    meanMin: mean('min'),
    dryDays: own.filter(({ rain }) => rain === 0).length,
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
