import { describe, expect, test } from '@jest/globals';
import { Mirror } from '../../src/testing/conformance/mirror.js';
import {
  Heartbeat,
  HeartbeatAck,
  InventoryPhase,
  ReportKind,
  VerdictKind,
} from '../../src/wire/gen/holdfast/v1/agent_service.js';
import { Held } from '../wire/support/inventory.js';

/** What an agent would say that keeps its inventory by the proto's comment. */
const beat = (held: Held, more: object): Heartbeat =>
  Heartbeat.fromPartial({
    ...(more as Partial<Heartbeat>),
    inventoryCount: held.count,
    inventoryHash: held.hash,
  });

const told = (ack: object) => ({
  message: { $case: 'ack' as const, value: HeartbeatAck.fromPartial(ack as Partial<HeartbeatAck>) },
});

describe("the kit's mirror of an inventory", () => {
  test('agrees with an agent that asks, is permitted, runs, reports and is acknowledged', () => {
    const [mirror, held] = [new Mirror(), new Held()];
    held.ask('1', 't');
    mirror.heartbeat(beat(held, { startRequests: [{ nonce: 1n, taskId: 't' }] }));
    mirror.told(told({ number: 2n, permits: [{ nonce: 1n, token: 7n, taskId: 't' }] }));
    // Sent before the permit was applied: nothing of it counts yet.
    mirror.heartbeat(beat(held, { applied: 1n }));
    held.permit('1', '7', 't');
    mirror.heartbeat(beat(held, { applied: 2n }));
    held.put('7', 'INVENTORY_PHASE_FINISHED', 't');
    mirror.heartbeat(beat(held, { applied: 2n, reports: [{ token: 7n, kind: ReportKind.SUCCESS }] }));
    mirror.told(told({ number: 3n, acknowledgements: [{ token: 7n }] }));
    held.dropToken('7');
    mirror.heartbeat(beat(held, { applied: 3n }));
    expect(mirror.differences).toEqual([]);
    expect(mirror.compared).toBe(5);
  });

  test('notices an entry that is kept, and says what is held by the own words of the agent', () => {
    const [mirror, held] = [new Mirror(), new Held()];
    held.ask('1', 't');
    mirror.heartbeat(beat(held, { startRequests: [{ nonce: 1n, taskId: 't' }] }));
    mirror.told(told({ number: 2n, refusals: [{ nonce: 1n }] }));
    mirror.heartbeat(beat(held, { seq: 3n, applied: 2n }));
    expect(mirror.differences).toHaveLength(1);
    expect(mirror.differences[0]).toContain('heartbeat 3 says 1 entries');
    expect(mirror.differences[0]).toContain('it holds nothing');
  });

  test('takes the verdicts of a Welcome, and compares a full inventory once its last chunk is in', () => {
    const [mirror, held] = [new Mirror(), new Held()];
    const run = { token: 7n, nonce: 0n, taskId: 't', phase: InventoryPhase.RUNNING };
    const done = { token: 8n, nonce: 0n, taskId: 's', phase: InventoryPhase.FINISHED };
    mirror.hello({ inventory: [run, done] });
    const { STOP, RECORDED } = VerdictKind;
    mirror.ruled([
      { token: 7n, nonce: 0n, kind: STOP, reason: 0 },
      { token: 8n, nonce: 0n, kind: RECORDED, reason: 0 },
    ]);
    held.put('7', 'INVENTORY_PHASE_STOPPING', 't');
    mirror.heartbeat(beat(held, {}));
    held.put('9', 'INVENTORY_PHASE_LOST', 'u');
    const stopping = { ...run, phase: InventoryPhase.STOPPING };
    mirror.heartbeat(beat(held, { fullInventory: { entries: [stopping], moreChunks: true } }));
    expect(mirror.compared).toBe(1);
    const lost = { token: 9n, nonce: 0n, taskId: 'u', phase: InventoryPhase.LOST };
    mirror.chunk({ entries: [lost], reports: [], last: true });
    expect(mirror).toMatchObject({ compared: 2, differences: [] });
  });
});
