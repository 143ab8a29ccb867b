import { describe, expect, test } from '@jest/globals';
import type { Lane } from '../../src/core/lanes.js';
import { DEFAULT_POLICY } from '../../src/core/policy.js';
import { newPresence } from '../../src/core/presence.js';
import { laneKeyParts, readyLane } from '../../src/core/rows.js';
import { State } from '../../src/core/state.js';
import { refill } from '../../src/engine/refill.js';
import type { AgentId, Epoch, TaskId } from '../../src/kit/ids.js';
import type { MonoMs } from '../../src/kit/time.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import type { ReadyPosition } from '../../src/store/store.js';
import { put, puts, task } from '../store/rows.js';

const WINDOW = 8;
const NOW = 0 as MonoMs;

/** A store that notes what is read of it. */
class Noting extends MemoryStore {
  readonly read: TaskId[] = [];

  override async readReady(lane: string, after: ReadyPosition | null, limit: number) {
    const rows = await super.readReady(lane, after, limit);
    this.read.push(...rows.map(({ taskId }) => taskId));
    return rows;
  }
}

/** A coordinator that starts with this many tasks waiting in each queue, and a window of WINDOW tasks for each. */
async function waiting(counts: Readonly<Record<string, number>>) {
  const store = new Noting();
  let n = 0;
  const rows = Object.entries(counts).flatMap(([queue, count]) =>
    Array.from({ length: count }, () => task(++n, { queue })),
  );
  await store.commit(puts({ tasks: rows.map((row) => put(row, readyLane(row))) }));
  const policy = { ...DEFAULT_POLICY, limits: { ...DEFAULT_POLICY.limits, laneWindow: WINDOW } };
  const lanes = (await store.readLanes()).map(({ lane, waiting }) => ({
    ...laneKeyParts(lane),
    key: lane,
    waiting,
  }));
  const state = new State(policy, { ...(await store.load()), ...{ lanes } } as never, NOW);
  const presence = newPresence(1n as Epoch, 'a' as AgentId, NOW, NOW);
  const lane = (queue: string) => state.lanes.get(queue) as Lane;
  const offer = (queue: string) => {
    const taken = state.lanes.take(lane(queue));
    if (taken !== undefined) state.putOffer(presence, taken, { at: NOW, extra: false });
    return taken?.taskId;
  };
  const fill = async (queue: string) => {
    const found = state.lanes.get(queue);
    if (found !== undefined && state.lanes.wantsRefill(found)) await refill(store, state, [found]);
  };
  return { store, rows, state, presence, offer, fill };
}

describe('the window of a lane', () => {
  test('is lengthened by what lies behind it: each waiting task is read once', async () => {
    const { store, rows, presence, state, offer, fill } = await waiting({ a: 50 });
    const offered: (TaskId | undefined)[] = [];
    while (offered.length < rows.length) {
      await fill('a');
      // All but one, so that what is left says where to go on; each offer is taken up before the next look.
      for (let i = 0; i < WINDOW - 1 && offered.length < rows.length; i++) offered.push(offer('a'));
      for (const taskId of [...presence.offers.keys()]) state.dropOffer(presence, taskId);
    }
    expect(offered).toEqual(rows.map(({ taskId }) => taskId));
    expect(store.read).toEqual(offered);
  });

  test('loses no task when many tasks of other lanes are offered', async () => {
    const { rows, offer, fill } = await waiting({ a: WINDOW + 2, b: WINDOW });
    await fill('b');
    for (let i = 0; i < WINDOW; i++) offer('b');
    const offered: (TaskId | undefined)[] = [];
    for (let i = 0; i < WINDOW + 2; i++) {
      await fill('a');
      offered.push(offer('a'));
    }
    expect(offered).toEqual(rows.slice(0, WINDOW + 2).map(({ taskId }) => taskId));
  });
});
