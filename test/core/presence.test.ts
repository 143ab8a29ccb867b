import { describe, expect, test } from '@jest/globals';
import type { Heartbeat } from '../../src/core/inputs.js';
import { mayHoldNothing, newPresence, observeBeat, type Presence } from '../../src/core/presence.js';
import type { AgentId, Epoch, Nonce, TaskId, Token } from '../../src/kit/ids.js';
import { type Entry, Inventory } from '../../src/kit/inventory.js';
import type { MonoMs } from '../../src/kit/time.js';
import { report } from './agent-model.js';

/** Whether the inventories differ once a heartbeat is taken in. */
const differs = (p: Presence, said: Heartbeat) => {
  observeBeat(p, said, NOW);
  return p.unresolved;
};

const NOW = 0 as MonoMs;
const token = (n: number) => BigInt(n) as Token;
const nonce = (n: number) => BigInt(n) as Nonce;
const taskId = 't' as TaskId;
const running = (n: number): Entry => ({ phase: 'running', token: token(n), taskId });
const asked = (n: number): Entry => ({ phase: 'asked', nonce: nonce(n), taskId });

function presence(...entries: Entry[]): Presence {
  const made = newPresence(1n as Epoch, 'a' as AgentId, NOW, NOW);
  made.inventory.replace(entries);
  made.sent = 10;
  return made;
}

/** A heartbeat whose count and hash are those of an agent that holds `holds`. */
function beat(holds: readonly Entry[], change: Partial<Heartbeat> = {}): Heartbeat {
  const inventory = new Inventory();
  inventory.replace(holds);
  return {
    seq: 2,
    applied: 1,
    reports: [],
    inventoryChanges: [],
    inventoryCount: inventory.count,
    inventoryHash: inventory.hash,
    startRequests: [],
    freeSlots: 0,
    health: null,
    fullInventory: null,
    ...change,
  };
}

describe('what a heartbeat says of an agent', () => {
  test('is taken in the order of its parts, after what it has applied', () => {
    const p = presence(asked(5), running(1));
    p.effects = [
      { number: 2, kind: 'permit', nonce: nonce(5), token: token(2), taskId },
      { number: 3, kind: 'acknowledgement', token: token(1) },
    ];
    const holds: Entry[] = [{ phase: 'finished', token: token(2), taskId }, asked(6)];
    const said = beat(holds, {
      applied: 3,
      reports: [report(token(2), 'success')],
      startRequests: [{ nonce: nonce(6), taskId }],
    });
    expect(differs(p, said)).toBe(false);
    expect(p.effects).toEqual([]);
    expect(p.capacity).toBe(1);
  });

  test('leaves alone the effects of messages that it has not applied', () => {
    const p = presence(asked(5));
    p.effects = [{ number: 3, kind: 'refusal', nonce: nonce(5) }];
    expect(differs(p, beat([asked(5)], { applied: 2 }))).toBe(false);
    expect(p.effects).toHaveLength(1);
    expect(differs(p, beat([], { applied: 3 }))).toBe(false);
  });

  test('never counts as applied what was not sent', () => {
    const p = presence();
    observeBeat(p, beat([], { applied: 99 }), NOW);
    expect(p.applied).toBe(10);
  });

  test('differs by count or by hash until a full inventory agrees', () => {
    const p = presence(running(1));
    expect(differs(p, beat([running(2)]))).toBe(true);
    expect(p.unresolved).toBe(true);
    expect(differs(p, beat([running(2)], { fullInventory: [running(2)] }))).toBe(false);
    expect(p.unresolved).toBe(false);
    expect(p.inventory.entries()).toEqual([running(2)]);
  });

  test('makes runs stop by its changes, and reports of each kind their phase', () => {
    const p = presence(running(1), running(2), running(3), running(4));
    const holds: Entry[] = [
      { phase: 'stopping', token: token(1), taskId },
      { phase: 'finished', token: token(2), taskId },
      { phase: 'void', token: token(3), taskId },
      { phase: 'lost', token: token(4), taskId },
    ];
    const said = beat(holds, {
      inventoryChanges: holds.slice(0, 1),
      reports: [report(token(2), 'killed'), report(token(3), 'never_started'), report(token(4), 'lost')],
    });
    expect(differs(p, said)).toBe(false);
  });
});

describe('what an agent may be offered', () => {
  test('is not looked at again for a heartbeat that says nothing new', () => {
    const p = presence(running(1));
    expect(observeBeat(p, beat([running(1)], { freeSlots: 3 }), NOW)).toBe(true);
    expect(observeBeat(p, beat([running(1)], { seq: 3, freeSlots: 3 }), NOW)).toBe(false);
  });

  test.each<[string, (p: Presence) => Heartbeat]>([
    ['free slots', () => beat([running(1)], { freeSlots: 2 })],
    ['another inventory', () => beat([running(2)])],
    ['a report', () => beat([], { reports: [report(token(1), 'success')] })],
    ['a change', () => beat([], { inventoryChanges: [running(3)] })],
    ['a start request', () => beat([], { startRequests: [{ nonce: nonce(4), taskId }] })],
    ['a full inventory', () => beat([running(1)], { fullInventory: [running(1)] })],
    [
      'the first one after a message that takes effect',
      (p) => {
        p.effects = [{ number: 2, kind: 'acknowledgement', token: token(1) }];
        return beat([], { applied: 2 });
      },
    ],
  ])('is looked at again for %s', (_, said) => {
    const p = presence(running(1));
    observeBeat(p, beat([running(1)]), NOW);
    expect(observeBeat(p, said(p), NOW)).toBe(true);
  });
});

describe('a Goodbye', () => {
  test('is believed when nothing is held, or nothing once a message on its way is applied', () => {
    expect(mayHoldNothing(presence())).toBe(true);
    const p = presence({ phase: 'finished', token: token(1), taskId }, asked(2));
    expect(mayHoldNothing(p)).toBe(false);
    p.effects = [
      { number: 2, kind: 'acknowledgement', token: token(1) },
      { number: 3, kind: 'refusal', nonce: nonce(2) },
      { number: 4, kind: 'permit', nonce: nonce(9), token: token(9), taskId },
    ];
    expect(mayHoldNothing(p)).toBe(true);
    expect(p.inventory.count).toBe(2);
  });

  test('is not believed of an agent whose run nothing has ended', () => {
    const p = presence(running(1));
    p.effects = [{ number: 2, kind: 'acknowledgement', token: token(7) }];
    expect(mayHoldNothing(p)).toBe(false);
  });
});
