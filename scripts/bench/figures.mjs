// What a list of measurements comes to.

export function median(values) {
  return percentile(values, 0.5);
}

export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** The middle of the rounds, with the least and the most of them: one figure says nothing of a machine that is shared. */
export function spread(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Rounds of { name: figure } as { name: spread }. */
export function spreads(rounds) {
  const names = Object.keys(rounds[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, spread(rounds.map((round) => round[name]))]));
}

/** The medians alone, under the names that a program reads, and beside them { range: { name: [least, most] } }. */
export function plain(of) {
  const all = Object.entries(of);
  const range = Object.fromEntries(all.map(([name, { min, max }]) => [name, [min, max]]));
  return { ...Object.fromEntries(all.map(([name, { median: middle }]) => [name, middle])), range };
}

/**
 * Every side once, then every side again, `count` times (A B A B): what else the machine does meanwhile falls on all of
 * them. `sides` is { name: async () => figures }; returns { name: [figures of each round] }.
 */
export async function inTurn(sides, count) {
  const told = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  for (let round = 0; round < count; round++)
    for (const [name, measure] of Object.entries(sides)) told[name].push(await measure());
  return told;
}

/** One side's figure over another's, round by round: the two were measured beside one another. */
export function ratio(ours, theirs, name) {
  return spread(ours.map((round, i) => round[name] / theirs[i][name]));
}
