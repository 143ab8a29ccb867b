import { describe, expect, test } from '@jest/globals';
import { NO_TIMETABLE } from '../../src/core/dag/timetable.js';
import type { Frame } from '../../src/core/frames.js';
import { DEFAULT_POLICY } from '../../src/core/policy.js';
import { Engine } from '../../src/engine/engine.js';
import type { AgentId, StreamId, TaskId } from '../../src/kit/ids.js';
import { seededRandom } from '../../src/kit/random.js';
import type { MonoMs } from '../../src/kit/time.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { world } from '../core/support.js';
import { Bench, beat, hello } from './support.js';

const TASKS = 4_000;
const A_CALL = 50;

/** A coordinator whose commits take `syncMs` each, with one agent; its beats arrive `heartbeatMs` apart, commit or not. */
async function onDisk(syncMs: number, heartbeatMs: number) {
  const bench = new Bench();
  const acknowledged: { readonly seq: number; readonly after: number }[] = [];
  const arrived = new Map<number, number>();
  const rows: number[] = [];
  let seq = 1;
  let nextBeat = Number.POSITIVE_INFINITY;
  const store = new MemoryStore({
    onCommit: (puts) => rows.push(puts.tasks.length),
    pace: async (step) => {
      if (step === 'write') bench.pass(syncMs, arrive);
    },
  });
  const engine = await Engine.start({
    store,
    policy: DEFAULT_POLICY,
    coordinatorId: 'c',
    clock: bench.clock,
    timers: bench,
    random: seededRandom(1),
    newTaskId: () => 'task' as TaskId,
    timetable: NO_TIMETABLE,
    listener: {
      send: (frames: readonly Frame[]) => {
        for (const frame of frames) {
          if (frame.kind !== 'ack') continue;
          const { received } = frame.ack;
          acknowledged.push({ seq: received, after: bench.now - (arrived.get(received) ?? bench.now) });
        }
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
  function arrive(): void {
    while (bench.now >= nextBeat) {
      nextBeat += heartbeatMs;
      arrived.set(++seq, bench.now);
      beat(engine, bench, 1 as StreamId, seq);
    }
  }
  engine.put({ kind: 'hello', streamId: 1 as StreamId, at: bench.now as MonoMs, hello: hello('a') });
  await bench.idle();
  rows.length = 0;
  nextBeat = bench.now + heartbeatMs;
  const w = world();
  for (let i = 0; i < TASKS / A_CALL; i++) {
    const tasks = Array.from({ length: A_CALL }, () => w.newTask());
    void engine.call((callId) => ({ kind: 'submit', callId, tasks }));
  }
  await bench.idle();
  const state = engine.state.newestSession('a' as AgentId)?.state;
  return { rows, sum: rows.reduce((a, b) => a + b, 0), acknowledged, beats: arrived.size, state };
}

describe('on a slow disk', () => {
  test('what waits is taken along in fewer and larger commits', async () => {
    const [fast, slow, slower] = [await onDisk(1, 5_000), await onDisk(50, 5_000), await onDisk(200, 5_000)];
    for (const { sum } of [fast, slow, slower]) expect(sum).toBe(TASKS);
    expect(Math.max(...fast.rows)).toBeLessThanOrEqual(256);
    expect(slow.rows.length).toBeLessThan(0.6 * fast.rows.length);
    expect(slower.rows.length).toBeLessThan(0.2 * fast.rows.length);
    expect(Math.max(...slower.rows)).toBeLessThanOrEqual(2_048);
  });

  test('every heartbeat is acknowledged within two commits, and no lease is lost', async () => {
    for (const syncMs of [20, 200]) {
      const { acknowledged, beats, state } = await onDisk(syncMs, 100);
      expect(state).toBe('live');
      expect(beats).toBeGreaterThan(2);
      expect(acknowledged.at(-1)?.seq).toBeGreaterThanOrEqual(beats);
      for (const { after } of acknowledged) expect(after).toBeLessThanOrEqual(2 * syncMs);
    }
  });
});
