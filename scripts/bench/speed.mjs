// Throughput: the yardstick, whole lifecycles beside it, what a backlog adds to them, and what a user waits.
import { backlogRound } from './backlog.mjs';
import { inTurn, plain, ratio, spreads } from './figures.mjs';
import { startLatency } from './latency.mjs';
import { lifecycleRound, withSites } from './lifecycle.mjs';
import { rawEcho } from './raw.mjs';
import { withStore } from './stores.mjs';

const ECHOES = [
  { name: '1×1', streams: 1, records: 1 },
  { name: '16×1', streams: 16, records: 1 },
  { name: '16×50', streams: 16, records: 50 },
  { name: '1×1 TLS', streams: 1, records: 1, tls: true },
  { name: '16×1 TLS', streams: 16, records: 1, tls: true },
  { name: '16×50 TLS', streams: 16, records: 50, tls: true },
];

/** `bench raw`. */
export async function raw({ quick }) {
  const seconds = quick ? 0.7 : 2;
  const echoes = ECHOES.filter(({ tls, records }) => !quick || !tls || records > 1);
  const sides = echoes.map(({ name, ...echo }) => [name, () => rawEcho({ ...echo, seconds })]);
  const told = await inTurn(Object.fromEntries(sides), quick ? 1 : 3);
  const of = Object.entries(told).map(([name, rounds]) => ({ name, ...spreads(rounds) }));
  const columns = ['messagesPerS', 'recordsPerS', 'rttP50Ms', 'rttP99Ms', 'serverMicrosPerMessage'];
  const title = 'a bare echo by grpc-js, streams × records a message, one message of each stream under way';
  const head = ['echo', 'messages/s', 'records/s', 'RTT p50 ms', 'p99 ms', 'server CPU µs a message'];
  return {
    figures: { raw: Object.fromEntries(of.map(({ name, ...figures }) => [name, plain(figures)])) },
    tables: [{ title, head, rows: of.map((one) => [one.name, ...columns.map((column) => one[column])]) }],
  };
}

/** A third of the records an echo moves is what whole lifecycles are compared with: each takes three of them, there and back. */
const RECORDS_A_LIFECYCLE = 3;
const SHAPES = [
  { key: 'lifecycle', agents: 1, slots: 100, n: 15_000, few: 6_000 },
  { key: 'lifecycle10x10', agents: 10, slots: 10, n: 10_000, few: 3_000 },
  { key: 'lifecycle100x1', agents: 100, slots: 1, n: 6_000, few: 2_000 },
  { key: 'lifecycle100x10', agents: 100, slots: 10, n: 8_000, few: 2_500 },
];
const LIFECYCLE_COLUMNS = {
  drainPerS: 'drain/s',
  lifecyclesPerS: 'lifecycles/s',
  submitsPerS: 'submissions/s',
  cpuMicrosPerTask: 'coordinator CPU µs a task',
  commitsPer1000: 'commits per 1,000',
  tasksPutPerCommit: 'tasks a commit',
  recordsPerMessage: 'records a message',
  messagesPerTask: 'messages a task',
  residentMib: 'memory MiB',
};

/** Tasks that a coordinator has worked through before its first round: V8 compiles its program in that time. */
export const warmUpOf = (quick) => (quick ? 4_000 : 20_000);

/** `bench lifecycle [--store NAME --agents A --slots S --n N]`. */
export async function lifecycle(options) {
  const { store = 'sqlite' } = options;
  return await withStore(store, (kind) => lifecycleOn(store, kind, options));
}

async function lifecycleOn(store, kind, { quick, agents, slots, n, rounds = quick ? 1 : 5 }) {
  const own = agents !== undefined || slots !== undefined;
  const shapes = own
    ? [{ key: 'lifecycle', agents: agents ?? 1, slots: slots ?? 100, n: 20_000, few: 5_000 }]
    : SHAPES;
  const sizeOf = (shape) => n ?? (quick ? shape.few : shape.n);
  const echo = { streams: 16, records: 50, seconds: quick ? 1 : 2 };
  const warmUp = warmUpOf(quick);
  const wanted = shapes.map((shape) => [shape.key, { ...shape, kind, warmUp }]);
  const told = await withSites(Object.fromEntries(wanted), (sites) => {
    const sides = shapes.map((shape) => [shape.key, () => lifecycleRound(sites[shape.key], sizeOf(shape))]);
    return inTurn({ raw: () => rawEcho(echo), ...Object.fromEntries(sides) }, rounds);
  });
  const yardstick = told.raw.map(({ recordsPerS }) => ({
    lifecyclesPerS: recordsPerS / RECORDS_A_LIFECYCLE,
  }));
  const vsRaw = (key) => ratio(told[key], yardstick, 'lifecyclesPerS');
  const figures = shapes.map(({ key }) => [key, plain({ ...spreads(told[key]), vsRaw: vsRaw(key) })]);
  const columns = Object.keys(LIFECYCLE_COLUMNS);
  const rows = shapes.map((shape) => {
    const of = spreads(told[shape.key]);
    return [`${shape.agents}×${shape.slots}`, ...columns.map((column) => of[column]), vsRaw(shape.key)];
  });
  const where = store === 'postgres' ? ' on PostgreSQL' : '';
  const title = `full durable lifecycles${where}, agents × slots, ${rounds} ${rounds === 1 ? 'round' : 'rounds in turn'} (vs raw: of a third of the echo's records/s, 16×50)`;
  const head = ['agents×slots', ...Object.values(LIFECYCLE_COLUMNS), 'vs raw'];
  const measured = Object.fromEntries(figures);
  return { figures: where === '' ? measured : { [store]: measured }, tables: [{ title, head, rows }] };
}

/** `bench backlog`: the cost of a task in front of a thousand, a hundred thousand, a million others. */
export async function backlog({ quick, n }) {
  const sizes = n !== undefined ? [n] : quick ? [1_000, 20_000] : [1_000, 100_000, 1_000_000];
  const rounds = [];
  for (const size of sizes) rounds.push({ size, ...(await backlogRound(size)) });
  const [first] = rounds;
  const cost = (one) => one.drainCpuMicrosPerTask / first.drainCpuMicrosPerTask;
  const title = 'tasks done while so many wait, one agent × 100 slots';
  const head = ['waiting', 'drain/s', 'CPU µs a task', 'against the first', 'submissions/s', 'memory MiB'];
  const rows = rounds.map((one) => [
    ...[one.size.toLocaleString('en-US'), one.drainPerS, one.drainCpuMicrosPerTask, cost(one)],
    ...[one.submitsPerS, one.residentMib],
  ]);
  const figures = Object.fromEntries(
    rounds.map(({ size, ...of }) => [size, { ...of, costRatio: cost({ ...of }) }]),
  );
  return { figures: { backlog: figures }, tables: [{ title, head, rows }] };
}

/** `bench start [--rate R]`. */
export async function start({ quick, rate }) {
  const rates = rate !== undefined ? [rate] : quick ? [500] : [100, 500];
  const seconds = quick ? 3 : 5;
  const told = await withSites({ ours: { agents: 1, slots: 100, warmUp: warmUpOf(quick) } }, ({ ours }) => {
    const sides = rates.map((perSecond) => [perSecond, () => startLatency(ours, { perSecond, seconds })]);
    return inTurn(Object.fromEntries(sides), quick ? 1 : 3);
  });
  const of = Object.entries(told).map(
    ([perSecond, list]) => /** @type {any} */ ({ perSecond, ...spreads(list) }),
  );
  const title = 'from submission to start with a free slot, tasks one by one, 1 agent × 100 slots';
  const rows = of.map(({ perSecond, p50Ms, p99Ms }) => [`${perSecond}/s`, p50Ms, p99Ms]);
  const fastest = rates.at(-1);
  return {
    figures: { start: { perSecond: fastest, ...plain(spreads(told[fastest])) } },
    tables: [{ title, head: ['rate', 'p50 ms', 'p99 ms'], rows }],
  };
}
