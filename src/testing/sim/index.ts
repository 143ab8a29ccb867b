/** The simulator: the real cores in a world of seeded faults. */
export type { Violation } from '../checker/index.js';
export { COVERAGE_ROWS } from './coverage.js';
export { type SimOptions, type SimResult, simulate } from './world.js';
