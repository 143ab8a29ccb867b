import { describe, expect, test } from '@jest/globals';
import type { BeatInput } from '../../src/core/heartbeat.js';
import type { Heartbeat } from '../../src/core/inputs.js';
import { ackQuiet } from '../../src/core/quiet-beat.js';
import type { Nonce, TaskId, Token } from '../../src/kit/ids.js';
import { type Agent, ready, report } from './agent-model.js';
import { L, world } from './support.js';

function idle() {
  const w = world();
  const a = ready(w, 'a');
  const presence = w.state.presences.get(a.epoch);
  if (presence === undefined) throw new Error('it has no session');
  return { w, a, presence };
}

const beatOf = (a: Agent, change: Partial<Heartbeat> = {}) => a.beatInput(change) as BeatInput;

describe('a heartbeat without news', () => {
  test('is acknowledged without a batch, with the next number of the stream and nothing else', () => {
    const { w, a, presence } = idle();
    const { sent, received } = presence;
    expect(ackQuiet(w.state, beatOf(a))).toMatchObject({
      ...{ kind: 'ack', streamId: a.streamId },
      ack: { number: sent + 1, received: received + 1, permits: [], offers: [], acknowledgements: [] },
    });
    expect(presence).toMatchObject({ sent: sent + 1, received: received + 1 });
    expect(ackQuiet(w.state, beatOf(a))).toMatchObject({ ack: { number: sent + 2, received: received + 2 } });
  });

  test('is not, once its session is over (P1)', () => {
    const { w, a } = idle();
    const late = beatOf(a);
    w.advance(L);
    w.tick();
    expect(ackQuiet(w.state, late)).toBeNull();
  });

  test('is not, while one before it waits to be decided', () => {
    const { w, a, presence } = idle();
    beatOf(a);
    const { received } = presence;
    expect(ackQuiet(w.state, beatOf(a))).toBeNull();
    expect(presence.received).toBe(received);
  });

  test.each<[string, Partial<Heartbeat>]>([
    ['a report', { reports: [report(7n as Token, 'success')] }],
    ['a start request', { startRequests: [{ nonce: 1n as Nonce, taskId: 't' as TaskId }] }],
    ['a full inventory', { fullInventory: [] }],
    [
      'a change of the inventory',
      { inventoryChanges: [{ phase: 'void', token: 7n as Token, taskId: 't' as TaskId }] },
    ],
    ['another count than the one that is known', { inventoryCount: 3 }],
    ['another hash', { inventoryHash: 3 }],
    ['fewer free slots', { freeSlots: 0 }],
  ])('%s needs a batch, and leaves everything as it was', (_, news) => {
    const { w, a, presence } = idle();
    const before = { sent: presence.sent, received: presence.received, capacity: presence.capacity };
    expect(ackQuiet(w.state, beatOf(a, news))).toBeNull();
    expect(presence).toMatchObject(before);
  });

  test('needs a batch while a permit has been told that no inventory has shown (P13)', () => {
    const { w, a, presence } = idle();
    presence.unshown.set(7n as Token, { toldAt: w.now, number: presence.sent, voidedAt: null });
    expect(ackQuiet(w.state, beatOf(a))).toBeNull();
  });
});
