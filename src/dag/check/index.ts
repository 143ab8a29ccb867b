import { type DagDefinition, DEFINITION_LIMITS } from '../../core/dag/definition.js';
import { type DagFault, faultAt } from '../fault.js';
import { define, type FileTask, tasksOf } from '../format/define.js';
import { faultsOf } from '../format/faults.js';
import { type DagFile, dagFile } from '../format/schema.js';
import { Hints } from '../hints.js';
import { faultsOfParams } from './params.js';
import { checkTasks } from './tasks.js';
import { faultsOfTemplates } from './templates.js';
import { faultsOfTimes } from './times.js';
import { faultsOfWaits } from './waits.js';

export type CheckedDag =
  | { readonly ok: true; readonly definition: DagDefinition }
  /** In the order in which they were found; at least one. */
  | { readonly ok: false; readonly faults: readonly DagFault[] };

/**
 * A DAG as files have it, parsed already, to its definition; or everything that is wrong with it. It reads nothing but
 * the value, so that whoever receives DAGs from others can check them by the same rules.
 */
export function checkDag(value: unknown): CheckedDag {
  const hints = new Hints();
  const parsed = dagFile.safeParse(value);
  if (!parsed.success) return { ok: false, faults: faultsOf(parsed.error.issues, value, hints) };
  const file = parsed.data;
  const tasks = checkTasks(tasksOf(file), hints);
  const faults = [
    ...faultsOfTimes(file),
    ...faultsOfParams(file),
    ...tasks.faults,
    ...faultsOfWaits(tasksOf(file), hints),
    ...(tasks.order === null ? [] : faultsOfTemplates(file, tasks.order, hints)),
  ];
  if (faults.length > 0 || tasks.order === null) return { ok: false, faults };
  return withinLimits(file, tasks.order);
}

function withinLimits(file: DagFile, order: readonly FileTask[]): CheckedDag {
  const definition = define(file, order);
  const size = Buffer.byteLength(JSON.stringify(definition));
  if (size <= DEFINITION_LIMITS.bytes) return { ok: true, definition };
  const message =
    `the DAG takes ${size} bytes as JSON, and at most ${DEFINITION_LIMITS.bytes} are kept: ` +
    'put long texts into files of their own, and what repeats into default_args or a mapped task';
  return { ok: false, faults: [faultAt(['dag_id'], message)] };
}
