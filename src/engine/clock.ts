import { performance } from 'node:perf_hooks';
import type { Random } from '../kit/random.js';
import type { MonoMs, WallMs } from '../kit/time.js';

/** The clocks of one process. */
export interface Clock {
  /** Monotonic, stops while the machine is suspended. */
  mono(): MonoMs;
  /** For people only. */
  wall(): WallMs;
}

/** The machine's clocks: the one place where the coordinator reads them. */
export const REAL_CLOCK: Clock = {
  mono: () => performance.now() as MonoMs,
  wall: () => Date.now() as WallMs,
};

/** Chance for jitter; secrets and ids have sources of their own. */
export const REAL_RANDOM: Random = Math.random;
