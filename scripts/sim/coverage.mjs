// What the seeds have reached: edges, events, refusals, dispositions, faults, by how often.
export function printCoverage(results) {
  const total = new Map();
  for (const { counts } of results) {
    for (const [name, value] of Object.entries(counts)) total.set(name, (total.get(name) ?? 0) + value);
  }
  for (const [name, value] of [...total].sort(([a], [b]) => (a < b ? -1 : 1))) {
    console.log(`${String(value).padStart(10)}  ${name}`);
  }
}
