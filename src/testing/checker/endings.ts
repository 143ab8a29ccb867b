/** What the events of a task's history end, close and release. */

/** Outcomes of a try; at most one of them each (I2). */
export const OUTCOMES: ReadonlySet<string> = new Set([
  'success',
  'skipped',
  'failed',
  'try_failed',
  'try_lost',
  'lost_reported',
]);
/** What closes a token for good (P10). */
export const CLOSES: ReadonlySet<string> = new Set([
  ...[...OUTCOMES, 'never_started', 'cancelled', 'poison'],
  ...['deferred', 'cleared', 'marked'],
]);
/** After these nothing may be started with the token. */
export const BARS: ReadonlySet<string> = new Set([...CLOSES, 'lost']);
/** What lets the next permit pass after a loss (P11). */
export const RELEASES: ReadonlySet<string> = new Set([
  ...['requeued', 'retry_queued', 'adopted', 'regained', 'never_started', 'lost_reported'],
  ...['success', 'skipped', 'failed', 'try_failed', 'cancelled', 'poison', 'deferred', 'cleared', 'marked'],
  // An operator who has ruled on the try is its release; under single_run what still runs is seen from outside (I7).
  'retried',
]);
export const ENDS: ReadonlySet<string> = new Set([
  ...['success', 'skipped', 'failed', 'upstream_failed', 'cancelled', 'marked'],
  ...['poison', 'queued_timeout', 'expired'],
]);
/** A try is lost with its agent, or its agent is back without it; the last one may be told as poison only. */
export const LOSES: ReadonlySet<string> = new Set(['lost', 'lost_reported', 'poison']);
export const SPARES: ReadonlySet<string> = new Set(['adopted', 'never_started']);
