// Holdfast beside its neighbours, in turn, on the same machine with the same Node: the same number of tasks with the same
// payload, 100 at once. Servers are started here from what is installed.
import { inTurn, plain, ratio, spreads } from './figures.mjs';
import { startLatency } from './latency.mjs';
import { drainRound, withSites } from './lifecycle.mjs';
import { installPeers, missing, peerDrain, peerLatency, startServers } from './peer-rounds.mjs';
import { warmUpOf } from './speed.mjs';
import { onPostgres } from './stores.mjs';

const BEST = 'Holdfast, 1 agent × 100 slots';
const WORST = 'Holdfast, 100 agents × 1 slot';
const ON_POSTGRES = 'Holdfast on PostgreSQL, 1 agent × 100 slots';
/** `slow`: so few tasks that a round of it ends; `unpaced`: it polls every two seconds, which is then all that is measured. */
const SIDES = [
  {
    key: 'bullmqAlways',
    title: 'BullMQ, Redis with appendfsync always',
    adapter: 'bullmq',
    server: 'always',
  },
  {
    key: 'bullmqEverysec',
    title: 'BullMQ, everysec: may lose a second',
    adapter: 'bullmq',
    server: 'everysec',
  },
  {
    key: 'graphileDefault',
    title: 'graphile-worker, defaults',
    adapter: 'graphile-worker',
    server: 'postgres',
    slow: 4,
  },
  {
    key: 'graphileTuned',
    title: 'graphile-worker, its best',
    adapter: 'graphile-worker',
    server: 'postgres',
    tuned: true,
  },
  {
    key: 'pgbossDefault',
    title: 'pg-boss, defaults',
    adapter: 'pg-boss',
    server: 'postgres',
    slow: 20,
    unpaced: true,
  },
  { key: 'pgbossTuned', title: 'pg-boss, its best', adapter: 'pg-boss', server: 'postgres', tuned: true },
];
const PACE = { perSecond: 500 };

/** `bench peers`. A peer that is not installed is left out, with a word of what is missing. */
export async function peers({ quick, n = quick ? 2_500 : 10_000, rounds = quick ? 1 : 5 }) {
  for (const lack of missing()) console.log(`  missing: ${lack}`);
  if (!installPeers()) return { figures: {}, tables: [] };
  const { servers, stop } = await startServers();
  try {
    const there = SIDES.filter(({ server }) => servers[server] !== undefined);
    return await beside(there, servers, { n, rounds, seconds: quick ? 3 : 5, isQuick: quick });
  } finally {
    await stop();
  }
}

async function beside(there, servers, { n, rounds, seconds, isQuick }) {
  const sizeOf = ({ slow = 1 }) => Math.round(n / slow);
  // Of the quick one only the goals: each takes as long as its pace.
  const paced = there.filter(({ unpaced, key }) => !unpaced && (!isQuick || key === 'bullmqAlways'));
  const [drained, started] = await withSites(ourSites(servers, warmUpOf(isQuick)), async (sites) => [
    await inTurn(
      {
        ...ourSides(sites, n),
        ...sides(there, (side) => peerDrain(servers[side.server], side, sizeOf(side))),
      },
      rounds,
    ),
    await inTurn(
      {
        [BEST]: () => startLatency(sites[BEST], { ...PACE, seconds }),
        ...sides(paced, (side) => peerLatency(servers[side.server], side, { ...PACE, seconds })),
      },
      isQuick ? 1 : 3,
    ),
  ]);
  const ours = {
    [BEST]: 'holdfast',
    [WORST]: 'holdfast100x1',
    ...(servers.postgres && { [ON_POSTGRES]: 'holdfastPostgres' }),
  };
  const keys = { ...ours, ...Object.fromEntries(there.map(({ key, title }) => [title, key])) };
  const ratios = ratiosOf(there, drained, started);
  const figures = Object.fromEntries(
    Object.entries(keys).map(([title, key]) => [
      key,
      plain({ ...spreads(drained[title]), ...spreads(started[title] ?? []) }),
    ]),
  );
  return {
    figures: {
      peers: figures,
      ratios: Object.fromEntries(Object.entries(ratios).map(([name, { median }]) => [name, median])),
    },
    tables: [
      drainTable(n, rounds, there, drained, started, sizeOf),
      {
        title: 'Holdfast against its peers, round by round (above 1: more of it)',
        head: ['ratio', 'value'],
        rows: Object.entries(ratios),
      },
    ],
  };
}

/** Our coordinators, which stand through all rounds as the servers of the others do. */
const ourSites = (servers, warmUp) => ({
  [BEST]: { agents: 1, slots: 100, warmUp },
  [WORST]: { agents: 100, slots: 1, warmUp },
  ...(servers.postgres && {
    [ON_POSTGRES]: { agents: 1, slots: 100, warmUp, kind: onPostgres(servers.postgres) },
  }),
});

const ourSides = (sites, n) =>
  Object.fromEntries(
    Object.entries(sites).map(([title, site]) => [
      title,
      () => drainRound(site, title === WORST ? n / 2 : n),
    ]),
  );

const sides = (there, measure) => Object.fromEntries(there.map((side) => [side.title, () => measure(side)]));

function drainTable(n, rounds, there, drained, started, sizeOf) {
  const sizes = {
    [BEST]: n,
    [WORST]: n / 2,
    [ON_POSTGRES]: n,
    ...Object.fromEntries(there.map((side) => [side.title, sizeOf(side)])),
  };
  const best = (title) => ratio(drained[BEST], drained[title], 'drainPerS');
  // Who is behind in the middle of the rounds has lost.
  const verdict = (title) =>
    title.startsWith('Holdfast') ? '' : best(title).median >= 1 ? 'Holdfast' : 'the peer';
  const rows = Object.entries(drained).map(([title, list]) => {
    const of = spreads(list);
    const waits = spreads(started[title] ?? []);
    return [
      title,
      sizes[title],
      of.drainPerS,
      of.submitsPerS,
      waits.p50Ms,
      waits.p99Ms,
      best(title),
      verdict(title),
    ];
  });
  const head = [
    'system',
    'tasks',
    'drain/s',
    'submissions/s',
    'start p50 ms',
    'p99 ms',
    `Holdfast's best against it`,
    'faster',
  ];
  const title = `100 tasks at once that do nothing, ${rounds} ${rounds === 1 ? 'round' : 'rounds in turn'}; start at ${PACE.perSecond} a second`;
  return { title, head, rows };
}

function ratiosOf(there, drained, started) {
  const drains = there.flatMap(({ key, title, server }) => [
    [key, ratio(drained[BEST], drained[title], 'drainPerS')],
    [`${key}100x1`, ratio(drained[WORST], drained[title], 'drainPerS')],
    // The same server, the same disk.
    ...(server === 'postgres'
      ? [[`${key}Postgres`, ratio(drained[ON_POSTGRES], drained[title], 'drainPerS')]]
      : []),
  ]);
  const waits = there
    .filter(({ title }) => started[title] !== undefined)
    .map(({ key, title }) => [`${key}StartP99`, ratio(started[BEST], started[title], 'p99Ms')]);
  return Object.fromEntries([...drains, ...waits]);
}
