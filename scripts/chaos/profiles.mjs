// Which rounds a profile has. The seed shuffles them and decides their details.

const repeat = (count, round) => Array.from({ length: count }, () => round);

/** Rounds of each kind; `counts` says how many faults one of them is. */
const PROFILES = {
  pr: {
    kills: { now: 4, later: 3, fresh: 3 },
    coordinatorKills: 18,
    bothKills: 2,
    agentStops: [0.5, 0.5, 1.2, 2, 2, 3, 4],
    coordinatorStops: [0.5, 1.5, 3],
    partitions: { both: 3, up: 2, down: 2, link: 1, loss: 1, flap: 1 },
    disks: 1,
    longestL: 3,
  },
  nightly: {
    kills: { now: 36, later: 30, fresh: 32 },
    coordinatorKills: 94,
    bothKills: 6,
    agentStops: [
      ...repeat(12, 0.5),
      ...repeat(4, 1),
      ...repeat(4, 1.2),
      ...repeat(10, 2),
      ...repeat(5, 3.5),
      6,
      10,
    ],
    coordinatorStops: [...repeat(5, 0.5), ...repeat(4, 1.5), ...repeat(3, 3), 10],
    partitions: { both: 14, up: 9, down: 9, link: 6, loss: 6, flap: 6 },
    disks: 3,
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
  return random.shuffled([
    ...kills,
    ...repeat(profile.coordinatorKills, { kind: 'kill coordinator' }),
    ...repeat(profile.bothKills, { kind: 'kill both' }),
    ...profile.agentStops.map((leases) => ({ kind: 'stop agent', leases })),
    ...profile.coordinatorStops.map((leases) => ({ kind: 'stop coordinator', leases })),
    ...partitions.map((round) => ({ ...round, longestL: profile.longestL })),
    ...repeat(profile.disks, { kind: 'fill disk' }),
  ]);
}
