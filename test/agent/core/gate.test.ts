import { describe, expect, test } from '@jest/globals';
import { Gate, type Instant } from '../../../src/agent/core/gate.js';
import type { BootMs, MonoMs, WallMs } from '../../../src/kit/time.js';

const at = (mono: number, wall = mono, boot = mono): Instant => ({
  mono: mono as MonoMs,
  wall: wall as WallMs,
  boot: boot as BootMs,
});

describe('the gate (P2)', () => {
  test('is closed until a heartbeat is acknowledged', () => {
    const gate = new Gate();
    expect(gate.isOpen(at(0))).toBe(false);
    expect(gate.closesAt()).toBeNull();
  });

  test('counts from the sending of the acknowledged heartbeat, however late the acknowledgement comes', () => {
    const gate = new Gate();
    gate.acknowledge(at(1_000), 2_500);
    expect(gate.isOpen(at(3_499))).toBe(true);
    expect(gate.isOpen(at(3_500))).toBe(false);
    expect(gate.closesAt()).toBe(3_500);
  });

  test('an acknowledgement of an older heartbeat does not shorten it', () => {
    const gate = new Gate();
    gate.acknowledge(at(2_000), 2_500);
    gate.acknowledge(at(1_000), 2_500);
    expect(gate.closesAt()).toBe(4_500);
  });

  test('time asleep counts: the larger of the monotonic and the wall time', () => {
    const gate = new Gate();
    gate.acknowledge(at(1_000), 2_500);
    expect(gate.isOpen(at(1_100, 3_600))).toBe(false);
  });

  test('the guardian is told an end that counts time asleep between sending and acknowledgement', () => {
    const gate = new Gate();
    gate.acknowledge(at(1_000, 50_000), 2_500);
    expect(gate.endsAt(at(1_100, 52_000))).toBe(1_600);
    expect(gate.isOpen(at(1_600, 52_500))).toBe(false);
    expect(gate.endsAt(at(1_100, 50_100))).toBe(3_500);
    expect(gate.endsAt(at(1_100, 40_000))).toBe(3_500);
  });

  test('a wall clock that is set back does not keep it open', () => {
    const gate = new Gate();
    gate.acknowledge(at(1_000, 1_000_000), 2_500);
    expect(gate.isOpen(at(3_500, 0))).toBe(false);
  });

  test('a wall clock that is set back over the sleep of its machine does not keep it open', () => {
    const gate = new Gate();
    gate.acknowledge(at(1_000, 1_000_000, 7_000), 2_500);
    expect(gate.isOpen(at(1_100, 0, 9_499))).toBe(true);
    expect(gate.isOpen(at(1_100, 0, 9_500))).toBe(false);
    expect(gate.endsAt(at(1_100, 0, 9_100))).toBe(1_500);
  });

  test('is shut with its session', () => {
    const gate = new Gate();
    gate.acknowledge(at(1_000), 2_500);
    gate.shut();
    expect(gate.isOpen(at(1_000))).toBe(false);
  });
});
