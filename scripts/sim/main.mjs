// `npm run sim -- --seeds 1000 [--from 1] [--minutes 20]` runs many seeds, `--for 40` as many as are begun within 40 minutes;
// `-- --seed N [--trace]` one of them again.
// `--coverage` prints what was reached, `--record` adds the run to the track record of docs/safety.md.
// `--replicas 1` is the number of coordinators; there is no other yet. Exits 2 when it cannot do what it is asked.
// Exits 1 when a promise was broken, with the story's end and the one line that replays it.
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { simulate } from '../../dist/testing/sim/index.js';
import { readFlags } from '../flags.mjs';
import { printCoverage } from './coverage.mjs';
import { record } from './record.mjs';

/** Seeds of each profile; 20 minutes each unless told otherwise. */
const PROFILES = new Map([
  ['pr', 1_000],
  ['nightly', 5_000],
]);
const { values } = readFlags(
  'sim',
  'Plays coordinator and agents on virtual clocks under seeded faults, and judges every promise.',
  {
    seeds: { type: 'string', of: 'N', whole: 1, says: 'so many seeds, each a story; 100 without a profile' },
    from: { type: 'string', of: 'N', whole: 0, default: '1', says: 'the first of them' },
    seed: { type: 'string', of: 'N', whole: 0, says: 'this story alone' },
    for: { type: 'string', of: 'MINUTES', whole: 1, says: 'begins no seed after that' },
    minutes: { type: 'string', of: 'N', default: '20', says: 'length of a story, in minutes of its clocks' },
    profile: {
      type: 'string',
      of: 'NAME',
      among: [...PROFILES.keys()],
      says: 'pr is 1,000 seeds, nightly 5,000 and what must be reached',
    },
    trace: { type: 'boolean', says: 'every line of the story' },
    coverage: { type: 'boolean', says: 'what was reached' },
    record: { type: 'boolean', says: 'adds the run to the track record of docs/safety.md' },
    replicas: { type: 'string', of: 'N', default: '1', says: 'coordinators; there is one' },
  },
);
const DEFAULT_SEEDS = 100;

const minutes = Number(values.minutes);
if (values.replicas !== '1') {
  console.error(
    `--replicas ${values.replicas} cannot be simulated, because Holdfast runs with one coordinator today; ` +
      'leave it out, or give --replicas 1',
  );
  process.exit(2);
}

if (values.seed !== undefined) await replay(Number(values.seed));
else
  await runMany(Number(values.from), Number(values.seeds ?? PROFILES.get(values.profile) ?? DEFAULT_SEEDS));

async function replay(seed) {
  const result = await simulate({ seed, minutes, trace: true });
  if (values.trace) for (const line of result.trace) console.log(line);
  console.log(`seed ${seed}: ${result.mode}, ${result.agents} agents, trace ${result.hash}`);
  for (const line of values.trace ? [] : result.story) console.log(`  ${line}`);
  for (const { rule, what } of result.violations) console.log(`VIOLATION ${rule}: ${what}`);
  process.exitCode = result.violations.length > 0 ? 1 : 0;
}

/** Seeds are dealt to one process per core; each answers with what it counted. */
async function runMany(from, seeds) {
  const begin = performance.now();
  const end = values.for === undefined ? Number.POSITIVE_INFINITY : begin + Number(values.for) * 60_000;
  const processes = Math.min(availableParallelism(), seeds);
  let next = from;
  const results = [];
  const broken = [];
  await Promise.all(
    Array.from({ length: processes }, async () => {
      const child = fork(new URL('./worker.mjs', import.meta.url), [String(minutes)]);
      for (;;) {
        const seed = next++;
        if (seed >= from + seeds || performance.now() > end) break;
        const result = await ask(child, seed);
        results.push(result);
        if (result.violations.length > 0) broken.push(result);
      }
      child.disconnect();
    }),
  );
  for (const { seed, violations, story } of broken.sort((a, b) => a.seed - b.seed)) {
    console.log(`\nseed ${seed} broke ${violations[0].rule}: ${violations[0].what}`);
    for (const line of story) console.log(`  ${line}`);
    console.log(`replay: ${replayOf(seed)}`);
  }
  const sum = (of) => results.reduce((total, result) => total + of(result), 0);
  const hours = sum(({ simulatedMs }) => simulatedMs) / 3_600_000;
  const starts = sum(({ counts }) => counts.starts ?? 0);
  const faults = sum(({ counts }) =>
    Object.entries(counts).reduce((n, [name, value]) => (name.startsWith('fault.') ? n + value : n), 0),
  );
  const isNightly = values.profile === 'nightly';
  const unreached = values.coverage || isNightly ? printCoverage(results) : [];
  if (values.record) record({ seeds: results.length, hours, starts, faults, violations: broken.length });
  const seconds = (performance.now() - begin) / 1000;
  console.log(
    `\n${results.length} seeds from ${from}: ${hours.toFixed(1)} simulated hours, ${starts} starts, ${faults} faults, ` +
      `${broken.length} violations, ${seconds.toFixed(1)} s`,
  );
  console.log(`${results.length - broken.length} passed, ${broken.length} failed`);
  process.exitCode = broken.length > 0 || (isNightly && unreached.length > 0) ? 1 : 0;
}

/** The line that plays a seed again, with everything that shapes its world. */
function replayOf(seed) {
  return `npm run sim -- --seed ${seed} --minutes ${minutes} --trace`;
}

function ask(child, seed) {
  return new Promise((resolve, reject) => {
    const died = (code) => reject(new Error(`the simulation of seed ${seed} ended with ${code}`));
    child.once('exit', died);
    child.once('message', (result) => {
      child.off('exit', died);
      resolve(result);
    });
    child.send(seed);
  });
}
