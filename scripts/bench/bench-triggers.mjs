// A trigger of the benches' own: an async function that waits, as those of users do.
import { setTimeout as pause } from 'node:timers/promises';
import { defineTriggers, trigger } from '../../dist/agent/index.js';

export default defineTriggers([
  trigger({
    name: 'sleeps',
    run: async ({ input, signal }) => {
      const { ms } = /** @type {{ ms: number }} */ (input);
      await pause(ms, undefined, { signal });
    },
  }),
]);
