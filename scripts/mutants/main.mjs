// `npm run mutants [-- --quick] [-- --only NAME,NAME] [-- --remember] [-- --forget]`: changes the rules of the real code
// one at a time, and wants the simulator or the model to see a promise broken. `--quick` takes the load-bearing rules
// alone; `--remember` writes down which seed saw what, so that it is the first one tried next time; `--forget` tries none
// of those first. Exits 1 when a mutant survives: nobody would notice if somebody made that change. Seconds are those of
// a core, which an idle machine has for each process.
import { readFileSync, writeFileSync } from 'node:fs';
import { readFlags } from '../flags.mjs';
import { attack, Bench, MINUTES } from './attack.mjs';
import { Build } from './build.mjs';
import { LOAD_BEARING, MUTANTS } from './table.mjs';

const { values } = readFlags(
  'mutants',
  'Changes the rules of the real code one at a time, and wants a promise to be seen broken.',
  {
    quick: { type: 'boolean', says: 'the load-bearing rules alone' },
    only: { type: 'string', of: 'NAME,NAME', says: 'these alone' },
    remember: { type: 'boolean', says: 'writes down which seed saw what; it is tried first next time' },
    forget: { type: 'boolean', says: 'tries none of those first' },
    processes: { type: 'string', of: 'N', whole: 1, default: '2', says: 'at once' },
    seconds: { type: 'string', of: 'N', whole: 1, default: '45', says: 'of a core for each, at most' },
    from: { type: 'string', of: 'N', whole: 0, default: '1', says: 'the first seed' },
  },
);

const SEEDS = Array.from({ length: 1_000 }, (_, i) => Number(values.from) + i);
/** Which seeds have DAGs, by their last digits: see src/testing/sim/world.ts. */
const DAG_WORLDS = new Set([3, 6]);
const LIMIT_MS = Number(values.seconds) * 1_000;
const TOTAL_MS = 15 * 60_000;
const MEMORY = new URL('./seeds.json', import.meta.url);

// Ends by way of `exit`, where the processes and folders of the mutants are removed.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const begin = performance.now();
/** Promises that the code breaks as it is. */
const faults = [];
const remembered = JSON.parse(readFileSync(MEMORY, 'utf8'));
const results = await runAll(choose());
report(results);
if (values.remember) remember(results);

function choose() {
  if (values.only === undefined) return values.quick ? LOAD_BEARING : MUTANTS;
  const wanted = values.only.split(',');
  const unknown = wanted.filter((one) => !MUTANTS.some(({ name }) => name === one));
  if (unknown.length > 0) throw new Error(`no mutant is called ${unknown.join(' or ')}`);
  return MUTANTS.filter(({ name }) => wanted.includes(name));
}

async function runAll(mutants) {
  const clean = new Build();
  const bench = new Bench(clean.folder);
  const queue = [...mutants];
  const done = [];
  const workers = Math.min(Number(values.processes), queue.length);
  try {
    // All edits are tried before time is spent on any: a stale table ends the run at once.
    const stale = mutants.flatMap((mutant) => clean.staleness(mutant));
    if (stale.length > 0) throw new Error(`the table is stale:\n  ${stale.join('\n  ')}`);
    const holds = cleanHolds(bench);
    await Promise.all(
      Array.from({ length: workers }, async () => {
        const build = new Build();
        try {
          for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
            const result = await judge(build, mutant, holds);
            done.push(result);
            console.log(line(result));
          }
        } finally {
          build.remove();
        }
      }),
    );
  } finally {
    bench.close();
    clean.remove();
  }
  return done;
}

/** Whether a seed holds without any mutant: a promise that is broken anyway says nothing about a mutant. Asked once each. */
function cleanHolds(bench) {
  const known = new Map();
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  return (seed) => {
    if (!known.has(seed)) {
      last = last.then(async () => {
        const { kind, rule, what } = await bench.run({ seed, minutes: MINUTES });
        if (kind !== 'held') faults.push(`seed ${seed} breaks ${rule ?? kind}: ${oneLine(what)}`);
        return kind === 'held';
      });
      known.set(seed, last);
    }
    return known.get(seed);
  };
}

async function judge(build, mutant, holds) {
  const first = values.forget ? [] : (remembered[mutant.name] ?? []);
  const fit = mutant.dags ? SEEDS.filter((seed) => DAG_WORLDS.has(seed % 8)) : SEEDS;
  const seeds = [...new Set([...first, ...fit])];
  build.mutate(mutant);
  const result = await attack(build.folder, mutant, { seeds, limitMs: LIMIT_MS, holds });
  build.heal(mutant);
  return { mutant, ...result };
}

function line(/** @type {any} */ { mutant, killed, rule, seed, what, tried, ms }) {
  const by = () => (seed === null ? 'the model' : `${rule.padEnd(9)} seed ${seed}`);
  const verdict = killed ? `killed by ${by()}` : `SURVIVED ${tried} seeds`;
  const seen = what === null ? '' : oneLine(what);
  const name = `${mutant.name.padEnd(34)} ${mutant.rule.padEnd(4)}`;
  return `${name} ${seconds(ms).padStart(5)} s  ${verdict.padEnd(30)} ${seen}`;
}

function seconds(ms) {
  return (ms / 1_000).toFixed(1);
}

function oneLine(text) {
  const [first] = text.split('\n');
  return first.length > 110 ? `${first.slice(0, 110)}…` : first;
}

function report(done) {
  const survivors = done.filter(({ killed }) => !killed);
  const spent = done.reduce((sum, { ms }) => sum + ms, 0) / Number(values.processes);
  const passed = seconds(performance.now() - begin);
  console.log(
    `\n${done.length} mutants: ${done.length - survivors.length} killed, ${survivors.length} survived, ` +
      `${seconds(spent)} s of ${values.processes} cores, ${passed} s passed`,
  );
  for (const { mutant, what } of survivors)
    console.log(`survivor: ${mutant.name} (${mutant.rule}, ${mutant.file ?? 'model'}) ${what ?? ''}`);
  for (const fault of faults) console.log(`without any mutant, ${fault}`);
  const isLate = spent > TOTAL_MS;
  if (isLate) console.log(`that is longer than ${TOTAL_MS / 60_000} minutes`);
  process.exitCode = survivors.length > 0 || faults.length > 0 || isLate ? 1 : 0;
}

/** The seeds that saw a mutant last, newest first: other versions of the simulator may need another one. */
function remember(done) {
  const kept = {};
  for (const { name, model } of MUTANTS) {
    if (model !== undefined) continue;
    const seed = done.find(({ mutant, killed }) => killed && mutant.name === name)?.seed;
    const seeds = [...new Set([seed, ...(remembered[name] ?? [])])].filter((one) => one !== undefined);
    if (seeds.length > 0) kept[name] = seeds.slice(0, 3);
  }
  const rows = Object.entries(kept).map(([name, seeds]) => `  "${name}": [${seeds.join(', ')}]`);
  writeFileSync(MEMORY, `{\n${rows.join(',\n')}\n}\n`);
}
