// `npm run bench [-- --quick] [--json FILE] [PART…]`: the figures of the README, measured here and now, all of them or the
// parts named (lifecycle, flood, …). A wrong result fails the run; a slow one never does.
import { closeSync, fsyncSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { backupBesideWork } from './backup.mjs';
import { bundleRounds } from './bundles.mjs';
import { dueDags, idleDags, runOfMany } from './dags.mjs';
import { detection } from './failover.mjs';
import { flood } from './flood.mjs';
import { handlerRound } from './handlers.mjs';
import { hostileHandlers } from './hostile.mjs';
import { idleAgents } from './idle.mjs';
import { startLatency } from './latency.mjs';
import { lifecycleRound } from './lifecycle.mjs';
import { endAll, kernel, median } from './processes.mjs';
import { devReady } from './ready.mjs';
import { pruning } from './retention.mjs';
import { waitingTriggers } from './triggers.mjs';

const { values, positionals: chosen } = parseArgs({
  options: { quick: { type: 'boolean' }, json: { type: 'string' } },
  allowPositionals: true,
});
const parts = new Set();
const quick = values.quick === true;
process.on('exit', endAll);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

const figures = {};
printMachine();
await lifecycles('lifecycle', '1 agent × 100 slots', quick ? 20_000 : 50_000, 1, 100);
await lifecycles('lifecycle100x1', '100 agents × 1 slot', quick ? 5_000 : 20_000, 100, 1);
await measure('handlers', 'handlers, 8 warm children, 64 slots', () =>
  handlerRound(quick ? 4_000 : 20_000, 8, 64),
);
const blockMs = quick ? 10_000 : 60_000;
await measure('hostile', 'eight slots full of handlers that block, eat memory or exit, H = 500 ms', () =>
  hostileHandlers(blockMs),
);
await measure('start', 'submission to start, 100 a second', () => startLatency(quick ? 300 : 1_000, 100));
await measure('agents', '1,000 idle agents, H = 5 s', () => idleAgents(1_000, quick ? 10 : 30));
const old = quick ? 20_000 : 1_000_000;
await measure('retention', `${old} finished tasks removed beside 1,000 lifecycles a second`, () =>
  pruning(old, 1_000),
);
const [stretch, pairs] = quick ? [4, 2] : [8, 5];
await measure('flood', '100,000 lines of output a second beside 500 lifecycles a second', () =>
  flood(100_000, stretch, pairs, 500),
);
await measure('floodFull', 'the same flood beside as many lifecycles as go', () =>
  flood(100_000, stretch, pairs, 0),
);
await measure('dags', '10,000 DAGs with nothing due', () => idleDags(10_000, quick ? 20 : 60));
await measure('dagsDue', '1,000 DAGs due in the same second', () => dueDags(1_000));
await measure('dagRun', 'a run of 1,000 tasks, 500 beside one another, then 499 behind one another', () =>
  runOfMany(500, 499),
);
await measure('backup', 'a backup beside 20 idle agents, H = 100 ms, and 200 lifecycles a second', () =>
  backupBesideWork(quick ? 20_000 : 800_000),
);
const dags = quick ? 1_000 : 10_000;
await measure('bundle', `a bundle of ${dags} DAGs: first, one file of ten changed, all changed`, () =>
  bundleRounds(dags),
);
const triggers = quick ? 1_000 : 10_000;
await measure('triggers', `${triggers} triggers wait in one triggerer, a third of them fire at once`, () =>
  waitingTriggers(triggers, quick ? 5_000 : 30_000),
);
await measure('dev', '`holdfast dev`, ready for calls', () => devReady(3));
await measure('failover', 'kill -9 of an agent, L = 3 s', detection);
const unknown = chosen.filter((name) => !parts.has(name));
if (unknown.length > 0) {
  console.error(`no part is called ${unknown.join(', ')}; there are ${[...parts].join(', ')}`);
  process.exitCode = 2;
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);

async function lifecycles(key, title, n, agents, slots) {
  await measure(key, `full durable lifecycles, ${title}, ${n} tasks`, async () => {
    const rounds = [];
    for (let i = 0; i < (quick ? 1 : 5); i++) rounds.push(await lifecycleRound(n, agents, slots));
    const of = (name) => median(rounds.map((round) => round[name]));
    return Object.fromEntries(Object.keys(rounds[0]).map((name) => [name, of(name)]));
  });
}

async function measure(key, title, run) {
  parts.add(key);
  if (chosen.length > 0 && !chosen.includes(key)) return;
  console.log(`\n${title}`);
  figures[key] = await run();
  for (const [name, value] of Object.entries(figures[key])) {
    const shown = value?.toLocaleString('en-US', { maximumFractionDigits: 1 }) ?? 'not seen';
    console.log(`  ${name.padEnd(24)} ${shown}`);
  }
}

function printMachine() {
  console.log(
    `${kernel()}, Node ${process.version}, ${cpus().length} × ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  );
  console.log(`one fsync of 4 KiB takes ${fsyncMicros()} µs (median of 50)`);
}

/** What a durable commit costs at least, on the disk where the databases of this bench live. */
function fsyncMicros() {
  const file = join(tmpdir(), `holdfast-bench-fsync-${process.pid}`);
  const fd = openSync(file, 'w');
  const page = Buffer.alloc(4096);
  const micros = Array.from({ length: 50 }, () => {
    writeSync(fd, page);
    const begin = performance.now();
    fsyncSync(fd);
    return (performance.now() - begin) * 1000;
  });
  closeSync(fd);
  rmSync(file);
  return Math.round(median(micros));
}
