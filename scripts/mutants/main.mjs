// `npm run mutants [-- --quick] [-- --only NAME]`: changes the rules one at a time and lets the simulator find out.
// Exits 1 when a mutant survives: the simulator would not notice if somebody made that change.
import { fork } from 'node:child_process';
import { parseArgs } from 'node:util';
import { Build } from './build.mjs';
import { MUTANTS as failureMutants } from './failure.mjs';
import { MUTANTS as loadBearing } from './load-bearing.mjs';
import { MUTANTS as startMutants } from './start.mjs';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    quick: { type: 'boolean' },
    processes: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '45' },
  },
});

/** Short histories of many seeds find more than long ones of a few; odd seeds must also come to their end. */
const MINUTES = 8;
const SEEDS = Array.from({ length: 240 }, (_, i) => i + 1);
const LIMIT_MS = Number(values.seconds) * 1_000;
/** A seed takes well below a second: this long without an answer is a mutant that turns in circles. */
const HANG_MS = 15_000;
const TOTAL_MS = 15 * 60_000;

const begin = performance.now();
const wanted = [...loadBearing, ...(values.quick ? [] : [...startMutants, ...failureMutants])].filter(
  ({ name }) => values.only === undefined || name === values.only,
);
if (wanted.length === 0) throw new Error(`no mutant is called ${values.only}`);

const results = await runAll(wanted);
report(results);

async function runAll(mutants) {
  const queue = [...mutants];
  const done = [];
  const workers = Array.from({ length: Math.min(Number(values.processes), queue.length) }, async () => {
    const build = new Build();
    try {
      // All edits are tried before time is spent on any: a stale table ends the run at once.
      for (const mutant of mutants) {
        build.mutate(mutant);
        build.heal(mutant);
      }
      for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
        done.push(await judge(build, mutant));
        const { name, rule, verdict, seconds } = done.at(-1);
        console.log(`${name.padEnd(34)} ${rule.padEnd(9)} ${verdict} (${seconds.toFixed(1)} s)`);
      }
    } finally {
      build.remove();
    }
  });
  await Promise.all(workers);
  return done;
}

async function judge(build, mutant) {
  const start = performance.now();
  build.mutate(mutant);
  const { killed, verdict } = await attack(build.folder, mutant);
  build.heal(mutant);
  return { ...mutant, killed, verdict, seconds: (performance.now() - start) / 1_000 };
}

/** Seed after seed until one breaks a promise, the process dies, or the time is over; or the model without a rule. */
function attack(folder, { model }) {
  const child = fork(
    new URL('./worker.mjs', import.meta.url),
    [folder, model ?? String(MINUTES), ...SEEDS.map(String)],
    {
      silent: true,
    },
  );
  return new Promise((resolve) => {
    let held = 0;
    let hang = null;
    const end = (killed, verdict) => {
      clearTimeout(hang);
      clearTimeout(limit);
      child.kill('SIGKILL');
      resolve({ killed, verdict });
    };
    const watch = () => {
      clearTimeout(hang);
      hang = setTimeout(() => end(true, `killed by seed ${SEEDS[held]}: hangs`), HANG_MS);
    };
    const limit = setTimeout(() => end(false, `SURVIVED ${held} seeds`), LIMIT_MS);
    watch();
    child.on('message', ({ kind, seed, rule, what }) => {
      if (kind === 'broken') return end(true, `killed by seed ${seed}: ${rule}, ${oneLine(what)}`);
      if (kind === 'model') return end(true, `killed by the model: ${oneLine(what)}`);
      if (kind === 'crash') return end(true, `killed by seed ${seed}: crash, ${oneLine(what)}`);
      held++;
      watch();
    });
    child.on('exit', (code) => {
      if (code === 0) end(false, `SURVIVED ${held} seeds`);
      else end(true, `killed by seed ${SEEDS[held]}: the process ended with ${code}`);
    });
  });
}

function oneLine(text) {
  const line = text.split('\n')[0];
  return line.length > 90 ? `${line.slice(0, 90)}…` : line;
}

function report(done) {
  const survivors = done.filter(({ killed }) => !killed);
  const seconds = (performance.now() - begin) / 1_000;
  console.log(
    `\n${done.length} mutants: ${done.length - survivors.length} killed, ${survivors.length} survived, ${seconds.toFixed(0)} s`,
  );
  for (const { name, rule, file } of survivors)
    console.log(`survivor: ${name} (${rule}, ${file ?? 'model'})`);
  const late = seconds * 1_000 > TOTAL_MS;
  if (late) console.log(`the whole took longer than ${TOTAL_MS / 60_000} minutes`);
  process.exitCode = survivors.length > 0 || late ? 1 : 0;
}
