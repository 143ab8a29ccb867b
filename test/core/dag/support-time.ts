import type { DagDefinition } from '../../../src/core/dag/definition.js';
import { nextOfInterval, previousOfInterval, type Timetable } from '../../../src/core/dag/timetable.js';
import { dag, task } from './support.js';

export const MINUTE = 60_000;

/** Of intervals only: cron expressions are another room's. */
export const INTERVALS: Timetable = {
  next: (s, after, start) => (s.kind === 'interval' ? nextOfInterval(s.everyMs, after, start) : null),
  previous: (s, before, start) =>
    s.kind === 'interval' ? previousOfInterval(s.everyMs, before, start) : null,
};

/** A DAG of one task that is due every minute. */
export function everyMinute(change: Partial<DagDefinition> = {}): DagDefinition {
  return dag('d', [task('a')], { schedule: { kind: 'interval', everyMs: MINUTE }, ...change });
}
