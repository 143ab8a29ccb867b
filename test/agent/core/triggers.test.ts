import { describe, expect, test } from '@jest/globals';
import type { Effect } from '../../../src/agent/core/events.js';
import type { TriggerStart } from '../../../src/agent/core/messages.js';
import type { Epoch } from '../../../src/kit/ids.js';
import { GATE, H, Scene, task, token } from './scene.js';

function triggerer(): Scene {
  const scene = new Scene({
    identity: { kind: 'triggerer', queues: [], slots: 10, triggerKinds: ['delta'] },
  });
  scene.connect();
  return scene;
}

function startOf(triggerId: string, change: Partial<TriggerStart> = {}): TriggerStart {
  const of = { kind: 'delta', input: '{"for":"1m"}', taskId: task('t1'), waitedMs: 0 };
  return { triggerId, token: token(100), epoch: 7n as Epoch, ...of, ...change };
}

const startsIn = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => (effect.kind === 'start_trigger' ? [effect.trigger.triggerId] : []));
const stopsIn = (effects: readonly Effect[]) =>
  effects.filter(({ kind }) => kind === 'stop_trigger' || kind === 'stop_triggers');
const fired = (triggerId: string, of = token(100)) => ({
  kind: 'trigger_fired' as const,
  event: { triggerId, token: of, payload: '1', failure: null },
});
const eventsIn = (effects: readonly Effect[]) =>
  effects.flatMap((effect) =>
    effect.kind === 'send' && effect.message.kind === 'heartbeat' ? effect.message.beat.triggerEvents : [],
  );

describe('a trigger is valid in its session and while the gate is open (P16)', () => {
  test('it is started once, however often it is told', () => {
    const scene = triggerer();
    expect(startsIn(scene.ack({ triggerStarts: [startOf('a')] }))).toEqual(['a']);
    expect(startsIn(scene.ack({ triggerStarts: [startOf('a')] }))).toEqual([]);
  });

  test('one of another session is never started', () => {
    const scene = triggerer();
    expect(startsIn(scene.ack({ triggerStarts: [startOf('a', { epoch: 6n as Epoch })] }))).toEqual([]);
  });

  test('the loss of the stream stops all at once, and the next stream says which are valid', () => {
    const scene = triggerer();
    scene.ack({ triggerStarts: [startOf('a'), startOf('b', { token: token(101) })] });
    const lost = scene.step({ kind: 'stream_lost', streamNo: scene.streamNo, denied: false, why: 'test' });
    expect(stopsIn(lost)).toEqual([{ kind: 'stop_triggers' }]);
    scene.opened();
    scene.welcome();
    expect(startsIn(scene.ack({ triggerStarts: [startOf('b', { token: token(101) })] }))).toEqual(['b']);
  });

  test('the closing of the gate stops all at once, and they go on where they were when it opens', () => {
    const scene = triggerer();
    scene.ack({ triggerStarts: [startOf('a', { waitedMs: 5 })] });
    scene.suspend(GATE);
    expect(stopsIn(scene.step({ kind: 'tick' }))).toEqual([{ kind: 'stop_triggers' }]);
    scene.tick(H);
    const effects = scene.ack({});
    expect(effects).toContainEqual({ kind: 'start_trigger', trigger: startOf('a', { waitedMs: 5 + H }) });
  });

  test('a drain stops all at once, and says goodbye once what has fired is acknowledged', () => {
    const scene = triggerer();
    scene.ack({ triggerStarts: [startOf('a'), startOf('b', { token: token(101) })] });
    const [event] = eventsIn(scene.turn(fired('a')));
    const drained = scene.turn({ kind: 'drain', timeoutMs: null });
    expect(stopsIn(drained)).toEqual([{ kind: 'stop_triggers' }]);
    const goodbyes = (effects: readonly Effect[]) =>
      effects.filter((effect) => effect.kind === 'send' && effect.message.kind === 'goodbye');
    expect(goodbyes(drained)).toEqual([]);
    const acked = { triggerId: 'a', eventId: event?.eventId ?? '', taken: true };
    expect(goodbyes(scene.ack({ triggerAcks: [acked] }))).toHaveLength(1);
  });
});

describe('an event', () => {
  test('is said at once, again when nobody answers for an interval, and over a new stream, under one id', () => {
    const scene = triggerer();
    scene.ack({ triggerStarts: [startOf('a')] });
    const said = eventsIn(scene.turn(fired('a')));
    expect(said).toMatchObject([{ triggerId: 'a', token: 100n, payload: '1' }]);
    expect(eventsIn(scene.tick(1))).toEqual([]);
    expect(eventsIn(scene.tick(H))).toEqual(said);
    scene.reconnect();
    scene.welcome();
    expect(eventsIn(scene.tick(H))).toEqual(said);
    scene.ack({ triggerAcks: [{ triggerId: 'a', eventId: said[0]?.eventId ?? '', taken: true }] });
    expect(eventsIn(scene.tick(H))).toEqual([]);
  });

  test('of a trigger that was stopped before has not happened', () => {
    const scene = triggerer();
    scene.ack({ triggerStarts: [startOf('a')] });
    scene.ack({ triggerStops: ['a'] });
    expect(eventsIn(scene.turn(fired('a')))).toEqual([]);
  });

  test('behind a closed gate has not happened, before anybody has noticed that it is closed', () => {
    const scene = triggerer();
    scene.ack({ triggerStarts: [startOf('a')] });
    scene.suspend(GATE);
    const effects = scene.turn(fired('a'));
    expect(eventsIn(effects)).toEqual([]);
    expect(stopsIn(effects)).toEqual([{ kind: 'stop_triggers' }]);
  });

  test('under an older assignment has not happened', () => {
    const scene = triggerer();
    scene.ack({ triggerStarts: [startOf('a')] });
    scene.ack({ triggerStarts: [startOf('a', { token: token(200) })] });
    expect(eventsIn(scene.turn(fired('a')))).toEqual([]);
    expect(eventsIn(scene.turn(fired('a', token(200))))).toHaveLength(1);
  });

  test('that waits to be acknowledged keeps its trigger from being started again under the same token', () => {
    const scene = triggerer();
    scene.ack({ triggerStarts: [startOf('a')] });
    scene.turn(fired('a'));
    scene.reconnect();
    scene.welcome();
    expect(startsIn(scene.ack({ triggerStarts: [startOf('a')] }))).toEqual([]);
    scene.reconnect();
    scene.welcome();
    expect(startsIn(scene.ack({ triggerStarts: [startOf('a', { token: token(200) })] }))).toEqual(['a']);
  });

  test('that was refused is noted, and forgotten', () => {
    const scene = triggerer();
    scene.ack({ triggerStarts: [startOf('a')] });
    const [event] = eventsIn(scene.turn(fired('a')));
    scene.ack({ triggerAcks: [{ triggerId: 'a', eventId: event?.eventId ?? '', taken: false }] });
    expect(scene.notes).toContainEqual({ kind: 'event_refused', triggerId: 'a' });
  });

  test('is one of at most so many in a message; the rest follows at once', () => {
    const scene = triggerer();
    const starts = Array.from({ length: 1_200 }, (_, i) => startOf(`t${i}`, { token: token(i + 1) }));
    scene.ack({ triggerStarts: starts });
    for (const { triggerId, token: of } of starts) scene.step(fired(triggerId, of));
    expect(eventsIn(scene.flush())).toHaveLength(500);
    expect(eventsIn(scene.flush())).toHaveLength(500);
    expect(eventsIn(scene.flush())).toHaveLength(200);
  });
});
