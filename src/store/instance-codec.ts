import type { Instance, Resumption, RunKey } from '../core/dag/rows.js';
import type { TupleReader } from './tuple.js';

/* The parts of a task's row that only instances of DAG runs have; see codec.ts for the form. */

/** What of an instance is stored with version 1 and never again. */
export type FixedInstance = Omit<Instance, 'ready'>;

export function instanceTuple(instance: Instance | null): readonly unknown[] | null {
  if (instance === null) return null;
  const { run, task, mapIndex, pool, poolSlots } = instance;
  return [run, task, mapIndex, pool, poolSlots];
}

export const readFixedInstance = (r: TupleReader): FixedInstance => ({
  run: r.text() as RunKey,
  task: r.text(),
  mapIndex: r.number(),
  pool: r.text(),
  poolSlots: r.number(),
});

/** The instance with what changes of it. */
export function readReady(r: TupleReader, fixed: FixedInstance | null): Instance | null {
  return fixed === null ? r.none() : { ...fixed, ready: r.flag() };
}

export const readResumption = (r: TupleReader): Resumption => ({ state: r.text(), event: r.text() });
