import type { Lane } from '../core/lanes.js';
import type { State } from '../core/state.js';
import type { Store } from '../store/store.js';

/**
 * Lengthens the windows of lanes that run low. A window is the beginning of its lane without gaps, so only what lies
 * behind its last task is read, and each waiting task once. Returns whether there is anything new to offer.
 */
export async function refill(
  store: Pick<Store, 'readReady'>,
  state: State,
  lanes: readonly Lane[],
): Promise<boolean> {
  let filled = false;
  for (const lane of lanes) {
    const room = state.lanes.windowOf(lane) - lane.tasks.length;
    const more = room + state.offeredBehind(lane);
    const rows = await store.readReady(lane.key, lane.tasks.at(-1) ?? null, more);
    const waiting = rows.filter((row) => !state.offered.has(row.taskId));
    // Offers of other lanes count among those behind this one, so more may wait here than there is room for.
    const isAll = rows.length < more && waiting.length <= room;
    state.lanes.refill(lane, waiting.slice(0, room), isAll);
    filled ||= waiting.length > 0;
  }
  return filled;
}
