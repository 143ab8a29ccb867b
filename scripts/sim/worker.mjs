// Runs the seeds that it is sent, one after the other.
import { simulate } from '../../dist/testing/sim/index.js';

const minutes = Number(process.argv[2]);

process.on('message', (seed) => void answer(seed));

async function answer(seed) {
  let result = await simulate({ seed, minutes });
  // The story is written only for a seed that needs telling: the same seed gives the same one.
  if (result.violations.length > 0) result = await simulate({ seed, minutes, trace: true });
  const { violations, counts, coverage, hash, story, simulatedMs } = result;
  process.send({
    seed,
    violations: violations.map(({ rule, what }) => ({ rule, what })),
    counts: Object.fromEntries(counts),
    hash,
    coverage: Object.fromEntries(coverage),
    story,
    simulatedMs,
  });
}
