// What a second core could bring: two coordinators, each with a store, an agent and tasks of its own, beside one another.
// Queues spread over several engines cannot do better than these two, which share nothing at all.
import { inTurn, spreads } from './figures.mjs';
import { drainRound, withSites } from './lifecycle.mjs';
import { warmUpOf } from './speed.mjs';

export async function pair({ quick, n = quick ? 4_000 : 20_000, rounds = quick ? 1 : 5 }) {
  const shape = { agents: 1, slots: 100, warmUp: warmUpOf(quick) };
  const told = await withSites({ one: shape, other: shape }, ({ one, other }) =>
    inTurn(
      {
        alone: () => drainRound(one, n),
        together: async () => {
          const both = await Promise.all([drainRound(one, n), drainRound(other, n)]);
          return { drainPerS: both.reduce((sum, { drainPerS }) => sum + drainPerS, 0) };
        },
      },
      rounds,
    ),
  );
  const [alone, together] = [spreads(told.alone), spreads(told.together)];
  return {
    aloneDrainPerS: alone.drainPerS.median,
    togetherDrainPerS: together.drainPerS.median,
    ratio: together.drainPerS.median / alone.drainPerS.median,
  };
}
