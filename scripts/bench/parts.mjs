// Every part of the bench, in the order in which they run: what `npm run bench -- NAME…` may name.
import { idleAgents } from './agents.mjs';
import { backupBesideWork } from './backup.mjs';
import { bundleRounds } from './bundles.mjs';
import { countsPart } from './counts.mjs';
import { crowd } from './crowd.mjs';
import { dueDags, idleDags, runOfMany } from './dags.mjs';
import { failover } from './failover.mjs';
import { flood } from './flood.mjs';
import { handlerRound } from './handlers.mjs';
import { hostileHandlers } from './hostile.mjs';
import { largeDag } from './large-dag.mjs';
import { pair } from './pair.mjs';
import { peers } from './peers.mjs';
import { devReady } from './ready.mjs';
import { pruning } from './retention.mjs';
import { siteLoss } from './site-loss.mjs';
import { slowDisks } from './slow-disk.mjs';
import { backlog, lifecycle, raw, start } from './speed.mjs';
import { listed } from './tables.mjs';
import { waitingTriggers } from './triggers.mjs';

/** A part whose figures are one list. `measure` gets the options of the call. */
const list = (name, title, measure, more = {}) => ({
  ...{ name, ...more },
  run: async (options) => {
    const figures = await measure(options);
    return { figures: { [name]: figures }, tables: [listed(title(options), figures)] };
  },
});
const QUICK = { quick: true };
const AGENT_COUNTS = [100, 1_000, 10_000];

async function agents({ quick, counts = quick ? [1_000] : AGENT_COUNTS }) {
  const rows = [];
  for (const count of counts) rows.push({ count, ...(await idleAgents(count, quick ? 5 : 15)) });
  // The figures of a thousand, which both kinds of run have; the others under their number.
  const main = rows.find(({ count }) => count === 1_000) ?? rows[0];
  const names = Object.keys(main);
  const table = {
    title: 'idle agents, H = 5 s; then the coordinator is killed and started again',
    head: ['figure', ...rows.map(({ count }) => `${count.toLocaleString('en-US')} agents`)],
    rows: names.slice(1).map((name) => [name, ...rows.map((row) => row[name])]),
  };
  const all = Object.fromEntries(rows.map(({ count, ...figures }) => [count, figures]));
  return { figures: { agents: { ...main, of: all } }, tables: [table] };
}

async function deaths({ quick }) {
  const how = quick ? { sites: 2, rounds: 1, harsh: 1 } : { sites: 3, rounds: 8, harsh: 4 };
  const { figures, rows } = await failover(how);
  const head = ['kill -9 of', 'p50 ms', 'p99 ms', 'latest ms', 'cases'];
  return { figures: { failover: figures }, tables: [{ title: 'failover, H = 1 s, L = 3 s', head, rows }] };
}

const old = ({ quick }) => (quick ? 20_000 : 100_000);
const many = ({ quick }) => (quick ? 1_000 : 10_000);

/** `quick`: also a part of `--quick`, which has two minutes; the others run when they are named, or without it. */
/** @type {{ name: string, group?: string, quick?: boolean, run: (options: any) => Promise<any> }[]} */
export const PARTS = [
  { name: 'counts', ...QUICK, run: countsPart },
  { name: 'raw', ...QUICK, run: raw },
  { name: 'lifecycle', ...QUICK, run: lifecycle },
  { name: 'peers', ...QUICK, run: peers },
  { name: 'start', ...QUICK, run: start },
  { name: 'agents', ...QUICK, run: agents },
  { name: 'failover', ...QUICK, run: deaths },
  { name: 'backlog', run: backlog },
  list(
    'crowd',
    ({ quick }) =>
      `a task beside ${quick ? '1,000' : '10,000'} idle agents, and beside 10,000 DAGs with nothing due`,
    ({ quick }) =>
      quick
        ? crowd({ agents: 1_000, dags: 10_000, n: 3_000, watchMs: 3_000 })
        : crowd({ agents: 10_000, dags: 10_000, n: 20_000, watchMs: 15_000 }),
  ),
  list(
    'siteLoss',
    () => '1,000 agents die at once, each with a task, L = 3 s, the storm brake off',
    ({ quick }) => siteLoss(1_000, quick ? 1 : 5),
  ),
  list(
    'pair',
    () => 'two coordinators with a store and an agent of their own, one at a time and both at once',
    pair,
  ),
  list(
    'handlers',
    () => 'calls of handlers, 8 warm children, 64 slots',
    ({ quick }) => (quick ? handlerRound(4_000, 8, 64, 500) : handlerRound(20_000, 8, 64)),
    QUICK,
  ),
  list(
    'dags',
    ({ quick }) => `10,000 DAGs with nothing due, watched for ${quick ? 5 : 15} s`,
    ({ quick }) => idleDags(10_000, quick ? 5 : 15),
    { group: 'dags' },
  ),
  list(
    'dagsDue',
    () => '1,000 DAGs due in the same second',
    () => dueDags(1_000),
    { group: 'dags' },
  ),
  list(
    'dagRun',
    () => 'a run of 1,000 tasks, 500 beside one another, then 499 behind one another',
    () => runOfMany(500, 499),
    { group: 'dags' },
  ),
  list(
    'largeDag',
    () => 'a DAG of 10,000 tasks: how long each step keeps the loop from anything else',
    () => largeDag(10_000),
    { group: 'dags' },
  ),
  list(
    'triggers',
    (options) => `${many(options)} triggers wait in one triggerer, a third of them fire at once`,
    (options) => waitingTriggers(many(options), options.quick ? 5_000 : 20_000),
    { group: 'dags' },
  ),
  list(
    'hostile',
    () => 'eight slots full of handlers that block, eat memory or exit, H = 500 ms',
    ({ quick }) => hostileHandlers(quick ? 5_000 : 30_000),
  ),
  list(
    'retention',
    (options) => `${old(options)} finished tasks removed beside 1,000 lifecycles a second`,
    (options) => pruning(old(options), 1_000),
  ),
  list(
    'flood',
    () => '100,000 lines of output a second beside 500 lifecycles a second',
    ({ quick }) => flood(100_000, quick ? 3 : 6, quick ? 1 : 3, 500),
  ),
  list(
    'floodFull',
    () => 'the same flood beside as many lifecycles as go',
    ({ quick }) => flood(100_000, quick ? 3 : 6, quick ? 1 : 3, 0),
  ),
  list(
    'backup',
    () => 'a backup beside 20 idle agents, H = 100 ms, and 200 lifecycles a second',
    ({ quick }) => backupBesideWork(quick ? 20_000 : 400_000),
  ),
  list(
    'bundle',
    (options) => `a bundle of ${many(options)} DAGs: first, one file of ten changed, all changed`,
    (options) => bundleRounds(many(options)),
  ),
  list(
    'slowDisk',
    () => '20 agents with 20 slots, H = 1 s, on disks that take 0, 20 and 200 ms for a sync',
    ({ quick }) => slowDisks(quick ? 2_000 : 5_000),
  ),
  list(
    'dev',
    () => '`holdfast dev`, ready for calls',
    () => devReady(3),
  ),
];
