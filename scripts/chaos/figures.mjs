// What processes hold over a long time: samples, straight lines through them, and the bounds that they must keep.
import { readdirSync, statSync } from 'node:fs';
import { ask, residentKib } from '../bench/processes.mjs';
import { monoMs } from './clock.mjs';

const MIB = 1_024 * 1_024;
/** Caches fill and the machine code settles: that share of the samples tells nothing about growth. */
const WARM_UP_SHARE = 0.3;
const HOUR_MS = 3_600_000;

/** What counts as flat. A slope is judged by its lower 95 % bound: a noisy line is no proof of growth. */
const BOUNDS = {
  heapMibPerHour: 4,
  rssMibPerHour: 24,
  descriptorsPerHour: 12,
  lagP99Ms: 50,
  walMib: 64,
};

export class Figures {
  #watched;
  #database;
  #samples = [];

  /** `watched`: processes with a probe, by name; `database`: file of the coordinator's. */
  constructor(watched, database) {
    this.#watched = watched;
    this.#database = database;
  }

  async look() {
    const of = {};
    for (const [name, { child }] of Object.entries(this.#watched)) {
      const told = await ask(child);
      const [rssMib, descriptors] = [
        residentKib(child.pid) / 1_024,
        readdirSync(`/proc/${child.pid}/fd`).length,
      ];
      of[name] = { heapMib: told.heapBytes / MIB, rssMib, descriptors, lag: told.lagMs };
    }
    const [database, wal] = [this.#database, `${this.#database}-wal`].map((file) => sizeOf(file) / MIB);
    this.#samples.push({ at: monoMs(), of, database, wal });
  }

  /** Prints the figures; resolves to what is not flat. */
  judge() {
    const settled = this.#samples.slice(Math.floor(this.#samples.length * WARM_UP_SHARE));
    const problems = Object.keys(this.#watched).flatMap((name) => this.#judgeProcess(name, settled));
    const last = this.#samples.at(-1);
    const wal = Math.max(...this.#samples.map((sample) => sample.wal));
    console.log(
      `\n  database    ${last.database.toFixed(1)} MiB at the end, its write-ahead log ${wal.toFixed(1)} MiB at most`,
    );
    if (wal > BOUNDS.walMib) problems.push(`the write-ahead log had ${wal.toFixed(1)} MiB`);
    return problems;
  }

  #judgeProcess(name, samples) {
    const problems = [];
    console.log(
      `\n  ${name}, ${samples.length} samples after the warm-up:   first     last   slope per hour (± 95 %)   bound`,
    );
    for (const { what, bound, unit } of [
      { what: 'heapMib', bound: BOUNDS.heapMibPerHour, unit: 'heap after collection, MiB' },
      { what: 'rssMib', bound: BOUNDS.rssMibPerHour, unit: 'resident memory, MiB' },
      { what: 'descriptors', bound: BOUNDS.descriptorsPerHour, unit: 'open descriptors' },
    ]) {
      const points = samples.map(({ at, of }) => ({ x: at / HOUR_MS, y: of[name][what] }));
      const { slope, spread } = lineThrough(points);
      const [first, last] = [points[0].y, points.at(-1).y].map((y) => y.toFixed(1).padStart(9));
      console.log(
        `    ${unit.padEnd(44)}${first}${last}   ${slope.toFixed(2).padStart(9)} ± ${spread.toFixed(2).padEnd(11)}${bound}`,
      );
      if (slope - spread > bound) problems.push(`${name}: ${unit} grow by ${slope.toFixed(2)} per hour`);
    }
    const lag = samples.map(({ of }) => of[name].lag.p99).toSorted((a, b) => a - b);
    const [middle, worst] = [lag[Math.floor(lag.length / 2)], lag.at(-1)];
    const longest = Math.max(...samples.map(({ of }) => of[name].lag.longest));
    console.log(
      `    lag of the event loop, p99 of each sample: ${middle.toFixed(1)} ms (median), ${worst.toFixed(1)} ms (worst); longest ${longest.toFixed(0)} ms; bound of the median ${BOUNDS.lagP99Ms}`,
    );
    if (middle > BOUNDS.lagP99Ms) problems.push(`${name}: the loop lags by ${middle.toFixed(1)} ms (p99)`);
    return problems;
  }
}

/** Least squares; `spread` is twice the standard error of the slope. */
function lineThrough(points) {
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  const width = points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
  const slope = points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0) / width;
  const rest = points.reduce((sum, point) => sum + (point.y - y - slope * (point.x - x)) ** 2, 0);
  return { slope, spread: 2 * Math.sqrt(rest / Math.max(points.length - 2, 1) / width) };
}

function sizeOf(file) {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
