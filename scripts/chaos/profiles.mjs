// Which rounds a profile has. The seed shuffles them and decides their details.

const repeat = (count, round) => Array.from({ length: count }, () => round);

/**
 * Rounds of each kind. A round of kills or of both is two or one agents; one of several is two kills, a stop, a cut, and in
 * every other one the coordinator.
 */
const PROFILES = {
  pr: {
    kills: { now: 3, later: 3, fresh: 2 },
    coordinatorKills: 17,
    bothKills: 2,
    agentStops: [0.5, 0.5, 1.2, 2, 2, 4],
    coordinatorStops: [0.5, 1.5, 3],
    partitions: { both: 3, up: 2, down: 2, link: 1, loss: 1, flap: 1 },
    delays: { little: 1, much: 1 },
    several: 2,
    disks: 1,
    longestL: 3,
  },
  nightly: {
    kills: { now: 27, later: 25, fresh: 25 },
    coordinatorKills: 84,
    bothKills: 6,
    agentStops: [...repeat(6, 0.5), 1, 1.2, ...repeat(4, 2), 3.5, 3.5, 6, 6, 10],
    coordinatorStops: [...repeat(5, 0.5), ...repeat(4, 1.5), ...repeat(3, 3), 10],
    partitions: { both: 8, up: 5, down: 5, link: 4, loss: 4, flap: 4 },
    delays: { little: 4, much: 6 },
    several: 20,
    disks: 4,
    longestL: 6,
  },
};

export const profileNames = Object.keys(PROFILES);

/** The rounds of a profile in their seeded order: { kind, ... }. */
export function planOf(name, random) {
  const profile = PROFILES[name];
  const kills = Object.entries(profile.kills).flatMap(([how, count]) =>
    repeat(count, { kind: 'kill agents', how }),
  );
  const partitions = Object.entries(profile.partitions).flatMap(([cut, count]) =>
    repeat(count, { kind: 'cut', cut }),
  );
  const delays = Object.entries(profile.delays).flatMap(([how, count]) =>
    repeat(count, { kind: 'delay', how, severe: how === 'much' }),
  );
  return random.shuffled([
    ...kills,
    ...repeat(profile.coordinatorKills, { kind: 'kill coordinator' }),
    ...repeat(profile.bothKills, { kind: 'kill both' }),
    ...profile.agentStops.map((leases) => ({ kind: 'stop agent', leases })),
    ...profile.coordinatorStops.map((leases) => ({ kind: 'stop coordinator', leases })),
    ...[...partitions, ...delays].map((round) => ({ ...round, longestL: profile.longestL })),
    ...Array.from({ length: profile.several }, (_, index) => several(index, random, profile)),
    ...repeat(profile.disks, { kind: 'fill disk' }),
  ]);
}

function several(index, random, { longestL }) {
  return {
    kind: 'several',
    how: random.pick(['now', 'later', 'fresh']),
    leases: random.pick([0.5, 1.2, 2, 3.5]),
    cut: random.pick(['both', 'up', 'down', 'link', 'loss', 'flap']),
    longestL,
    coordinator: index % 2 === 1,
  };
}
