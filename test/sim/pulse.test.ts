import { describe, expect, test } from '@jest/globals';
import type { AgentEvent } from '../../src/agent/core/events.js';
import type { Instant } from '../../src/agent/core/gate.js';
import type { Up } from '../../src/agent/core/messages.js';
import type { BootMs, MonoMs, WallMs } from '../../src/kit/time.js';
import { Pulse } from '../../src/testing/sim/pulse.js';

const LEASE_MS = 15_000;

const at = (mono: number, wall = mono, boot = mono): Instant => ({
  mono: mono as MonoMs,
  wall: wall as WallMs,
  boot: boot as BootMs,
});
const hello = { kind: 'hello', hello: {} } as Up;
const beat = (seq: number) => ({ kind: 'heartbeat', beat: { seq } }) as Up;
const welcome = (streamNo = 1n) =>
  ({ kind: 'welcome', streamNo, welcome: { leaseMs: LEASE_MS, gateMs: 99_000 } }) as AgentEvent;
const ack = (received: number, streamNo = 1n) => ({ kind: 'ack', streamNo, ack: { received } }) as AgentEvent;

function greeted(): Pulse {
  const pulse = new Pulse();
  pulse.sent(1n, hello, at(0));
  pulse.heard(welcome());
  return pulse;
}

describe('what the simulator knows of a gate from outside (K8)', () => {
  test('it is shut before anything was acknowledged', () => {
    const pulse = new Pulse();
    pulse.sent(1n, hello, at(0));
    expect(pulse.gate(at(1)).sinceMs).toBe(Number.POSITIVE_INFINITY);
  });

  test('counts from the sending of the newest acknowledged heartbeat, and its limit is La whatever a Welcome says', () => {
    const pulse = greeted();
    expect(pulse.gate(at(4_000))).toEqual({ sinceMs: 4_000, limitMs: (5 / 6) * LEASE_MS });
    pulse.sent(1n, beat(2), at(5_000));
    pulse.sent(1n, beat(3), at(6_000));
    expect(pulse.gate(at(7_000)).sinceMs).toBe(7_000);
    pulse.heard(ack(3));
    expect(pulse.gate(at(7_000)).sinceMs).toBe(1_000);
    pulse.heard(ack(2));
    expect(pulse.gate(at(7_000)).sinceMs).toBe(1_000);
  });

  test('counts by whichever clock has gone furthest', () => {
    const pulse = greeted();
    expect(pulse.gate(at(1_000, 9_000, 2_000)).sinceMs).toBe(9_000);
    expect(pulse.gate(at(1_000, -9_000, 2_000)).sinceMs).toBe(2_000);
  });

  test('an older stream acknowledges nothing', () => {
    const pulse = greeted();
    pulse.sent(1n, beat(2), at(3_000));
    pulse.sent(2n, hello, at(4_000));
    pulse.heard(ack(2));
    expect(pulse.gate(at(5_000)).sinceMs).toBe(5_000);
    pulse.heard(welcome(2n));
    expect(pulse.gate(at(5_000)).sinceMs).toBe(1_000);
  });
});
