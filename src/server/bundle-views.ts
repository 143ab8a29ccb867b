import type { BundleRow } from '../core/dag/rows.js';
import type { Context } from '../core/inputs.js';
import type { State } from '../core/state.js';
import { between } from '../kit/time.js';
import type { Bundle } from '../wire/gen/holdfast/v1/dag_service.js';
import { durationOf } from '../wire/time.js';
import { dateOf } from './views.js';

/** What time it is. */
export type Moment = Pick<Context, 'now' | 'wall'>;

/** Milliseconds since anybody was connected that reads the bundle; null while its holder is. It decides nothing. */
export function unheardOf(state: State, bundle: string, { now, wall }: Moment): number | null {
  const row = state.dags.bundles.get(bundle);
  if (row === undefined) return null;
  const session = state.sessions.get(row.epoch);
  const presence = state.presences.get(row.epoch);
  if (session?.state === 'live' && presence !== undefined) {
    return presence.streamId === null ? Math.max(0, between(presence.lastHeard, now)) : null;
  }
  const since = session?.endedAt ?? row.receivedAt;
  return since === null ? 0 : Math.max(0, wall - since);
}

export function bundleOf(state: State, row: BundleRow, moment: Moment): Bundle {
  let dagCount = 0;
  for (const dag of state.dags.dags.values()) if (dag.active && dag.bundle === row.bundle) dagCount++;
  const unheardMs = unheardOf(state, row.bundle, moment);
  return {
    bundle: row.bundle,
    agentId: row.agentId,
    receivedAt: row.receivedAt === null ? undefined : dateOf(row.receivedAt),
    unheardFor: unheardMs === null ? undefined : durationOf(unheardMs),
    dagCount,
    importErrors: row.importErrors.map(({ file, message, since }) => ({
      file,
      message,
      since: dateOf(since),
    })),
  };
}
