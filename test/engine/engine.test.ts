import { describe, expect, test } from '@jest/globals';
import { NO_TIMETABLE } from '../../src/core/dag/timetable.js';
import { DEFAULT_POLICY } from '../../src/core/policy.js';
import { Engine } from '../../src/engine/engine.js';
import type { AgentId, StreamId, TaskId } from '../../src/kit/ids.js';
import { seededRandom } from '../../src/kit/random.js';
import type { MonoMs } from '../../src/kit/time.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import type { Store } from '../../src/store/store.js';
import { Bench, beat, hello } from './support.js';

const H = DEFAULT_POLICY.heartbeatIntervalMs;
const L = 3 * H;

/** A disk that keeps every commit waiting once it is told to. */
class SlowDisk {
  #release: (() => void)[] = [];
  slow = false;
  /** Whether nobody else can have become the owner. */
  owned = true;
  readonly store: MemoryStore & Pick<Store, 'isOwned' | 'proveOwned'> = Object.assign(
    new MemoryStore({ pace: () => this.#pass(this.slow) }),
    { isOwned: () => this.owned, proveOwned: () => this.#pass(!this.owned) },
  );

  #pass(waits: boolean): Promise<void> {
    return waits ? new Promise((resolve) => this.#release.push(resolve)) : Promise.resolve();
  }

  letGo(): void {
    this.slow = false;
    this.owned = true;
    for (const resolve of this.#release.splice(0)) resolve();
  }
}

async function started() {
  const acknowledged: { streamId: number; received: number }[] = [];
  const bench = new Bench();
  const disk = new SlowDisk();
  const engine = await Engine.start({
    store: disk.store,
    policy: DEFAULT_POLICY,
    coordinatorId: 'c',
    clock: bench.clock,
    timers: bench,
    random: seededRandom(1),
    newTaskId: () => 'task' as TaskId,
    timetable: NO_TIMETABLE,
    listener: {
      send: (frames) => {
        for (const frame of frames)
          if (frame.kind === 'ack')
            acknowledged.push({ streamId: Number(frame.streamId), received: frame.ack.received });
      },
      changed: () => {},
      runsChanged: () => {},
      removed: () => {},
      notified: () => {},
      noted: () => {},
      broke: (error) => {
        throw error;
      },
    },
  });
  const names = ['a', 'b'].map((name, i) => ({ name: name as AgentId, streamId: (i + 1) as StreamId }));
  for (const { name, streamId } of names)
    engine.put({ kind: 'hello', streamId, at: bench.now as MonoMs, hello: hello(name) });
  await bench.idle();
  const states = () => names.map(({ name }) => engine.state.newestSession(name)?.state);
  return { bench, disk, engine, states, acknowledged };
}

describe('the engine, while a commit takes longer than a lease', () => {
  test('fails nobody whose heartbeats have arrived, however many batches they have to wait for', async () => {
    const { bench, disk, engine, states } = await started();
    disk.slow = true;
    engine.put({ kind: 'cordon', callId: 0, agentId: 'a' as AgentId });
    await bench.idle();
    expect(engine.busy).toBe(true);
    let seq = 1;
    for (let waited = 0; waited <= L + H; waited += H) {
      bench.pass(H);
      seq++;
      beat(engine, bench, 1 as StreamId, seq);
      for (let i = 0; i < 200; i++) beat(engine, bench, 2 as StreamId, seq * 1_000 + i);
    }
    disk.letGo();
    await bench.idle();
    expect(engine.busy).toBe(false);
    expect(states()).toEqual(['live', 'live']);
  });

  test('acknowledges heartbeats all the while, each once', async () => {
    const { bench, disk, engine, acknowledged } = await started();
    disk.slow = true;
    engine.put({ kind: 'cordon', callId: 0, agentId: 'a' as AgentId });
    await bench.idle();
    acknowledged.length = 0;
    for (let seq = 2; seq <= 9; seq++) {
      beat(engine, bench, 1 as StreamId, seq);
      bench.pass(H);
    }
    expect(engine.busy).toBe(true);
    expect(acknowledged).toEqual([2, 3, 4, 5, 6, 7, 8, 9].map((received) => ({ streamId: 1, received })));
    disk.letGo();
    await bench.idle();
    bench.pass(200);
    await bench.idle();
    expect(acknowledged.at(-1)).toEqual({ streamId: 1, received: 9 });
  });

  test('acknowledges one that says nothing new at once, without a batch, when none is under way', async () => {
    const { bench, engine, acknowledged } = await started();
    beat(engine, bench, 1 as StreamId, 2);
    await bench.idle();
    const { batches } = engine.counters;
    acknowledged.length = 0;
    beat(engine, bench, 1 as StreamId, 3);
    expect(acknowledged).toEqual([{ streamId: 1, received: 3 }]);
    await bench.idle();
    expect(acknowledged).toHaveLength(1);
    expect(engine.counters.batches).toBe(batches);
  });

  test('acknowledges nobody whose end is being committed (P1), though the heartbeat says nothing new', async () => {
    const { bench, disk, engine, states, acknowledged } = await started();
    beat(engine, bench, 1 as StreamId, 2);
    await bench.idle();
    disk.slow = true;
    engine.put({ kind: 'goodbye', streamId: 1 as StreamId, endsSession: true, reason: 'drained' });
    await bench.idle();
    expect(engine.busy).toBe(true);
    acknowledged.length = 0;
    beat(engine, bench, 1 as StreamId, 3);
    await bench.idle();
    expect(acknowledged).toEqual([]);
    disk.letGo();
    await bench.idle();
    expect(states()).toEqual(['ended', 'live']);
    expect(acknowledged).toEqual([]);
  });

  test('acknowledges none once the store may be the store of another coordinator (P18)', async () => {
    const { bench, disk, engine, acknowledged } = await started();
    acknowledged.length = 0;
    disk.owned = false;
    beat(engine, bench, 1 as StreamId, 2);
    await bench.idle();
    bench.pass(2 * H);
    expect(acknowledged).toEqual([]);
    disk.letGo();
    await bench.idle();
    expect(acknowledged.at(-1)).toMatchObject({ streamId: 1, received: 2 });
  });

  test('nor anybody whose Hello has arrived', async () => {
    const { bench, disk, engine, states } = await started();
    disk.slow = true;
    engine.put({ kind: 'cordon', callId: 0, agentId: 'a' as AgentId });
    await bench.idle();
    bench.pass(L - 200);
    for (const [i, name] of ['a', 'b'].entries()) {
      for (let seq = 2; seq < 200; seq++) beat(engine, bench, 2 as StreamId, seq);
      const again = { ...hello(name), streamNo: 2n };
      engine.put({ kind: 'hello', streamId: (i + 11) as StreamId, at: bench.now as MonoMs, hello: again });
    }
    bench.pass(1_000);
    disk.letGo();
    await bench.idle();
    expect(states()).toEqual(['live', 'live']);
    bench.pass(L - 1_200);
    await bench.idle();
    expect(states()).toEqual(['live', 'live']);
    bench.pass(400);
    await bench.idle();
    expect(states()).toEqual(['failed', 'failed']);
  });

  test('still fails the agent that has sent none', async () => {
    const { bench, disk, engine, states } = await started();
    disk.slow = true;
    engine.put({ kind: 'cordon', callId: 0, agentId: 'a' as AgentId });
    await bench.idle();
    bench.pass(L - 1_000);
    beat(engine, bench, 1 as StreamId, 2);
    bench.pass(1_200);
    disk.letGo();
    await bench.idle();
    bench.pass(200);
    await bench.idle();
    expect(states()).toEqual(['live', 'failed']);
  });

  test('and its own loop stands still as well, adds the stall to every lease before any is judged (P7)', async () => {
    const { bench, disk, engine, states } = await started();
    disk.slow = true;
    engine.put({ kind: 'cordon', callId: 0, agentId: 'a' as AgentId });
    await bench.idle();
    bench.pass(200);
    for (let i = 0; i < 300; i++) beat(engine, bench, 2 as StreamId, 2 + i);
    bench.now += 2 * L;
    bench.pass(200);
    disk.letGo();
    await bench.idle();
    expect(states()).toEqual(['live', 'live']);
  });
});
