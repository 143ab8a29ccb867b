// `npm run bench [-- PART…]`: the figures of docs/performance.md, measured here and now, all of them or the parts named. A
// wrong result fails the run; a slow one never does. What each figure means: README.md in this folder.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFlags, refuse } from '../flags.mjs';
import { speakTls } from './certificate.mjs';
import { writeCharts } from './charts.mjs';
import { lineOf, machine } from './machine.mjs';
import { PARTS } from './parts.mjs';
import { endAll } from './processes.mjs';
import { record } from './record.mjs';
import { asText } from './tables.mjs';

const { values, positionals: chosen } = readFlags(
  'bench',
  'The figures of docs/performance.md, measured here and now, all of them or the parts named. Parts: scripts/bench/README.md.',
  {
    quick: { type: 'boolean', says: 'the quick parts, with fewer of everything' },
    store: {
      type: 'string',
      of: 'NAME',
      among: ['sqlite', 'postgres'],
      says: 'the store that lifecycle measures',
    },
    tls: { type: 'boolean', says: 'lifecycle and agents over TLS; raw shows both in any case' },
    agents: { type: 'string', of: 'N', whole: 1, says: 'where the part has agents' },
    slots: { type: 'string', of: 'N', whole: 1, says: 'of each of them' },
    n: { type: 'string', of: 'N,N', says: 'how many of what the part counts' },
    rate: { type: 'string', of: 'N', whole: 1, says: 'a second, where the part has a rate' },
    rounds: { type: 'string', of: 'N', whole: 1, says: 'of those that are repeated' },
    json: { type: 'string', of: 'FILE', says: 'the figures as data as well' },
    charts: { type: 'string', of: 'FOLDER', says: 'draws them there' },
    record: { type: 'boolean', says: 'writes the run into docs/performance.md' },
    minutes: { type: 'string', of: 'N', whole: 1, says: 'later than that no part begins; 23 with --record' },
  },
  '[PART…]',
);
const OVER_TLS = ['raw', 'lifecycle', 'agents'];
const folder = ownFolder();
process.on('exit', () => {
  endAll();
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

const parts = chosenParts();
const options = checkedOptions();
const about = machine();
console.log(lineOf(about));
const figures = { machine: about };
const tables = [];
const began = performance.now();
const leftOut = [];
for (const { name, run } of parts) {
  const begin = performance.now();
  if (begin - began > 60_000 * options.minutes) {
    leftOut.push(name);
    continue;
  }
  const told = await measured(name, run);
  Object.assign(figures, told.figures);
  for (const table of told.tables) {
    tables.push({ part: name, ...table });
    console.log(`\n${asText(table)}`);
  }
  console.log(`  (${name}: ${((performance.now() - begin) / 1_000).toFixed(0)} s)`);
  // After each of them: what has been measured is not lost with what comes later.
  if (values.record) record(figures, tables);
}
console.log(`\n${((performance.now() - began) / 1_000).toFixed(0)} s in all`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
if (values.charts !== undefined) writeCharts(values.charts, figures);
if (leftOut.length > 0) console.log(`${options.minutes} minutes were over before ${leftOut.join(', ')}`);
if (values.record) console.log('written: docs/performance.md, and charts and figures in docs/performance');
// A part that has failed may have left something that would go on for ever.
process.exit();

/** Everything temporary of this run and its processes is below it, so that nothing stays behind, whatever fails. */
function ownFolder() {
  const own = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  // PostgreSQL's own user has to come through.
  chmodSync(own, 0o711);
  process.env.TMPDIR = own;
  return own;
}

/** A part that finds something wrong fails the run; the others are measured all the same. */
async function measured(name, run) {
  try {
    return await run(options);
  } catch (error) {
    console.error(`\n${name} has failed: ${error?.stack ?? error}`);
    process.exitCode = 1;
    // What it has started would be measured with the next part.
    endAll();
    return { figures: {}, tables: [] };
  }
}

/** All of them, those of `--quick`, or those that are named, alone or as a group. */
function chosenParts() {
  const isNamed = ({ name, group = '' }) => chosen.includes(name) || chosen.includes(group);
  const unknown = chosen.filter((name) => !PARTS.some((part) => part.name === name || part.group === name));
  if (unknown.length > 0)
    refuse(
      'bench',
      `no part is called ${unknown.join(', ')}; there are ${PARTS.map(({ name }) => name).join(', ')}`,
    );
  if (values.record && chosen.length > 0)
    refuse('bench', '--record writes the whole page: name no parts with it');
  if (chosen.length > 0) return PARTS.filter(isNamed);
  return values.quick ? PARTS.filter(({ quick }) => quick) : PARTS;
}

function checkedOptions() {
  // Said, and not left out in silence: what is asked for is not what would be measured.
  if (values.tls && parts.some(({ name }) => !OVER_TLS.includes(name)))
    refuse('bench', `--tls is for ${OVER_TLS.join(', ')}: name them, and no other part`);
  if (values.tls && values.record) refuse('bench', 'the recorded page is without --tls');
  if (values.tls) speakTls(folder);
  const list = (text) => text?.split(',').map((one) => positive(one));
  const counts = list(values.n);
  const number = (name) => (values[name] === undefined ? undefined : positive(values[name]));
  return {
    ...{
      quick: values.quick === true,
      counts,
      n: counts?.[0],
      rate: number('rate'),
      rounds: number('rounds'),
    },
    ...{ agents: number('agents'), slots: number('slots'), store: values.store },
    // Later than that no part begins; the most important come first.
    minutes: number('minutes') ?? (values.record ? 23 : Number.POSITIVE_INFINITY),
  };
}

function positive(text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    refuse('bench', `${text} is no number of anything: 1 or more, whole`);
  return value;
}
