// `npm run failpoints -- [--slice ci] [--cell ID]… [--parallel N] [--hit N] [--repeat N] [--list]`: the failpoint matrix.
// Every fault at every step of the handshake, before and after it, once each, in real processes of an instrumented copy of
// the built program. A cell passes when its fault was really done, everything came to its end, and the judge is content.
// Exits 1 when one did not. The last line counts cells.
import { join } from 'node:path';
import { monoMs } from '../chaos/clock.mjs';
import { printStory } from '../chaos/report.mjs';
import { readFlags, refuse } from '../flags.mjs';
import { playCell } from './cell.mjs';
import { CELLS, FAULTS, sliceOf } from './cells.mjs';
import { instrument } from './instrument.mjs';
import { POINTS, SIDES } from './points.mjs';

/** Cells mostly wait: for leases, for tasks, for each other's processes to start. */
const PARALLEL = 4;
const MOST_STORIES = 3;

const { values } = readFlags(
  'failpoints',
  'Every fault at every step of the handshake, before and after it, in real processes of an instrumented copy.',
  {
    slice: {
      type: 'string',
      of: 'ci',
      among: ['ci'],
      says: 'each step once on each side, the faults in turn',
    },
    cell: {
      type: 'string',
      of: 'ID',
      multiple: true,
      says: 'only these, by their names as they are printed',
    },
    parallel: { type: 'string', of: 'N', whole: 1, default: String(PARALLEL), says: 'cells at once' },
    hit: {
      type: 'string',
      of: 'N',
      whole: 1,
      default: '1',
      says: 'when the step is taken for the N-th time in one process',
    },
    repeat: { type: 'string', of: 'N', whole: 1, default: '1', says: 'all of it so many times' },
    list: { type: 'boolean', default: false, says: 'only prints the table' },
  },
);
const [parallel, hit, repeat] = [values.parallel, values.hit, values.repeat].map(Number);
const unknown = (values.cell ?? []).filter(
  (id) => !CELLS.some((cell) => cell.id === id && cell.why === null),
);
if (unknown.length > 0) refuse('failpoints', `no such cell, or one that cannot exist: ${unknown.join(', ')}`);

const possible = CELLS.filter(({ why }) => why === null);
const chosen = values.slice === 'ci' ? sliceOf(possible) : possible;
const cells = Array.from({ length: repeat }, () => chosen)
  .flat()
  .filter(({ id }) => values.cell === undefined || values.cell.includes(id));

if (values.list) printTable(new Map());
else process.exitCode = await playAll();
// A cell that broke off leaves its load trying to reach what is gone.
process.exit();

async function playAll() {
  const startedAt = monoMs();
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => ending.abort(new Error(`ended by ${signal}`)));
  const copy = instrument();
  // The same few programs are started hundreds of times.
  process.env.NODE_COMPILE_CACHE ??= join(copy.folder, 'cache');
  const results = new Map();
  const waiting = cells.values();
  let ended = 0;
  const lane = async () => {
    for (const cell of waiting) {
      const before = results.get(cell.id) ?? [];
      // A cell alone has the tasks that it has among all others; in a repetition it has others.
      const number = CELLS.indexOf(cell) + before.length;
      const result = await playCell(cell, { program: copy.program, number, hit, signal: ending.signal });
      results.set(cell.id, [...(results.get(cell.id) ?? []), result]);
      ended += 1;
      tell(cell, result, ended);
    }
  };
  // All of them, also after an abort: each has processes and a folder to put away.
  const ends = await Promise.allSettled(Array.from({ length: parallel }, lane));
  copy.remove();
  if (ending.signal.aborted) {
    console.log(ending.signal.reason.message);
    return 130;
  }
  const broken = ends.find((end) => end.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
  return conclude(results, startedAt);
}

function tell(cell, { problems, tookMs, lateMs }, ended) {
  const end = problems.length === 0 ? 'ok' : 'FAILED';
  const seconds = (tookMs / 1_000).toFixed(1);
  console.log(`${String(ended).padStart(4)}/${cells.length}  ${cell.id.padEnd(32)} ${end} ${seconds} s`);
  for (const problem of problems) console.log(`      ${problem}`);
  if (problems.length > 0)
    console.log(`      the machine kept this harness waiting for up to ${Math.round(lateMs)} ms`);
}

function conclude(results, startedAt) {
  const all = [...results.values()].flat();
  const failed = [...results].filter(([, played]) => played.some(({ problems }) => problems.length > 0));
  const stories = all.flatMap(({ violations, history, ...at }) =>
    violations.map((violation) => () => printStory(violation, history, at.startedAt)),
  );
  for (const story of stories.slice(0, MOST_STORIES)) story();
  printTable(results);
  const again = failed.map(([id]) => ` --cell ${id}`).join('');
  if (failed.length > 0) console.log(`\nagain: npm run failpoints --${again}`);
  const seconds = ((monoMs() - startedAt) / 1_000).toFixed(0);
  const bad = all.filter(({ problems }) => problems.length > 0).length;
  console.log(
    `\n${possible.length} of ${CELLS.length} cells can exist; ${results.size} of them played in ${seconds} s`,
  );
  console.log(`${all.length - bad} passed, ${bad} failed`);
  return bad > 0 ? 1 : 0;
}

/** One line for each step and side: what became of its cells. Below it, why the others cannot exist. */
function printTable(results) {
  console.log(`\n  ${'step'.padEnd(34)}${FAULTS.map((fault) => fault.padEnd(18)).join('')}`);
  for (const point of POINTS) {
    for (const side of SIDES) {
      const here = CELLS.filter((cell) => cell.point === point && cell.side === side);
      const words = here.map((cell) => wordOf(cell, results.get(cell.id)).padEnd(18)).join('');
      console.log(
        `  ${`${point.name.padEnd(5)}${side.padEnd(7)}${point.step}`.padEnd(34)}${words}`.trimEnd(),
      );
    }
  }
  console.log('\n  cells that cannot exist');
  const impossible = Map.groupBy(
    CELLS.filter(({ why }) => why !== null),
    ({ why }) => why,
  );
  for (const [why, same] of impossible) {
    const ids = same.length > 4 ? `all ${same[0].fault} cells` : same.map(({ id }) => id).join(', ');
    console.log(`  ${String(same.length).padStart(3)}  ${why}: ${ids}`);
  }
}

function wordOf({ why }, played) {
  if (why !== null) return '-';
  if (played === undefined) return '.';
  return played.every(({ problems }) => problems.length === 0) ? 'ok' : 'FAILED';
}
