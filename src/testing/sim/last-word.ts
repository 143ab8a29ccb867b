import type { Report } from '../../agent/core/messages.js';
import { DEFERS } from '../checker/index.js';

/** What a run says last, as the exit code of a command that says the same; null for no word of its own. */
const CODES: Readonly<Record<Report['kind'], number | null>> = {
  ...{ success: 0, skipped: 0, deferred: DEFERS, failed: 1 },
  ...{ killed: null, lost: null, never_started: null },
};

/** Null when it died with its agent, too. */
export function lastWord(end: Report['kind'] | null): number | null {
  return end === null ? null : CODES[end];
}
