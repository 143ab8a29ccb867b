import { describe, expect, test } from '@jest/globals';
import type { Ack } from '../../src/core/frames.js';
import { agent, MACHINE, proofOf, ready, settleDown, successor } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { H, world } from './support.js';

describe('what is settled', () => {
  test('is told in numbered messages, the Welcome being number 1 of each stream', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit();
    a.talk();
    a.connect().talk();
    const perStream = new Map<unknown, number[]>();
    for (const frame of w.frames) {
      if (frame.kind !== 'ack') continue;
      perStream.set(frame.streamId, [...(perStream.get(frame.streamId) ?? []), frame.ack.number]);
    }
    for (const numbers of perStream.values()) expect(numbers).toEqual(numbers.map((_, i) => i + 2));
    expect(perStream.size).toBe(2);
  });

  test('says all there is in one message', () => {
    const w = world();
    const a = ready(w, 'a', { slots: 2 });
    w.submit();
    w.submit();
    w.submit();
    a.beat();
    a.end(a.running[0] ?? a.only);
    const acks = w.feed(a.beatInput()).flatMap((frame) => (frame.kind === 'ack' ? [frame.ack] : []));
    expect(acks).toHaveLength(1);
    expect(acks[0]).toMatchObject({ acknowledgements: [{ disposition: 'recorded' }] } satisfies Partial<
      Record<keyof Ack, unknown>
    >);
  });

  test('a permit to a session that the same batch ended is told to nobody', () => {
    const w = world();
    const a = ready(w, 'a', { process: MACHINE });
    const taskId = w.submit();
    const start = a.beatInput();
    const dead = a.streamId;
    const b = successor(a, 'a-instance-0002');
    const frames = w.feed(start, b.helloInput({ proof: proofOf(a) }));
    expect(frames.filter((frame) => frame.streamId === dead)).toEqual([
      { kind: 'close', streamId: dead, reason: 'session_ended' },
    ]);
    expect(w.events(taskId)).toEqual(['submitted', 'permitted', 'never_started']);
    w.pass(1_000);
    settleDown(b);
    expect(b.runs.size).toBe(1);
    checkWorld(w);
  });

  test('a stream attached and proven dead in one batch is closed, never welcomed into an ended session', () => {
    const w = world();
    const a = agent(w, 'a', { process: MACHINE });
    const first = a.helloInput();
    const dead = a.streamId;
    const b = successor(a, 'a-instance-0002');
    const frames = w.feed(first, b.helloInput({ proof: proofOf(a) }));
    expect(frames.filter((frame) => frame.streamId === dead)).toEqual([
      { kind: 'close', streamId: dead, reason: 'session_ended' },
    ]);
    expect(b.epoch).toBe(2n);
    expect([...w.state.presences.keys()]).toEqual([2n]);
    checkWorld(w);
  });

  test('what an agent is told to stop frees its slot only when it has stopped', () => {
    const w = world();
    const a = ready(w, 'a');
    const first = w.submit();
    a.talk();
    w.cancel(first);
    const second = w.submit();
    a.talk();
    w.advance(H);
    a.beat();
    expect(w.task(second).state).toBe('queued');
    a.end(a.only, 'killed').talk();
    expect(w.task(second).state).toBe('running');
    checkWorld(w);
  });
});
