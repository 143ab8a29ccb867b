// The command that every task runs, a process of its own: `node answer.mjs KIND ABOUT`. It reads the weather line by
// line, takes a deliberate while, and writes its answer to HOLDFAST_RESULT_FILE. On the way it leaves footprints in a
// file that all runs share, so that what really ran, and when, can be seen without asking Holdfast.
import { appendFileSync, createReadStream, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const { DEMO_DATA, DEMO_DURATION_MS, DEMO_FOOTPRINTS, DEMO_STEP_MS } = process.env;
const { HOLDFAST_AGENT_ID, HOLDFAST_FENCING_TOKEN, HOLDFAST_RESULT_FILE, HOLDFAST_TASK_ID } = process.env;
const [kind, about = ''] = process.argv.slice(2);

/** One short line in one write: appends of several processes do not mix. */
function leave(what) {
  const mark = {
    what,
    at: Date.now(),
    taskId: HOLDFAST_TASK_ID,
    token: HOLDFAST_FENCING_TOKEN,
    agentId: HOLDFAST_AGENT_ID,
  };
  appendFileSync(DEMO_FOOTPRINTS, `${JSON.stringify(mark)}\n`);
}

/** What each kind of question gathers from the days it is about, and what it says in the end. */
const gatherers = {
  month: () => {
    const sky = {};
    let [days, maxima, rain, highest, lowest] = [0, 0, 0, -1_000, 1_000];
    return {
      take: (day) => {
        days += 1;
        maxima += day.max;
        rain += day.rain;
        if (day.max > highest) highest = day.max;
        if (day.min < lowest) lowest = day.min;
        sky[day.sky] = (sky[day.sky] ?? 0) + 1;
      },
      say: () => ({
        days,
        meanMax: Math.round((maxima * 10) / days) / 100,
        highest: highest / 10,
        lowest: lowest / 10,
        rain: rain / 10,
        sky,
      }),
    };
  },
  hottest: () => extreme('max', 'celsius'),
  'wettest-day': () => extreme('rain', 'millimetres'),
  dry: () => {
    let [spell, best] = [
      { days: 0, from: '' },
      { days: 0, from: '' },
    ];
    return {
      take: ({ date, rain }) => {
        if (rain > 0) spell = { days: 0, from: '' };
        else spell = { days: spell.days + 1, from: spell.from || date };
        if (spell.days > best.days) best = spell;
      },
      say: () => best,
    };
  },
  'frost-nights': () => {
    let nights = 0;
    return {
      take: ({ min }) => {
        if (min < 0) nights += 1;
      },
      say: () => ({ nights }),
    };
  },
};

/** The first day with the largest value of a column. */
function extreme(column, unit) {
  let best = null;
  return {
    take: (day) => {
      if (best === null || day[column] > best[column]) best = day;
    },
    say: () => ({ date: best.date, [unit]: best[column] / 10 }),
  };
}

async function answer() {
  const gatherer = gatherers[kind]();
  const tenths = (text) => Math.round(Number.parseFloat(text) * 10);
  for await (const line of createInterface({ input: createReadStream(DEMO_DATA) })) {
    if (line.startsWith('date,') || !line.startsWith(about)) continue;
    const [date, rain, max, min, , sky] = line.split(',');
    gatherer.take({ date, rain: tenths(rain), max: tenths(max), min: tenths(min), sky });
  }
  return gatherer.say();
}

leave('start');
// Asked to stop (the gate of a cut-off worker closed, say): the footprint tells that nothing runs after this.
process.on('SIGTERM', () => {
  leave('stopped');
  process.exit(143);
});
const until = performance.now() + Number(DEMO_DURATION_MS);
while (performance.now() < until) {
  await sleep(Math.min(Number(DEMO_STEP_MS), until - performance.now()));
  leave('alive');
}
writeFileSync(HOLDFAST_RESULT_FILE, JSON.stringify(await answer()));
console.log(`${kind} ${about}: answered`);
leave('end');
