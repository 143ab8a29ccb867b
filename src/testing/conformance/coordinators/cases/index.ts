import type { CoordinatorCase } from '../case.js';
import { INVENTORY } from './inventory.js';
import { REPORT } from './report.js';
import { SESSION } from './session.js';
import { START } from './start.js';
import { STREAM } from './stream.js';

/** Every case, in the order in which they are told. */
export const COORDINATOR_CASES: readonly CoordinatorCase[] = [
  ...SESSION,
  ...START,
  ...REPORT,
  ...INVENTORY,
  ...STREAM,
];
