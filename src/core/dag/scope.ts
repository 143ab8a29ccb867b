import type { WallMs } from '../../kit/time.js';
import type { Json } from './definition.js';
import type { Scope } from './fill.js';

/** What templates of a task instance are filled in from. */
export interface ScopeFacts {
  readonly dagId: string;
  readonly runId: string;
  readonly taskId: string;
  /** -1 unless the task is mapped. */
  readonly mapIndex: number;
  /** Null for runs by assets, and by hand without one: its names are then unknown, which `default` can catch. */
  readonly logicalDate: WallMs | null;
  readonly intervalStart: WallMs | null;
  readonly intervalEnd: WallMs | null;
  readonly params: Readonly<Record<string, Json>>;
  /** By task: what it gave, and of a mapped one the list of what its instances gave, by map index. */
  readonly results: Readonly<Record<string, Json>>;
  /** Of a mapped task's instance. */
  readonly item?: Json | undefined;
  /** What the task has waited for. */
  readonly event?: Json | undefined;
  /** Assets whose events made the run. */
  readonly triggeringAssets: readonly string[];
}

/** Where a first name may be used, besides everywhere. */
type Where = 'everywhere' | 'mapped' | 'after the wait';

/** The first names of paths, and whether what they stand for is of our own making: safe within a shell's text. */
export const ROOTS: Readonly<Record<string, { readonly where: Where; readonly isPlain: boolean }>> = {
  params: { where: 'everywhere', isPlain: false },
  results: { where: 'everywhere', isPlain: false },
  item: { where: 'mapped', isPlain: false },
  map_index: { where: 'mapped', isPlain: true },
  event: { where: 'after the wait', isPlain: false },
  triggering_assets: { where: 'everywhere', isPlain: false },
  dag_id: { where: 'everywhere', isPlain: true },
  run_id: { where: 'everywhere', isPlain: false },
  task_id: { where: 'everywhere', isPlain: true },
  logical_date: { where: 'everywhere', isPlain: true },
  data_interval_start: { where: 'everywhere', isPlain: true },
  data_interval_end: { where: 'everywhere', isPlain: true },
  ds: { where: 'everywhere', isPlain: true },
  ds_nodash: { where: 'everywhere', isPlain: true },
  ts: { where: 'everywhere', isPlain: true },
  ts_nodash: { where: 'everywhere', isPlain: true },
};

/** Dates are those of UTC, as in Airflow. */
export function scopeOf(facts: ScopeFacts): Scope {
  return {
    params: facts.params,
    results: facts.results,
    triggering_assets: facts.triggeringAssets,
    dag_id: facts.dagId,
    run_id: facts.runId,
    task_id: facts.taskId,
    ...(facts.mapIndex < 0 ? {} : { map_index: facts.mapIndex }),
    ...(facts.item === undefined ? {} : { item: facts.item }),
    ...(facts.event === undefined ? {} : { event: facts.event }),
    ...(facts.logicalDate === null ? {} : datesOf(facts.logicalDate)),
    ...(facts.intervalStart === null ? {} : { data_interval_start: secondsOf(facts.intervalStart) }),
    ...(facts.intervalEnd === null ? {} : { data_interval_end: secondsOf(facts.intervalEnd) }),
  };
}

function datesOf(instant: WallMs): Scope {
  const ts = secondsOf(instant);
  const ds = ts.slice(0, 10);
  return {
    logical_date: ts,
    ts,
    ts_nodash: ts.replace(/[-:]|(?:\.\d+)?Z$/g, ''),
    ds,
    ds_nodash: ds.replaceAll('-', ''),
  };
}

/** `2026-03-29T01:00:00Z`; with milliseconds only when there are any. */
const secondsOf = (instant: WallMs): string => new Date(instant).toISOString().replace('.000Z', 'Z');
