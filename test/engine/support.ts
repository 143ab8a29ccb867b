import type { Hello } from '../../src/core/inputs.js';
import type { Engine } from '../../src/engine/engine.js';
import type { Timers } from '../../src/engine/timers.js';
import type { AgentId, Epoch, InstanceId, StreamId, Token } from '../../src/kit/ids.js';
import type { MonoMs, WallMs } from '../../src/kit/time.js';

/** Clocks and timers that go on only when they are told to. */
export class Bench implements Timers {
  now = 1_000;
  #pulse: () => void = () => {};
  #soon: (() => void)[] = [];

  readonly clock = { mono: () => this.now as MonoMs, wall: () => this.now as WallMs };

  soon(task: () => void): void {
    this.#soon.push(task);
  }

  every(_: number, task: () => void) {
    this.#pulse = task;
    return { cancel: () => {} };
  }

  after(_ms: number, _task: () => void) {
    return { cancel: () => {} };
  }

  /** Time passes with a pulse every 200 ms, as on a machine that is not stalled; `then` is called with each step. */
  pass(ms: number, then: () => void = () => {}): void {
    for (let left = ms; left > 0; left -= 200) {
      this.now += Math.min(left, 200);
      this.#pulse();
      for (const task of this.#soon.splice(0)) task();
      then();
    }
  }

  async idle(): Promise<void> {
    for (let i = 0; i < 200; i++) {
      for (const task of this.#soon.splice(0)) task();
      await Promise.resolve();
    }
  }
}

export function hello(name: string): Hello {
  return {
    agentId: name as AgentId,
    instanceId: `instance-${name}-0123456789` as InstanceId,
    streamNo: 1n,
    kind: 'worker',
    queues: ['default'],
    slots: 1,
    labels: {},
    handlers: [],
    bundles: [],
    triggerKinds: [],
    software: '',
    hostname: '',
    highestToken: 0n as Token,
    highestEpoch: 0n as Epoch,
    inventory: [],
    reports: [],
    process: { bootId: '', lockDevice: 0n, lockInode: 0n, pid: 1 },
    proof: null,
  };
}

export function beat(engine: Engine, bench: Bench, streamId: StreamId, seq: number): void {
  const quiet = { reports: [], inventoryChanges: [], startRequests: [], health: null, fullInventory: null };
  engine.put({
    kind: 'heartbeat',
    streamId,
    at: bench.now as MonoMs,
    beat: { ...quiet, seq, applied: 1, inventoryCount: 0, inventoryHash: 0, freeSlots: 1 },
  });
}
