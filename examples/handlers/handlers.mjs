import { setTimeout as wait } from 'node:timers/promises';
import { defineHandlers, handler } from 'holdfast/agent';
import { z } from 'zod';

export default defineHandlers({
  /** Checked both ways: a task with another input fails at once, with the reason. */
  thumbnail: handler({
    input: z.object({ width: z.number().int().positive(), height: z.number().int().positive() }),
    output: z.object({ width: z.number(), height: z.number() }),
    run: async ({ width, height }, { token, log, progress }) => {
      // Hand the token to whatever you write to, so that a late write of an older try can be refused.
      log.info('scaling', { width, height, token });
      progress(0.5, 'half of it');
      const scale = 128 / Math.max(width, height);
      return { width: Math.round(width * scale), height: Math.round(height * scale) };
    },
  }),

  /** Stops when it is told to: by a cancel, a timeout, a drain. */
  countdown: handler({
    input: z.object({ from: z.number().int().max(60) }),
    run: async ({ from }, { signal, progress }) => {
      for (let left = from; left > 0; left--) {
        progress((from - left) / from, `${left} to go`);
        await wait(100, undefined, { signal });
      }
      return 'lift-off';
    },
  }),
});
