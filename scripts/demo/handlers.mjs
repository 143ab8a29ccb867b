// What the workers of the demo call: the handlers of examples/weather, and those of dags/records.dag.yaml. Around each of
// them it takes a deliberate while, and leaves footprints in a file that all calls share, so that what really ran, and
// when, can be seen without asking Holdfast.
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineHandlers } from 'holdfast/agent';
import { ingest, month, report, station, validate } from '../../examples/weather/handlers.mjs';
import { STEP_MS } from './footprints.mjs';
import { paceOf } from './pace.mjs';

function* daysOf(year) {
  const [, ...lines] = readFileSync(station, 'utf8').trim().split('\n');
  for (const line of lines) {
    const [date, rain, max, min] = line.split(',');
    if (date.startsWith(year)) yield { date, rain: Number(rain), max: Number(max), min: Number(min) };
  }
}

/** The first day with the largest value of a column. */
function extreme(year, column, unit) {
  let best = null;
  for (const day of daysOf(year)) if (best === null || day[column] > best[column]) best = day;
  return { date: best.date, [unit]: best[column] };
}

function longestDrySpell(year) {
  let [spell, best] = [
    { days: 0, from: '' },
    { days: 0, from: '' },
  ];
  for (const { date, rain } of daysOf(year)) {
    if (rain > 0) spell = { days: 0, from: '' };
    else spell = { days: spell.days + 1, from: spell.from || date };
    if (spell.days > best.days) best = spell;
  }
  return best;
}

function frostNights() {
  let nights = 0;
  for (const { min } of daysOf('')) if (min < 0) nights += 1;
  return { nights };
}

/** `work` under the eyes of the demo. */
const watched = (name, work) => async (input, context) => {
  const { agentId, signal, taskId, token } = context;
  /** One short line in one write: appends of several processes do not mix. */
  const leave = (what) => {
    const mark = { what, at: Date.now(), taskId, token: String(token), agentId };
    appendFileSync(process.env.DEMO_FOOTPRINTS, `${JSON.stringify(mark)}\n`);
  };
  leave('start');
  try {
    const until = performance.now() + paceOf(name, input);
    while (performance.now() < until) {
      await sleep(Math.min(STEP_MS, until - performance.now()), null, { signal });
      leave('alive');
    }
    const answer = await work(input, context);
    leave('end');
    return answer;
  } catch (error) {
    // Asked to stop (the gate of a cut-off worker closed, say): the footprint tells that nothing runs after this.
    leave('stopped');
    throw error;
  }
};

const all = {
  ...{ ingest, validate, month, report },
  hottest: ({ year }) => extreme(year, 'max', 'celsius'),
  wettest_day: () => extreme('', 'rain', 'millimetres'),
  dry: ({ year }) => longestDrySpell(year),
  frost_nights: frostNights,
};

export default defineHandlers(
  Object.fromEntries(Object.entries(all).map(([name, work]) => [name, watched(name, work)])),
);
