import { describe, expect, test } from '@jest/globals';
import type { Epoch } from '../../../src/kit/ids.js';
import { beatsOf, GATE, H, nonce, permitOf, reportOf, reportsOf, Scene, task, token } from './scene.js';

function connected(choice: ConstructorParameters<typeof Scene>[0] = {}): Scene {
  const scene = new Scene(choice);
  scene.connect();
  return scene;
}

describe('a permit is started once, with the gate open, in its own session, or never (I3)', () => {
  test('a permit that was asked for is started', () => {
    const scene = connected();
    const effects = scene.run(100);
    expect(scene.started).toEqual([100n]);
    expect(beatsOf(effects)[0]).toMatchObject({ inventoryCount: 1, freeSlots: 1 });
  });

  test('a permit told twice is started once', () => {
    const scene = connected();
    scene.run(100);
    scene.ack({ permits: [permitOf({ taskId: task('t100') })] });
    expect(scene.started).toEqual([100n]);
  });

  test('the gate counts from the sending of the heartbeat, not from the receipt of its acknowledgement', () => {
    const scene = connected();
    scene.offer('t1');
    const { startRequests } = scene.beats.at(-1) ?? { startRequests: [] };
    scene.advance(GATE);
    scene.ack({ received: scene.seq, permits: [permitOf({ nonce: startRequests[0]?.nonce ?? nonce(0) })] });
    expect(scene.started).toEqual([]);
  });

  test('time asleep closes it', () => {
    const scene = connected();
    scene.offer('t1');
    scene.suspend(GATE);
    scene.ack({ permits: [permitOf()] });
    expect(scene.started).toEqual([]);
    expect(scene.notes).toContainEqual({
      kind: 'permit_void',
      taskId: 't1',
      token: 100n,
      why: 'gate_closed',
    });
  });

  test.each([
    ['of another session', { epoch: 6n as Epoch }, 'other_session'],
    ['of a nonce that was not asked', { nonce: nonce(99) }, 'not_asked'],
  ])('a permit %s is void, and answered never started once', (_name, change, reason) => {
    const scene = connected();
    scene.offer('t1');
    scene.ack({ permits: [permitOf(change)] });
    expect(scene.started).toEqual([]);
    const [report, ...more] = reportsOf(scene.beats, token(100));
    expect(report).toMatchObject({ kind: 'never_started', reason, startedAtMs: null });
    expect(more).toEqual([]);
    scene.ack({ permits: [permitOf(change)] });
    expect(scene.started).toEqual([]);
    scene.ack({ acknowledgements: [{ token: token(100), disposition: 'recorded' }] });
    scene.tick(H);
    expect(reportsOf(scene.beats, token(100))).toHaveLength(1);
  });
});

describe('between the permit and exec', () => {
  test('a run that is stopped before exec is not started any more', () => {
    const scene = connected();
    scene.run(100);
    expect(scene.session.mayStart(token(100), scene.now)).toBe(true);
    scene.ack({ cancellations: [{ token: token(100), reason: 'cancelled' }] });
    expect(scene.session.mayStart(token(100), scene.now)).toBe(false);
  });

  test('exec is refused once the gate has closed between the permit and it', () => {
    const scene = connected();
    scene.run(100);
    scene.advance(GATE);
    expect(scene.session.mayStart(token(100), scene.now)).toBe(false);
  });

  test('a void token that is not held is answered never started, also when its permit comes in the same turn', () => {
    const scene = connected();
    scene.offer('t1');
    scene.step({ kind: 'ack', streamNo: scene.streamNo, ack: scene.ackOf({ voidTokens: [token(100)] }) });
    scene.step({ kind: 'ack', streamNo: scene.streamNo, ack: scene.ackOf({ permits: [permitOf()] }) });
    scene.flush();
    expect(scene.started).toEqual([]);
    expect(reportsOf(scene.beats, token(100))).toMatchObject([{ kind: 'never_started' }]);
  });

  test('a void token that is held is shown by a full inventory', () => {
    const scene = connected();
    scene.run(100);
    const [beat] = beatsOf(scene.ack({ voidTokens: [token(100)] }));
    expect(beat?.fullInventory).toEqual([{ phase: 'running', token: 100n, taskId: 't100' }]);
    expect(beat?.reports).toEqual([]);
  });
});

describe('asking', () => {
  test('asks only for as many as there are free slots, and for the rest when one is free', () => {
    const scene = connected();
    scene.offer('a', 'b', 'c');
    expect(scene.beats.at(-1)?.startRequests.map(({ taskId }) => taskId)).toEqual(['a', 'b']);
    scene.ack({ refusals: [{ nonce: nonce(1), reason: 'not_offered' }] });
    expect(scene.beats.at(-1)?.startRequests.map(({ taskId }) => taskId)).toEqual(['c']);
  });

  test('the message that reports the end of a run asks for what is offered beyond the slots', () => {
    const scene = connected({ identity: { slots: 1 } });
    scene.run(100);
    scene.offer('next');
    const before = scene.beats.length;
    scene.ended(100);
    expect(scene.beats.slice(before)).toMatchObject([
      { reports: [{ token: 100n }], startRequests: [{ taskId: 'next' }], freeSlots: 0 },
    ]);
  });

  test('does not ask with a closed gate (P3)', () => {
    const scene = connected();
    scene.advance(GATE);
    scene.ack({ received: 1, offers: [{ taskId: task('a'), queue: 'default' }] });
    expect(scene.beats.flatMap((beat) => beat.startRequests)).toEqual([]);
  });

  test('does not ask for what was withdrawn', () => {
    const scene = connected({ identity: { slots: 1 } });
    scene.offer('a', 'b');
    scene.ack({ withdrawals: [task('b')] });
    scene.ack({ refusals: [{ nonce: nonce(1), reason: 'not_offered' }] });
    expect(scene.beats.flatMap((beat) => beat.startRequests)).toEqual([{ nonce: 1n, taskId: 'a' }]);
  });

  test('asks again, with the same nonce, until it is answered', () => {
    const scene = connected();
    scene.offer('a');
    scene.tick(H);
    const asked = scene.beats.flatMap((beat) => beat.startRequests);
    expect(asked).toEqual([
      { nonce: 1n, taskId: 'a' },
      { nonce: 1n, taskId: 'a' },
    ]);
  });

  test('keeps an open request over a new stream, and drops it when told never to start', () => {
    const scene = connected();
    scene.offer('a');
    const hello = scene.reconnect();
    expect(hello.inventory).toEqual([{ phase: 'asked', nonce: 1n, taskId: 'a' }]);
    const effects = scene.welcome({}, [{ kind: 'never_start', token: token(0), nonce: nonce(1) }]);
    expect(beatsOf(effects)[0]).toMatchObject({ inventoryCount: 0, inventoryHash: 0, freeSlots: 2 });
    scene.ack({ permits: [permitOf()] });
    expect(scene.started).toEqual([]);
  });

  test('a new session drops the offers of the old one', () => {
    const scene = connected({ identity: { slots: 1 } });
    scene.offer('a', 'b');
    scene.reconnect();
    scene.welcome({ epoch: 8n as Epoch }, [{ kind: 'never_start', token: token(0), nonce: nonce(1) }]);
    scene.tick(H);
    expect(scene.beats.flatMap((beat) => beat.startRequests.map(({ taskId }) => taskId))).toEqual(['a']);
  });
});

describe('reports are repeated until they are acknowledged', () => {
  test('once an interval, and over reconnects', () => {
    const scene = connected();
    scene.run(100);
    scene.ended(100);
    scene.tick(H / 2);
    expect(reportsOf(scene.beats, token(100))).toHaveLength(1);
    scene.tick(H / 2);
    expect(reportsOf(scene.beats, token(100))).toHaveLength(2);
    const hello = scene.reconnect();
    expect(hello.reports).toMatchObject([{ token: 100n, kind: 'success' }]);
    expect(hello.inventory).toEqual([{ phase: 'finished', token: 100n, taskId: 't100' }]);
    scene.welcome({ acknowledgements: [{ token: token(100), disposition: 'recorded' }] }, [
      { kind: 'recorded', token: token(100) },
    ]);
    expect(scene.of('forget_report')).toMatchObject([{ token: 100n, disposition: 'recorded' }]);
    scene.tick(H);
    expect(reportsOf(scene.beats, token(100))).toHaveLength(2);
    expect(scene.beats.at(-1)).toMatchObject({ inventoryCount: 0, inventoryHash: 0 });
  });

  test.each(['stale', 'foreign', 'unknown'] as const)(
    'a %s one is told to people, and forgotten',
    (disposition) => {
      const scene = connected();
      scene.run(100);
      scene.ended(100);
      scene.ack({ acknowledgements: [{ token: token(100), disposition }] });
      expect(scene.notes).toContainEqual({ kind: 'late_report', token: 100n, disposition });
      expect(scene.of('forget_report')).toHaveLength(1);
    },
  );
});

describe('reports of runs that ended while the agent was away, or in numbers', () => {
  test('a refused Hello still delivers them', () => {
    const scene = connected();
    scene.run(100);
    scene.ended(100);
    scene.reconnect();
    const acknowledgements = [{ token: token(100), disposition: 'recorded' } as const];
    const refused = { reason: 'in_use', message: '', delayMs: 2_000, acknowledgements };
    const effects = scene.turn({ kind: 'refused', streamNo: scene.streamNo, refused });
    expect(effects.find((effect) => effect.kind === 'dial')?.afterMs).toBeGreaterThanOrEqual(2_000);
    expect(scene.opened()).toMatchObject({ inventory: [], reports: [] });
  });

  test('results of many runs are spread over several messages, all of them at once', () => {
    const scene = connected({ identity: { slots: 5 } });
    for (const value of [100, 101, 102]) scene.run(value);
    const result = new Uint8Array(200 * 1_024);
    for (const value of [100, 101, 102]) {
      scene.step({
        kind: 'run_ended',
        report: reportOf(token(value), { taskId: task(`t${value}`), result }),
      });
    }
    const counts = [scene.flush(), scene.flush(), scene.flush()].map(
      (effects) => beatsOf(effects)[0]?.reports.length,
    );
    expect(counts).toEqual([1, 1, 1]);
  });

  test('what an earlier process left is in the first Hello', () => {
    const recovered = {
      highestToken: token(120),
      highestEpoch: 5n as Epoch,
      reports: [reportOf(token(118)), reportOf(token(119), { kind: 'lost' })],
    };
    const hello = new Scene({ recovered }).opened();
    expect(hello).toMatchObject({ highestToken: 120n, highestEpoch: 5n, streamNo: 1n });
    expect(hello.inventory.map(({ phase }) => phase)).toEqual(['finished', 'lost']);
    expect(hello.reports.map(({ kind }) => kind)).toEqual(['success', 'lost']);
  });
});

describe('runs over the loss of a stream', () => {
  test('go on, are shown in the Hello, and kept', () => {
    const scene = connected();
    scene.run(100);
    expect(scene.reconnect().inventory).toEqual([{ phase: 'running', token: 100n, taskId: 't100' }]);
    scene.welcome({ epoch: 8n as Epoch }, [{ kind: 'keep' }]);
    expect(scene.of('stop_run')).toEqual([]);
    // What runs goes on; what had not been started yet belonged to the session that is over (I3).
    expect(scene.session.mayStart(token(100), scene.now)).toBe(false);
  });

  test('are stopped when they were superseded meanwhile', () => {
    const scene = connected();
    scene.run(100);
    scene.reconnect();
    const effects = scene.welcome({}, [{ kind: 'stop', token: token(100), reason: 'superseded' }]);
    expect(scene.of('stop_run')).toMatchObject([{ token: 100n, reason: 'superseded', graceMs: 500 }]);
    expect(beatsOf(effects)[0]?.inventoryChanges).toEqual([
      { phase: 'stopping', token: 100n, taskId: 't100' },
    ]);
  });

  test('that were told to stop and end at once, their large results waiting, are counted the same on both sides', () => {
    const scene = connected();
    const result = new Uint8Array(200 * 1_024);
    scene.run(100);
    scene.run(101);
    scene.step({
      kind: 'ack',
      streamNo: scene.streamNo,
      ack: scene.ackOf({ stops: [{ token: token(101), reason: 'superseded' }] }),
    });
    for (const value of [100, 101]) {
      scene.step({
        kind: 'run_ended',
        report: reportOf(token(value), { taskId: task(`t${value}`), result }),
      });
    }
    const [first, second] = [...beatsOf(scene.flush()), ...beatsOf(scene.flush())];
    expect(first).toMatchObject({
      reports: [{ token: 100n }],
      inventoryChanges: [{ phase: 'stopping', token: 101n }],
    });
    expect(second).toMatchObject({ reports: [{ token: 101n }], inventoryChanges: [] });
  });

  test("an older stream's messages are ignored (P5)", () => {
    const scene = connected();
    scene.offer('t1');
    const old = scene.streamNo;
    scene.reconnect();
    scene.welcome({}, [{ kind: 'keep' }]);
    expect(scene.turn({ kind: 'ack', streamNo: old, ack: scene.ackOf({ permits: [permitOf()] }) })).toEqual(
      [],
    );
    expect(scene.turn({ kind: 'farewell', streamNo: old })).toEqual([]);
    expect(scene.turn({ kind: 'stream_lost', streamNo: old, denied: false, why: '' })).toEqual([]);
    expect(scene.started).toEqual([]);
  });

  test('the full inventory is sent when it is asked for', () => {
    const scene = connected();
    scene.run(100);
    scene.offer('b');
    const [beat] = beatsOf(scene.ack({ sendFullInventory: true }));
    expect(beat?.fullInventory).toHaveLength(2);
    expect(beatsOf(scene.tick(H))[0]?.fullInventory).toBeNull();
  });
});
