import type { DagDefinition } from '../../../src/core/dag/definition.js';
import type { DagRow } from '../../../src/core/dag/rows.js';
import type { WallMs } from '../../../src/kit/time.js';
import type { DagPuts } from '../../../src/store/dags.js';
import type { Store, TaskPut } from '../../../src/store/store.js';
import { dagPuts } from '../../store/dag-rows.js';
import { puts } from '../../store/rows.js';

/** A definition to store, and what of its row differs from a DAG that has just been seen. */
export interface Stored {
  readonly definition: DagDefinition;
  readonly row?: Partial<DagRow>;
}

/** Makes DAGs durable as a complete snapshot would, before the coordinator starts. */
export function storeDags(
  store: Store,
  stored: readonly Stored[],
  more: Partial<DagPuts> = {},
  instances: readonly TaskPut[] = [],
): Promise<void> {
  const now = Date.now() as WallMs;
  return store.commit(
    puts({
      tasks: [...instances],
      dags: dagPuts({
        dags: stored.map((one) => rowOf(one, now)),
        versions: stored.map(({ definition }) => ({
          dagId: definition.dagId,
          definitionVersion: 1,
          hash: `hash of ${definition.dagId}`,
          definition: JSON.stringify(definition),
          createdAt: now,
        })),
        ...more,
      }),
    }),
  );
}

function rowOf({ definition, row }: Stored, now: WallMs): DagRow {
  const { dagId, schedule, startDate, endDate, catchup, maxActiveRuns, description, tags, tasks } =
    definition;
  const defaults = Object.entries(definition.params).map(([name, param]) => [name, param.default]);
  return {
    ...{ dagId, version: 1, bundle: 'main', file: `${dagId}.dag.yaml`, definitionVersion: 1 },
    ...{ definitionHash: `hash of ${dagId}`, schedule, startDate, endDate, catchup, maxActiveRuns },
    ...{
      description,
      tags,
      taskCount: tasks.length,
      defaultParams: JSON.stringify(Object.fromEntries(defaults)),
    },
    ...{ active: true, paused: false, importError: null, firstSeenAt: now, changedAt: now },
    ...{ nextInstant: null, lastInstant: null, pendingAssets: [] },
    ...row,
  };
}
